"""Dataclasses of many runs as columns, and back.

A field of numbers or arrays is one column. One that is a dataclass with arrays has a
column for each of its own fields, ``FIELD/INNER``. All else is text, in bytes of UTF-8:
a word as it is, a tuple of words or a dataclass of numbers and words as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, get_type_hints

import numpy as np

from bkgpipe.product.arrays import Rows

__all__ = ["column_kinds", "field_columns", "field_kinds", "from_rows", "to_rows"]

_NUMBERS = (bool, int, float)


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


@cache
def column_kinds(record_class: Any) -> dict[str, Any]:
    """Return the type of each column, in the order of the names of the fields.

    Parameters
    ----------
    record_class : type
        Dataclass, as of `field_kinds`.

    Returns
    -------
    dict of str to type
        Type of what each column holds.
    """
    found: dict[str, Any] = {}
    for name, kind in field_kinds(record_class).items():
        found |= _columns_of(name, kind)
    return found


@cache
def field_columns(record_class: Any, name: str) -> tuple[str, ...]:
    """Name the columns of a field.

    Parameters
    ----------
    record_class : type
        Dataclass, as of `field_kinds`.
    name : str
        Field.

    Returns
    -------
    tuple of str
        Names of its columns.
    """
    return tuple(_columns_of(name, field_kinds(record_class)[name]))


def _columns_of(name: str, kind: Any) -> dict[str, Any]:
    if not _holds_arrays(kind):
        return {name: kind}
    return {f"{name}/{key}": of for key, of in column_kinds(kind).items()}


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind)


@cache
def _holds_arrays(kind: Any) -> bool:
    """Tell whether a type is a dataclass of more than numbers and words."""
    return _is_record(kind) and not set(field_kinds(kind).values()) <= {
        *_NUMBERS,
        str,
    }


def to_rows(name: str, kind: Any, records: Sequence[Any]) -> list[np.ndarray]:
    """Return a column of some records as arrays.

    Parameters
    ----------
    name : str
        Column.
    kind : type
        Type of what it holds.
    records : sequence of object
        Dataclasses.

    Returns
    -------
    list of np.ndarray
        An array of any shape for each.
    """
    values = map(attrgetter(name.replace("/", ".")), records)
    if kind is np.ndarray:
        return list(values)
    if kind in _NUMBERS:
        return list(np.array([kind(value) for value in values]))
    return [np.frombuffer(_to_text(kind, value), np.uint8) for value in values]


def _to_text(kind: Any, value: Any) -> bytes:
    if _is_record(kind):
        plain = {key: of(getattr(value, key)) for key, of in field_kinds(kind).items()}
        return json.dumps(plain).encode()
    return (str(value) if kind is str else json.dumps(list(value))).encode()


def from_rows(name: str, kind: Any, columns: Mapping[str, Rows]) -> Rows | list[Any]:
    """Return a field of some records from its columns.

    Parameters
    ----------
    name : str
        Field.
    kind : type
        Type of the field.
    columns : mapping of str to rows
        At least the columns of this field, as the file has them; an array of any shape
        for each record.

    Returns
    -------
    np.ndarray or list of object
        Value for each record, whole numbers in arrays as int64; structures are one
        object where all are equal.
    """
    if _holds_arrays(kind):
        return _from_structure(name, kind, columns)
    rows = columns[name]
    if kind is np.ndarray:
        found: Rows = _widened(rows)
        return found
    if kind in _NUMBERS:
        return [kind(value) for value in np.asarray(rows).tolist()]
    return _from_texts(kind, [row.tobytes() for row in rows])


def _from_texts(kind: Any, texts: list[bytes]) -> list[Any]:
    if kind is str:
        return [text.decode() for text in texts]
    # one call reads all of them in a third of the time
    found = json.loads(b"[" + b",".join(texts) + b"]")
    return [_make(kind, value) for value in found]


def _from_structure(name: str, kind: Any, columns: Mapping[str, Rows]) -> list[Any]:
    """Make structures; to make one for all, if they are equal, saves most of it."""
    own = {key: columns[key] for key in _columns_of(name, kind)}
    n_rows = len(next(iter(own.values())))
    is_shared = all(map(_is_constant, own.values()))
    columns = {key: rows[:1] for key, rows in own.items()} if is_shared else own
    inner = {
        key: from_rows(f"{name}/{key}", of, columns)
        for key, of in field_kinds(kind).items()
    }
    made = [
        kind(**dict(zip(inner, values, strict=True)))
        for values in zip(*inner.values(), strict=True)
    ]
    return made * n_rows if is_shared else made


def _widened(rows: Any) -> Any:
    """Return whole numbers as int64, and all else as it is."""
    if isinstance(rows, list):
        return [_widened(row) for row in rows]
    return rows.astype(np.int64) if rows.dtype.kind in "iu" else rows


def _is_constant(rows: Rows) -> bool:
    if isinstance(rows, np.ndarray):
        return bool((rows == rows[:1]).all())
    return all(np.array_equal(row, rows[0]) for row in rows)


def _make(kind: Any, found: Any) -> Any:
    if _is_record(kind):
        return kind(**{key: of(found[key]) for key, of in field_kinds(kind).items()})
    return tuple(found)
