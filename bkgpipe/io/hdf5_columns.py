"""Small fields of all records of a file side by side, to be read at once.

To open the groups of 10^5 records takes minutes, to read columns seconds. A column
``columns/<field>`` holds a field of all records in the order of ``columns/ids``: arrays
stacked, all else in JSON. Each has a checksum of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bkgpipe.datamodel import Chunk
from bkgpipe.io.damage import WrongSumError
from bkgpipe.io.hdf5 import FORMAT, opened, read_refused
from bkgpipe.io.hdf5_fields import (
    field_kinds,
    field_sum,
    holds_arrays,
    member,
    read_array,
    write_array,
)

__all__ = ["add_columns", "read_columns"]

_SCALARS = (bool, int, float, str)
_COLUMNS, _IDS, _CHECKSUM, _IS_TEXT = "columns", "ids", "content_sha256", "is_json"


def add_columns(path: Path, records: Mapping[int, Any], names: Sequence[str]) -> None:
    """Add columns to a file that `write_chunk` has written.

    Parameters
    ----------
    path : Path
        HDF5 file.
    records : mapping of int to object
        Its records.
    names : sequence of str
        Fields.
    """
    keys = sorted(records)
    with h5py.File(path, "r+", libver=FORMAT, locking=False) as file:
        group = file.create_group(_COLUMNS)
        _write_array(group, _IDS, np.array(keys, dtype=np.int64))
        for name in names if keys else ():
            kind = field_kinds(records[keys[0]].__class__)[name]
            values = [getattr(records[key], name) for key in keys]
            _write_column(group, name, kind, values)


def read_columns(
    path: Path, record_class: Any, names: Sequence[str]
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

    Returns
    -------
    Chunk of dict of str to object
        Value of each field of each record; records may share equal structures.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    kinds = field_kinds(record_class)
    with opened(path) as file:
        group = member(file, _COLUMNS)
        keys = _read(group, _IDS).tolist()
        found = {name: _read_column(group, name, kinds[name]) for name in names if keys}
        # one value stands for all when they are equal
        columns = [
            values * len(keys) if len(values) == 1 else values
            for values in found.values()
        ]
        rows = zip(*columns, strict=True)
        records = [dict(zip(names, row, strict=True)) for row in rows]
    return Chunk(
        records=dict(zip(keys, records, strict=True)), refused=read_refused(path)
    )


def _write_column(
    group: h5py.Group, name: str, kind: Any, values: Sequence[Any]
) -> None:
    if kind is np.ndarray and len({value.shape for value in values}) == 1:
        _write_array(group, name, np.stack(values))
    elif holds_arrays(kind):
        is_shared = len({field_sum(name, kind, value) for value in values}) == 1
        rows = values[:1] if is_shared else values
        inside = group.create_group(name)
        for key, of in field_kinds(kind).items():
            _write_column(inside, key, of, [getattr(row, key) for row in rows])
    else:
        text = json.dumps([_to_plain(kind, value) for value in values])
        _write_array(group, name, np.frombuffer(text.encode(), dtype=np.uint8))
        group[name].attrs[_IS_TEXT] = True


def _read_column(group: h5py.Group, name: str, kind: Any) -> list[Any]:
    if holds_arrays(kind):
        inside, kinds = member(group, name), field_kinds(kind)
        found = [_read_column(inside, key, of) for key, of in kinds.items()]
        rows = zip(*found, strict=True)
        return [kind(**dict(zip(kinds, row, strict=True))) for row in rows]
    array = _read(group, name)
    if _IS_TEXT not in group[name].attrs:
        return list(array)
    text = array.astype(np.uint8).tobytes().decode()
    return [_from_plain(kind, value) for value in json.loads(text)]


def _write_array(group: h5py.Group, name: str, array: np.ndarray) -> None:
    write_array(group, name, array)
    group[name].attrs[_CHECKSUM] = _digest(name, array)


def _read(group: h5py.Group, name: str) -> np.ndarray:
    array = read_array(group, name)
    if group[name].attrs[_CHECKSUM] != _digest(name, array):
        raise WrongSumError(f"the checksum of the column {name} is wrong")
    return array


def _digest(name: str, array: np.ndarray) -> str:
    return field_sum(name, np.ndarray, array).hex()


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind)


def _to_plain(kind: Any, value: Any) -> Any:
    if kind is np.ndarray:
        return value.tolist()
    if _is_record(kind):
        return {key: of(getattr(value, key)) for key, of in field_kinds(kind).items()}
    return list(value) if kind not in _SCALARS else kind(value)


def _from_plain(kind: Any, value: Any) -> Any:
    if kind is np.ndarray:
        return np.array(value)
    if _is_record(kind):
        return kind(**{key: of(value[key]) for key, of in field_kinds(kind).items()})
    return tuple(value) if kind not in _SCALARS else kind(value)
