"""Dataclasses as HDF5 groups, and the checksum of what is in them.

Arrays and tuples of words are datasets, numbers and words are attributes, a dataclass
without arrays is one attribute in JSON, and a dataclass with arrays is a group.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

import h5py
import numpy as np

from bkgpipe.io.hdf5_arrays import (
    member,
    read_array,
    read_attribute,
    read_words,
    widened,
    write_array,
    write_words,
)

__all__ = [
    "field_kinds",
    "field_sum",
    "holds_arrays",
    "is_record",
    "read_values",
    "write_record",
]

_SCALARS = (bool, int, float, str)


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


def is_record(kind: Any) -> bool:
    """Tell whether a type is a dataclass.

    Parameters
    ----------
    kind : type
        Type of a field.

    Returns
    -------
    bool
        True for one with fields of its own.
    """
    return is_dataclass(kind)


@cache
def _is_flat(kind: Any) -> bool:
    return is_record(kind) and set(field_kinds(kind).values()) <= set(_SCALARS)


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
    return is_record(kind) and not _is_flat(kind)


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
        elif is_record(kind):
            write_record(group.create_group(name), value)
        else:
            write_words(group, name, value)


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
        value = kind(read_attribute(group, name))
    elif _is_flat(kind):
        found = json.loads(read_attribute(group, name))
        value = kind(**{key: of(found[key]) for key, of in field_kinds(kind).items()})
    elif is_record(kind):
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


def _parts(name: str, kind: Any, value: Any) -> Iterator[bytes | memoryview]:
    yield name.encode()
    if kind is np.ndarray:
        whole = widened(value)
        yield f"{whole.dtype.str}{whole.shape}".encode()
        yield np.ascontiguousarray(whole).data
    elif is_record(kind):
        for key, of in field_kinds(kind).items():
            yield from _parts(key, of, getattr(value, key))
    else:
        yield repr(kind(value) if kind in _SCALARS else tuple(value)).encode()
