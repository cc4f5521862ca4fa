"""Dataclasses as HDF5 groups, and the checksum of what is in them.

Arrays and tuples of words are datasets, numbers and words are attributes, a dataclass
without arrays is one attribute in JSON, and a dataclass with arrays is a group.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

import h5py
import numpy as np

__all__ = [
    "field_kinds",
    "field_sum",
    "holds_arrays",
    "member",
    "read_array",
    "read_values",
    "read_words",
    "write_array",
    "write_record",
    "write_words",
]

_COMPRESS_FROM = 1024  # bytes
# deflate makes nothing smaller than by this factor
_MAX_DEFLATION = 1100
_INTEGERS = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "i8"))
_SCALARS = (bool, int, float, str)
_TEXT = h5py.string_dtype()


@cache
def field_kinds(record_class: Any) -> dict[str, Any]:
    """Return the type of each field, in the order of the names.

    Parameters
    ----------
    record_class : type
        Dataclass of arrays, numbers, words, tuples of words, and of such dataclasses.

    Returns
    -------
    dict of str to type
        Type of each field.
    """
    hints = get_type_hints(record_class)
    return {name: hints[name] for name in sorted(f.name for f in fields(record_class))}


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind)


@cache
def _is_flat(kind: Any) -> bool:
    return _is_record(kind) and set(field_kinds(kind).values()) <= set(_SCALARS)


def holds_arrays(kind: Any) -> bool:
    """Tell whether a type is a dataclass of more than numbers and words.

    Parameters
    ----------
    kind : type
        Type of a field.

    Returns
    -------
    bool
        True for one that is a group of its own in a file.
    """
    return _is_record(kind) and not _is_flat(kind)


def _scalars(record: Any) -> dict[str, Any]:
    return {
        name: kind(getattr(record, name))
        for name, kind in field_kinds(record.__class__).items()
    }


def write_record(group: h5py.Group, record: Any) -> None:
    """Write a dataclass.

    Parameters
    ----------
    group : h5py.Group
        Empty group.
    record : object
        Dataclass as `field_kinds` describes it; whole numbers in arrays of any shape
        take the smallest type that holds them.
    """
    for name, kind in field_kinds(record.__class__).items():
        value = getattr(record, name)
        if kind is np.ndarray:
            write_array(group, name, value)
        elif kind in _SCALARS:
            group.attrs[name] = kind(value)
        elif _is_flat(kind):
            group.attrs[name] = json.dumps(_scalars(value))
        elif _is_record(kind):
            write_record(group.create_group(name), value)
        else:
            write_words(group, name, value)


def write_array(group: h5py.Group, name: str, value: np.ndarray) -> None:
    """Write an array; a large one is compressed.

    Parameters
    ----------
    group : h5py.Group
        Group to write to.
    name : str
        Name of the dataset.
    value : np.ndarray
        Array of any shape; whole numbers take the smallest type that holds them.
    """
    stored = value.astype(_smallest(value)) if value.dtype.kind in "iu" else value
    options: dict[str, Any] = {}
    if stored.nbytes > _COMPRESS_FROM:
        options = {"chunks": stored.shape, "shuffle": True, "fletcher32": True}
        options |= {"compression": "gzip", "compression_opts": 1}
    group.create_dataset(name, data=stored, **options)


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
    value = _read_dataset(group, name, kinds="biuf")
    return value.astype(np.int64) if value.dtype.kind in "iu" else value


def _read_dataset(group: h5py.Group, name: str, *, kinds: str) -> np.ndarray:
    """Read a dataset, but take no memory that its file cannot fill."""
    dataset = member(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in kinds:
        raise ValueError(f"{name} is of another kind")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name} is kept in another file")
    if dataset.nbytes > _MAX_DEFLATION * dataset.file.id.get_filesize():
        raise ValueError(f"{name} claims {dataset.nbytes} bytes")
    return np.asarray(dataset[()])


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
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.HardLink):
        return group[name]
    raise ValueError(f"{name} is missing or a link")


def read_values(group: h5py.Group, kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Read fields of a dataclass.

    Parameters
    ----------
    group : h5py.Group
        Group of one record.
    kinds : mapping of str to type
        Type of each field to read; the bytes of the others are left alone.

    Returns
    -------
    dict of str to object
        Values; arrays of whole numbers of any shape are int64.
    """
    return {name: _read_value(group, name, kind) for name, kind in kinds.items()}


def _read_value(group: h5py.Group, name: str, kind: Any) -> Any:
    value: Any
    if kind is np.ndarray:
        value = read_array(group, name)
    elif kind in _SCALARS:
        value = kind(group.attrs[name])
    elif _is_flat(kind):
        found = json.loads(group.attrs[name])
        value = kind(**{key: of(found[key]) for key, of in field_kinds(kind).items()})
    elif _is_record(kind):
        value = kind(**read_values(member(group, name), field_kinds(kind)))
    else:
        value = read_words(group, name)
    return value


def field_sum(name: str, kind: Any, value: Any) -> bytes:
    """Return the checksum of a field, however a file stores it.

    Parameters
    ----------
    name : str
        Name of the field.
    kind : type
        Its type.
    value : object
        Its value; arrays have any shape.

    Returns
    -------
    bytes
        SHA-256 of name and value, 32 bytes.
    """
    total = hashlib.sha256()
    for part in _parts(name, kind, value):
        total.update(part)
    return total.digest()


def _parts(name: str, kind: Any, value: Any) -> Iterator[bytes]:
    yield name.encode()
    if kind is np.ndarray:
        whole = value.astype(np.int64) if value.dtype.kind in "iu" else value
        yield f"{whole.dtype.str}{whole.shape}".encode()
        yield whole.tobytes()
    elif _is_record(kind):
        for key, of in field_kinds(kind).items():
            yield from _parts(key, of, getattr(value, key))
    else:
        yield repr(kind(value) if kind in _SCALARS else tuple(value)).encode()
