"""Small fields of all records of a file side by side, to be read at once.

To open the groups of 10^5 records takes minutes, to read columns seconds. A column
``columns/<field>`` holds a field of all records in the order of ``columns/ids``: arrays
stacked, and numbers; all else is ``columns/<field>.json``. Each has a checksum, and all
of these are in one attribute, since to look one up takes longer than to read a column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bkgpipe.datamodel import Chunk
from bkgpipe.io.damage import WrongSumError
from bkgpipe.io.hdf5 import chunk_refused, opened
from bkgpipe.io.hdf5_arrays import (
    member,
    narrowed,
    read_attribute,
    read_stored,
    stored_sum,
    widened,
    write_array,
)
from bkgpipe.io.hdf5_fields import (
    field_kinds,
    field_sum,
    holds_arrays,
    is_record,
)

__all__ = ["COLUMNS", "Columns", "add_columns", "read_columns", "read_stacked"]

_NUMBERS = (bool, int, float)
COLUMNS = "columns"
_IDS, _SUMS, _JSON = "ids", "columns_sha256", ".json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Some fields of all records of a file.

    Attributes
    ----------
    keys : tuple of int
        Numbers of the records, ``n_records``.
    values : dict of str to sequence
        For each field an array with a row for each record, or a list; a single value
        stands for all records, when they share it.
    refused : dict of int to str
        Reason for each number that has no record.
    """

    keys: tuple[int, ...]
    values: dict[str, Sequence[Any] | np.ndarray]
    refused: dict[int, str]

    def all_of(self, name: str) -> Sequence[Any] | np.ndarray:
        """Return a field of each record.

        Parameters
        ----------
        name : str
            Field.

        Returns
        -------
        sequence
            As many values as there are records.
        """
        values = self.values[name]
        return [values[0]] * len(self.keys) if len(values) == 1 else values


def add_columns(
    file: h5py.File,
    records: Mapping[int, Any],
    names: Sequence[str],
    *,
    group: str = COLUMNS,
) -> None:
    """Add columns to a file that `write_chunk` writes.

    Parameters
    ----------
    file : h5py.File
        The file, open to be written.
    records : mapping of int to object
        Its records, or others of the same numbers.
    names : sequence of str
        Fields.
    group : str
        Name of the group that holds them in the file.
    """
    keys = sorted(records)
    arrays = {_IDS: np.array(keys, dtype=np.int64)}
    for name in names if keys else ():
        kind = field_kinds(records[keys[0]].__class__)[name]
        arrays |= _to_arrays(name, kind, [getattr(records[key], name) for key in keys])
    stored = {name: narrowed(array) for name, array in arrays.items()}
    columns = file.create_group(group)
    for name, array in stored.items():
        write_array(columns, name, array)
    sums = {name: stored_sum(name, array) for name, array in stored.items()}
    columns.attrs[_SUMS] = json.dumps(sums)


def read_columns(
    path: Path, record_class: Any, names: Sequence[str], *, group: str = COLUMNS
) -> Chunk[dict[str, Any]]:
    """Read some fields of all records, as `read_fields` does, from their columns.

    Parameters
    ----------
    path : Path
        HDF5 file.
    record_class : type
        Dataclass of the records.
    names : sequence of str
        Fields that have columns.
    group : str
        Name of the group that holds them in the file.

    Returns
    -------
    Chunk of dict of str to object
        Value of each field of each record; records may share equal structures.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    found = read_stacked(path, record_class, names, group=group)
    rows = zip(*(found.all_of(name) for name in found.values), strict=True)
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return Chunk(
        records=dict(zip(found.keys, records, strict=True)), refused=found.refused
    )


def read_stacked(
    path: Path, record_class: Any, names: Sequence[str], *, group: str = COLUMNS
) -> Columns:
    """Read some fields of all records, those of each field together.

    Parameters
    ----------
    path : Path
        HDF5 file.
    record_class : type
        Dataclass of the records.
    names : sequence of str
        Fields that have columns.
    group : str
        Name of the group that holds them in the file.

    Returns
    -------
    Columns
        The fields; no values when the file has no records.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    kinds = field_kinds(record_class)
    with opened(path) as file:
        reader = _Reader(member(file, group))
        keys = tuple(reader.read(_IDS).tolist())
        values = {name: reader.column(name, kinds[name]) for name in names if keys}
        for name, column in values.items():
            if len(column) not in {1, len(keys)}:
                raise ValueError(f"the column {name} is of other records")
        return Columns(keys=keys, values=values, refused=chunk_refused(file))


class _Reader:
    """The columns of an open file, with their checksums."""

    def __init__(self, group: h5py.Group) -> None:
        self.group = group
        self.sums: dict[str, str] = json.loads(read_attribute(group, _SUMS))

    def read(self, name: str) -> np.ndarray:
        array = read_stored(self.group, name)
        if self.sums.get(name) != stored_sum(name, array):
            raise WrongSumError(f"the checksum of the column {name} is wrong")
        return widened(array)

    def column(self, name: str, kind: Any) -> Sequence[Any] | np.ndarray:
        if holds_arrays(kind):
            kinds = field_kinds(kind)
            return _join(
                kind, {key: self.column(f"{name}/{key}", kinds[key]) for key in kinds}
            )
        if name + _JSON not in self.sums:
            return self.read(name) if kind is np.ndarray else self.read(name).tolist()
        found = json.loads(self.read(name + _JSON).astype(np.uint8).tobytes())
        if is_record(kind):
            return _join(kind, found)
        of = np.array if kind is np.ndarray else tuple
        return found if kind is str else [of(value) for value in found]


def _join(kind: Any, columns: Mapping[str, Any]) -> list[Any]:
    """Make structures of columns of their fields; a single value stands for all."""
    n_rows = max(len(column) for column in columns.values())
    rows = [
        [column[0]] * n_rows if len(column) == 1 else column
        for column in columns.values()
    ]
    return [
        kind(**dict(zip(columns, row, strict=True))) for row in zip(*rows, strict=True)
    ]


def _to_arrays(name: str, kind: Any, values: Sequence[Any]) -> dict[str, np.ndarray]:
    """Turn a field of all records into the arrays that keep it."""
    if kind is np.ndarray and len({value.shape for value in values}) == 1:
        return {name: np.stack(values)}
    if kind in _NUMBERS:
        return {name: np.array(values, dtype=kind)}
    if holds_arrays(kind):
        is_shared = len({field_sum(name, kind, value) for value in values}) == 1
        rows = values[:1] if is_shared else values
        arrays: dict[str, np.ndarray] = {}
        for key, of in field_kinds(kind).items():
            inside = [getattr(row, key) for row in rows]
            arrays |= _to_arrays(f"{name}/{key}", of, inside)
        return arrays
    text = json.dumps(_to_plain(kind, values))
    return {name + _JSON: np.frombuffer(text.encode(), dtype=np.uint8)}


def _to_plain(kind: Any, values: Sequence[Any]) -> Any:
    if is_record(kind):
        return {
            key: _to_plain(of, [of(getattr(value, key)) for value in values])
            for key, of in field_kinds(kind).items()
        }
    if kind is np.ndarray:
        return [value.tolist() for value in values]
    plain = [list(value) if isinstance(value, tuple) else value for value in values]
    # a NaN equals no other, but its word does
    return plain[:1] if len(set(map(repr, plain))) == 1 else plain
