"""Arrays in HDF5 files, of a row for each run, read without the detours of h5py.

Rows of one shape are one dataset whose first axis is the run; a row that pays to be
compressed is one HDF5 chunk. Rows of several shapes are one behind the other in a flat
dataset ``NAME``, and their shapes in ``NAME.shape``. Nothing has a variable length in
the sense of HDF5: where such a heap is damaged, the library reads for ever.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5i, h5l, h5s

from bkgpipe.core.passing import passing_reason

__all__ = [
    "Rows",
    "member",
    "read_array",
    "read_attribute",
    "read_rows",
    "row_sums",
    "write_rows",
]

Rows = np.ndarray | list[np.ndarray]
"""Arrays of many runs: stacked, or one by one where they are large or differ."""

_LARGE = 1024  # bytes of a row that is worth a chunk of its own
_SAMPLE = 1000
# Ours shrink to a thousandth only when they are small: all zeros, as of an empty run
_SMALL, _MAX_DEFLATION = 256 * 1024**2, 100
_INTEGERS = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "i8"))
_SHAPE, _NO_AXIS = ".shape", -1


def write_rows(group: h5py.Group, name: str, rows: Sequence[np.ndarray]) -> list[bytes]:
    """Write an array of each run.

    Parameters
    ----------
    group : h5py.Group
        Group to write to.
    name : str
        Name of the dataset.
    rows : sequence of np.ndarray
        Arrays of any shape; whole numbers take the smallest type that holds all.

    Returns
    -------
    list of bytes
        Checksum of each row.
    """
    dtype = _common_type(rows)
    stored = [np.asarray(row, dtype=dtype, order="C") for row in rows]
    shapes = sorted({row.shape for row in stored})
    if len(shapes) == 1:
        _write_stacked(group, name, stored)
    else:
        group.create_dataset(name + _SHAPE, data=_pad_shapes(stored))
        flat = np.concatenate([row.ravel() for row in stored])
        mean = max(1, flat.size // len(stored))
        options = _options((mean,), flat) if mean * dtype.itemsize > _LARGE else {}
        group.create_dataset(name, data=flat, **options)
    return row_sums(name, stored)


def _write_stacked(group: h5py.Group, name: str, rows: list[np.ndarray]) -> None:
    first = rows[0]
    if first.nbytes <= _LARGE:
        group.create_dataset(name, data=np.stack(rows))
        return
    shape, options = (len(rows), *first.shape), _options((1, *first.shape), *rows)
    dataset = group.create_dataset(name, shape, first.dtype, **options)
    for i, row in enumerate(rows):
        dataset[i] = row


def _options(chunk: tuple[int, ...], *values: np.ndarray) -> dict[str, Any]:
    """Compress what is written, unless its digits are random."""
    if not any(_repeats(value) for value in values):
        return {}
    return {"chunks": chunk, "shuffle": True, "compression": 1}


def _repeats(value: np.ndarray) -> bool:
    """Tell whether compression pays; digits of rates lose a tenth in 15 times as long.

    Of floats, a sample is looked at, spread over the array.
    """
    if value.dtype.kind != "f":
        return True
    sample = value.flat[:: max(1, -(-value.size // _SAMPLE))]
    return np.unique(sample).size < sample.size / 2


def _common_type(rows: Sequence[np.ndarray]) -> np.dtype[Any]:
    """Type of all values; the smallest of whole numbers that holds them."""
    filled = [row for row in rows if row.size] or list(rows[:1])
    dtype = np.result_type(*{row.dtype for row in filled})
    if dtype.kind not in "iu":
        return dtype
    low = min((row.min() for row in filled if row.size), default=0)
    high = max((row.max() for row in filled if row.size), default=0)
    limits = ((each, np.iinfo(each)) for each in _INTEGERS)
    return next(each for each, i in limits if i.min <= low and high <= i.max)


def _pad_shapes(rows: list[np.ndarray]) -> np.ndarray:
    n_axes = max(row.ndim for row in rows)
    pads = ((_NO_AXIS,) * (n_axes - row.ndim) for row in rows)
    return np.array(
        [(*row.shape, *pad) for row, pad in zip(rows, pads, strict=True)], np.int64
    ).reshape(len(rows), n_axes)


def read_rows(group: h5py.Group, name: str, index: Sequence[int] | None = None) -> Rows:
    """Read the arrays of some runs as the file has them, and no others.

    Parameters
    ----------
    group : h5py.Group
        Group that holds them.
    name : str
        Name of the dataset; a path in the group too.
    index : sequence of int, optional
        Rows to read; all when not given.

    Returns
    -------
    np.ndarray or list of np.ndarray
        Rows of any shape and type.

    Raises
    ------
    ValueError
        If it cannot be what was written.
    """
    dataset = _open(group, name)
    if _has(group, name + _SHAPE):
        return _read_ragged(dataset, read_array(group, name + _SHAPE), index)
    n_rows, *shape = dataset.shape
    is_large = math.prod(shape) * dataset.dtype.itemsize > _LARGE
    if index is None and not is_large:
        return _read(dataset, 0, n_rows)
    places = range(n_rows) if index is None else index
    rows = [_read(dataset, place, 1)[0] for place in places]
    return rows if is_large or not rows else np.stack(rows)


def _read_ragged(
    dataset: h5d.DatasetID, shapes: np.ndarray, index: Sequence[int] | None
) -> list[np.ndarray]:
    sizes = np.where(shapes == _NO_AXIS, 1, shapes).prod(axis=1)
    ends = sizes.cumsum()
    if sizes.min() < 0 or (int(ends[-1]),) != dataset.shape:
        raise ValueError(f"the shapes are not those of its {dataset.shape} values")
    starts = (ends - sizes).tolist()
    if index is None:
        index, flat = range(len(sizes)), _read(dataset, 0, dataset.shape[0])
        parts = [flat[start:end] for start, end in zip(starts, ends, strict=True)]
    else:
        parts = [_read(dataset, starts[i], int(sizes[i])) for i in index]
    each = (shapes[i][shapes[i] != _NO_AXIS] for i in index)
    return [part.reshape(shape) for part, shape in zip(parts, each, strict=True)]


def read_array(group: h5py.Group, name: str) -> np.ndarray:
    """Read an array of numbers as the file has it.

    Parameters
    ----------
    group : h5py.Group
        Group that holds it.
    name : str
        Name of the dataset.

    Returns
    -------
    np.ndarray
        Array of any shape and type.

    Raises
    ------
    ValueError
        If it cannot be what was written.
    """
    dataset = _open(group, name)
    return _read(dataset, 0, dataset.shape[0])


def row_sums(name: str, rows: Rows) -> list[bytes]:
    """Return the checksum of each row, of the type that its file has.

    Parameters
    ----------
    name : str
        Name of the dataset.
    rows : np.ndarray or list of np.ndarray
        Arrays of any shape.

    Returns
    -------
    list of bytes
        SHA-256 of name, type, shape and values, 32 bytes each.
    """
    if isinstance(rows, list):
        return [sum_ for row in rows for sum_ in _sums(name, row[np.newaxis])]
    return _sums(name, rows)


def _sums(name: str, rows: np.ndarray) -> list[bytes]:
    head = f"{name}{rows.dtype.str}{rows.shape[1:]}".encode()
    content = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
    size = len(content) // len(rows)
    starts = range(0, len(rows) * size, size) if size else [0] * len(rows)
    return [
        hashlib.sha256(head + content[start : start + size]).digest()
        for start in starts
    ]


def _open(group: h5py.Group, name: str) -> h5d.DatasetID:
    """Open a dataset of numbers in this file."""
    _require_hard_link(group, name)
    # the classes of h5py around these calls take four times as long
    try:
        dataset = h5d.open(group.id, name.encode())
    except KeyError as error:
        raise ValueError(f"{name} is of another kind") from error
    options = dataset.get_create_plist()
    if dataset.dtype.kind not in "biuf" or not dataset.shape:
        raise ValueError(f"{name} is of another kind")
    if options.get_layout() == h5d.VIRTUAL or options.get_external_count():
        raise ValueError(f"{name} is kept in another file")
    return dataset


def _read(dataset: h5d.DatasetID, start: int, count: int) -> np.ndarray:
    """Read along the first axis, but take no memory that the file cannot fill."""
    n_rows, *shape = dataset.shape
    n_bytes = count * math.prod(shape) * dataset.dtype.itemsize
    n_stored: int = h5i.get_file_id(dataset).get_filesize()
    if n_bytes > max(_SMALL, _MAX_DEFLATION * n_stored):
        raise ValueError(f"{h5i.get_name(dataset)!r} claims {n_bytes} bytes")
    value = np.zeros((count, *shape), dtype=dataset.dtype)
    if count == n_rows:
        dataset.read(h5s.ALL, h5s.ALL, value)
    elif value.size:
        place = dataset.get_space()
        place.select_hyperslab((start, *[0] * len(shape)), value.shape)
        dataset.read(h5s.create_simple(value.shape), place, value)
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
        If it is more than one value, or one of any length.
    """
    attribute = h5a.open(group.id, name.encode())
    if attribute.shape != () or attribute.dtype.kind == "O":
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


def _has(group: h5py.Group, name: str) -> bool:
    return bool(group.id.links.exists(name.encode()))


def _require_hard_link(group: h5py.Group, name: str) -> None:
    try:
        kind = group.id.links.get_info(name.encode()).type
    except (KeyError, RuntimeError) as error:
        if passing_reason(error):
            raise
        kind = None
    if kind != h5l.TYPE_HARD:
        raise ValueError(f"{name} is missing or a link")
