"""Arrays and words in HDF5 files, read without the detours of h5py."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5i, h5l, h5s

from bkgpipe.io.passing import passing_reason

__all__ = [
    "member",
    "narrowed",
    "read_array",
    "read_attribute",
    "read_stored",
    "read_words",
    "stored_sum",
    "widened",
    "write_array",
    "write_words",
]

_COMPRESS_FROM = 1024  # bytes
_SAMPLE = 1000
# Ours shrink to a thousandth only when they are small: all zeros, as of an empty run
_SMALL, _MAX_DEFLATION = 256 * 1024**2, 100
_INTEGERS = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "i8"))
_TEXT = h5py.string_dtype()


def write_array(group: h5py.Group, name: str, value: np.ndarray) -> None:
    """Write an array; a large one is compressed, unless its digits are random.

    Parameters
    ----------
    group : h5py.Group
        Group to write to.
    name : str
        Name of the dataset.
    value : np.ndarray
        Array of any shape; whole numbers take the smallest type that holds them.
    """
    stored = narrowed(value)
    options: dict[str, Any] = {}
    if stored.nbytes > _COMPRESS_FROM and _repeats(stored):
        options = {"chunks": stored.shape, "shuffle": True, "fletcher32": True}
        options |= {"compression": "gzip", "compression_opts": 1}
    group.create_dataset(name, data=stored, **options)


def _repeats(value: np.ndarray) -> bool:
    """Tell whether compression pays; digits of rates lose a tenth in 15 times as long.

    Of floats, a sample is looked at, spread over the array.
    """
    if value.dtype.kind != "f":
        return True
    sample = value.flat[:: -(-value.size // _SAMPLE)]
    return np.unique(sample).size < sample.size / 2


def _smallest(value: np.ndarray) -> np.dtype[Any]:
    """Smallest type that holds whole numbers."""
    low, high = (value.min(), value.max()) if value.size else (0, 0)
    limits = ((dtype, np.iinfo(dtype)) for dtype in _INTEGERS)
    return next(dtype for dtype, i in limits if i.min <= low and high <= i.max)


def write_words(group: h5py.Group, name: str, words: Sequence[str]) -> None:
    """Write words of any number and length.

    Parameters
    ----------
    group : h5py.Group
        Group to write to.
    name : str
        Name of the dataset.
    words : sequence of str
        Words; together they may be longer than the 64 kB of an attribute.
    """
    group.create_dataset(name, data=np.array(words, dtype=object), dtype=_TEXT)


def read_words(group: h5py.Group, name: str) -> tuple[str, ...]:
    """Read words.

    Parameters
    ----------
    group : h5py.Group
        Group that holds them.
    name : str
        Name of the dataset.

    Returns
    -------
    tuple of str
        Words.

    Raises
    ------
    ValueError
        If they cannot be what was written.
    """
    words = _read_dataset(group, name, kinds="O")
    return tuple(word.decode() for word in words.tolist())


def read_array(group: h5py.Group, name: str) -> np.ndarray:
    """Read an array of numbers.

    Parameters
    ----------
    group : h5py.Group
        Group that holds it.
    name : str
        Name of the dataset.

    Returns
    -------
    np.ndarray
        Array of any shape; whole numbers are int64.

    Raises
    ------
    ValueError
        If it cannot be what was written.
    """
    return widened(read_stored(group, name))


def read_stored(group: h5py.Group, name: str) -> np.ndarray:
    """Read an array of numbers as the file has it.

    Parameters
    ----------
    group : h5py.Group
        Group that holds it.
    name : str
        Name of the dataset; a path in the group too.

    Returns
    -------
    np.ndarray
        Array of any shape and type.

    Raises
    ------
    ValueError
        If it cannot be what was written.
    """
    return _read_dataset(group, name, kinds="biuf")


def widened(value: np.ndarray) -> np.ndarray:
    """Return whole numbers as int64, and all else as it is.

    Parameters
    ----------
    value : np.ndarray
        Array of any shape and type.

    Returns
    -------
    np.ndarray
        Array of the same shape.
    """
    return value.astype(np.int64) if value.dtype.kind in "iu" else value


def narrowed(value: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest type that holds them, all else as it is.

    Parameters
    ----------
    value : np.ndarray
        Array of any shape and type.

    Returns
    -------
    np.ndarray
        Array of the same shape.
    """
    return value.astype(_smallest(value)) if value.dtype.kind in "iu" else value


def _read_dataset(group: h5py.Group, name: str, *, kinds: str) -> np.ndarray:
    """Read a dataset, but take no memory that its file cannot fill."""
    _require_hard_link(group, name)
    # the classes of h5py around these calls take four times as long
    try:
        dataset = h5d.open(group.id, name.encode())
    except KeyError as error:
        raise ValueError(f"{name} is of another kind") from error
    options = dataset.get_create_plist()
    if dataset.dtype.kind not in kinds:
        raise ValueError(f"{name} is of another kind")
    if options.get_layout() == h5d.VIRTUAL or options.get_external_count():
        raise ValueError(f"{name} is kept in another file")
    n_bytes = math.prod(dataset.shape) * dataset.dtype.itemsize
    n_stored: int = h5i.get_file_id(dataset).get_filesize()
    if n_bytes > max(_SMALL, _MAX_DEFLATION * n_stored):
        raise ValueError(f"{name} claims {n_bytes} bytes")
    value = np.zeros(dataset.shape, dtype=dataset.dtype)
    dataset.read(h5s.ALL, h5s.ALL, value)
    return value


def read_attribute(group: h5py.Group, name: str) -> Any:
    """Read an attribute that is one number or word.

    Parameters
    ----------
    group : h5py.Group
        Group or file that has it.
    name : str
        Name of the attribute.

    Returns
    -------
    object
        Scalar of NumPy, or str.

    Raises
    ------
    KeyError
        If there is none of that name.
    ValueError
        If it is more than one value.
    """
    attribute = h5a.open(group.id, name.encode())
    if attribute.shape != ():
        raise ValueError(f"the attribute {name} is not one value")
    value = np.zeros((), dtype=attribute.dtype)
    attribute.read(value)
    found: Any = value[()]
    return found.decode() if isinstance(found, bytes) else found


def member(group: h5py.Group, name: str) -> Any:
    """Return what a group holds, but follow no link to another file.

    Parameters
    ----------
    group : h5py.Group
        Group.
    name : str
        Name in it.

    Returns
    -------
    h5py.Group or h5py.Dataset
        What has that name.

    Raises
    ------
    ValueError
        If nothing has, or it is a link.
    """
    _require_hard_link(group, name)
    return group[name]


def _require_hard_link(group: h5py.Group, name: str) -> None:
    try:
        kind = group.id.links.get_info(name.encode()).type
    except (KeyError, RuntimeError) as error:
        if passing_reason(error):
            raise
        kind = None
    if kind != h5l.TYPE_HARD:
        raise ValueError(f"{name} is missing or a link")


def stored_sum(name: str, array: np.ndarray) -> str:
    """Return the checksum of a dataset, of the type that its file has.

    Parameters
    ----------
    name : str
        Name of the dataset.
    array : np.ndarray
        Array of any shape.

    Returns
    -------
    str
        SHA-256 of name and array.
    """
    total = hashlib.sha256(f"{name}{array.dtype.str}{array.shape}".encode())
    total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
