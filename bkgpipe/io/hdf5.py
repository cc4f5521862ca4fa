"""Dataclasses as HDF5 groups, with checksums that are verified on reading.

A file has the `ProductHeader` as attributes, one group ``records/<id>`` for each
record, and ``refused/ids`` and ``refused/reasons``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from bkgpipe.datamodel import Chunk, ProductHeader
from bkgpipe.errors import (
    BinningMismatchError,
    DamagedFileError,
    InputError,
    OutputError,
)
from bkgpipe.io.hdf5_fields import (
    digest,
    field_kinds,
    read_values,
    read_words,
    write_record,
    write_words,
)

__all__ = [
    "read_chunk",
    "read_fields",
    "read_header",
    "read_record",
    "read_refused",
    "write_chunk",
]

_Record = TypeVar("_Record")

# HDF5 1.10 is old enough to be read anywhere and checksums its own metadata
_FORMAT = ("v110", "v110")
_CHECKSUM = "content_sha256"
_UNREADABLE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    BinningMismatchError,
)


def write_chunk(path: Path, header: ProductHeader, chunk: Chunk[Any]) -> None:
    """Write the products of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file; equal content gives an equal file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk
        Records are dataclasses of arrays, numbers, words, tuples of words, and of
        such dataclasses. Whole numbers come back as int64 in arrays of any shape.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        with h5py.File(path, "w", libver=_FORMAT, locking=False) as file:
            checksums = {}
            records = file.create_group("records")
            for key in sorted(chunk.records):
                group = records.create_group(str(key))
                record = chunk.records[key]
                write_record(group, record)
                checksums[key] = group.attrs[_CHECKSUM] = digest(record)
            _write_refused(file.create_group("refused"), chunk.refused)
            file.attrs.update(asdict(header))
            file.attrs[_CHECKSUM] = _digest_file(header, checksums, chunk.refused)
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error})",
            where=str(path),
            fix="Check that the folder exists and has free space",
        ) from error


def read_chunk(path: Path, record_class: type[_Record]) -> Chunk[_Record]:
    """Read the products of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.
    record_class : type
        Dataclass of the records.

    Returns
    -------
    Chunk
        Records and refused, both in order of their numbers.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with _opened(path) as file:
        records: dict[int, _Record] = {}
        checksums: dict[int, str] = {}
        for key in _keys(file):
            group = file["records"][str(key)]
            records[key] = _read_checked(group, record_class, path)
            checksums[key] = str(group.attrs[_CHECKSUM])
        refused = _read_refused(file)
        expected = _digest_file(_read_header(file), checksums, refused)
        _require_checksum(file, expected, path)
    return Chunk(records=records, refused=refused)


def read_record(path: Path, key: int, record_class: type[_Record]) -> _Record:
    """Read the product of one run.

    Parameters
    ----------
    path : Path
        HDF5 file.
    key : int
        ``obs_id`` or ``stack_id``.
    record_class : type
        Dataclass of the record.

    Returns
    -------
    object
        The record.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    InputError
        If it has no such record.
    """
    with _opened(path) as file:
        if str(key) not in file["records"]:
            reason = _read_refused(file).get(key, "never made")
            raise InputError(
                what=f"has no record {key}: {reason}",
                where=str(path),
                fix="Leave it out, or remove the cause and run the stage again",
            )
        record: _Record = _read_checked(file["records"][str(key)], record_class, path)
        return record


def read_fields(
    path: Path, record_class: Any, names: Sequence[str]
) -> Chunk[dict[str, Any]]:
    """Read some fields of all records, and leave the other bytes alone.

    HDF5 checks its own sums on what is read; that of the whole record is not looked at.

    Parameters
    ----------
    path : Path
        HDF5 file.
    record_class : type
        Dataclass of the records.
    names : sequence of str
        Fields.

    Returns
    -------
    Chunk of dict of str to object
        Value of each field of each record.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    kinds = {name: field_kinds(record_class)[name] for name in names}
    with _opened(path) as file:
        records = {
            key: read_values(file["records"][str(key)], kinds) for key in _keys(file)
        }
        return Chunk(records=records, refused=_read_refused(file))


def read_header(path: Path) -> ProductHeader:
    """Read the origin of a product.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    ProductHeader
        Header.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with _opened(path) as file:
        return _read_header(file)


def read_refused(path: Path) -> dict[int, str]:
    """Read why products are missing.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    dict of int to str
        Reason for each number that has no record.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with _opened(path) as file:
        return _read_refused(file)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        # products are never changed in place, and locks fail on some site file systems
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except _UNREADABLE as error:
        raise _damaged(path, f"the file cannot be read ({error})") from error


def _damaged(path: Path, what: str) -> DamagedFileError:
    return DamagedFileError(
        what=what,
        where=str(path),
        fix="Run the stage again: the file will be set aside and made anew",
    )


def _write_refused(group: h5py.Group, refused: dict[int, str]) -> None:
    keys = sorted(refused)
    group.create_dataset("ids", data=np.array(keys, dtype=np.int64))
    write_words(group, "reasons", [refused[key] for key in keys])


def _keys(file: h5py.File) -> list[int]:
    return sorted(int(name) for name in file["records"])


def _read_header(file: h5py.File) -> ProductHeader:
    kinds = field_kinds(ProductHeader)
    return ProductHeader(**{name: kinds[name](file.attrs[name]) for name in kinds})


def _read_refused(file: h5py.File) -> dict[int, str]:
    group = file["refused"]
    keys = group["ids"][()].tolist()
    return dict(zip(keys, read_words(group["reasons"]), strict=True))


def _read_checked(group: h5py.Group, record_class: Any, path: Path) -> Any:
    record = record_class(**read_values(group, field_kinds(record_class)))
    _require_checksum(group, digest(record), path)
    return record


def _require_checksum(group: h5py.Group, expected: str, path: Path) -> None:
    if group.attrs[_CHECKSUM] != expected:
        raise _damaged(path, f"the checksum of {group.name} is wrong")


def _digest_file(
    header: ProductHeader, checksums: dict[int, str], refused: dict[int, str]
) -> str:
    whole = [asdict(header), sorted(checksums.items()), sorted(refused.items())]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()
