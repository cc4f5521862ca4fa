"""Dataclasses as HDF5 groups, with checksums that are verified on reading.

A file has the `ProductHeader` as attributes, one group ``records/<id>`` for each
record, and ``refused/ids`` and ``refused/reasons``. HDF5 itself has sums of some of its
blocks only, so every value has one of ours, and what is read is compared with it: the
sums of fields are summed up in their record, those of records and refused in the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from bkgpipe.datamodel import Chunk, ProductHeader
from bkgpipe.errors import InputError, OutputError
from bkgpipe.io.damage import WrongSumError, reading
from bkgpipe.io.hdf5_arrays import (
    member,
    read_array,
    read_attribute,
    read_words,
    write_words,
)
from bkgpipe.io.hdf5_build import built
from bkgpipe.io.hdf5_fields import (
    field_kinds,
    field_sum,
    read_values,
    write_record,
)
from bkgpipe.io.regular import require_regular

__all__ = [
    "chunk_refused",
    "opened",
    "read_checksums",
    "read_chunk",
    "read_fields",
    "read_header",
    "read_record",
    "read_refused",
    "write_chunk",
]

_Record = TypeVar("_Record")

_CHECKSUM = "content_sha256"
_FIELDS, _RECORDS, _REFUSED = "fields_sha256", "records_sha256", "refused_sha256"


def write_chunk(
    path: Path,
    header: ProductHeader,
    chunk: Chunk[Any],
    *,
    extend: Callable[[h5py.File], None] = lambda _file: None,
) -> None:
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
    extend : callable, optional
        Adds groups of its own to the file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        with built(path) as file:
            records = file.create_group("records")
            checksums = {
                key: _write_checked(records.create_group(str(key)), key, record)
                for key, record in sorted(chunk.records.items())
            }
            _write_refused(file.create_group("refused"), chunk.refused)
            parts = [
                _digest(sorted(each.items())) for each in (checksums, chunk.refused)
            ]
            file.attrs.update(asdict(header))
            file.attrs[_RECORDS], file.attrs[_REFUSED] = parts
            file.attrs[_CHECKSUM] = _digest(asdict(header), *parts)
            extend(file)
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error.strerror or error})",
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
    kind: Any = record_class
    found = read_fields(path, kind, tuple(field_kinds(kind)))
    # records refuse arrays that do not fit together
    with reading(path):
        records = {key: record_class(**values) for key, values in found.records.items()}
    return Chunk(records=records, refused=found.refused)


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
    with opened(path) as file:
        if str(key) not in member(file, "records"):
            _sums(file)  # that none is lost
            reason = chunk_refused(file).get(key, "never made")
            raise InputError(
                what=f"has no record {key}: {reason}",
                where=str(path),
                fix="Leave it out, or remove the cause and run the stage again",
            )
        kind: Any = record_class
        values, _ = _read_checked(file, key, kind, field_kinds(kind))
        return record_class(**values)


def read_fields(
    path: Path,
    record_class: Any,
    names: Sequence[str],
    *,
    keys: Sequence[int] | None = None,
) -> Chunk[dict[str, Any]]:
    """Read some fields of all records, and leave the other bytes alone.

    Parameters
    ----------
    path : Path
        HDF5 file.
    record_class : type
        Dataclass of the records.
    names : sequence of str
        Fields.
    keys : sequence of int, optional
        Records to read; all when not given.

    Returns
    -------
    Chunk of dict of str to object
        Value of each field of each record.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    records: dict[int, dict[str, Any]] = {}
    checksums: dict[int, str] = {}
    with opened(path) as file:
        for key in _keys(file) if keys is None else keys:
            records[key], checksums[key] = _read_checked(file, key, record_class, names)
        if keys is None:
            _require_sum(file, _RECORDS, _digest(sorted(checksums.items())))
        return Chunk(records=records, refused=chunk_refused(file))


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
    with opened(path) as file:
        return _read_header(file)


def read_checksums(path: Path) -> dict[int, str]:
    """Read the checksum of each product of a block, without reading the products.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    dict of int to str
        Checksum of each record.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with opened(path) as file:
        return _sums(file)


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
    with opened(path) as file:
        return chunk_refused(file)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file, and look whether its header is what was written.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Yields
    ------
    h5py.File
        The file; whatever cannot be read in the block is damage.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    # products are never changed in place, and locks fail on some site file systems
    with reading(path):
        require_regular(path)
        with h5py.File(path, "r", locking=False) as file:
            parts = [str(read_attribute(file, name)) for name in (_RECORDS, _REFUSED)]
            _require_sum(file, _CHECKSUM, _digest(asdict(_read_header(file)), *parts))
            yield file


def chunk_refused(file: h5py.File) -> dict[int, str]:
    """Read why products are missing, from a file that `opened` has opened.

    Parameters
    ----------
    file : h5py.File
        The file.

    Returns
    -------
    dict of int to str
        Reason for each number that has no record.

    Raises
    ------
    WrongSumError
        If they are not what was written.
    """
    # the header, whose checksum was found right, tells whether there are any
    if read_attribute(file, _REFUSED) == _NONE_REFUSED:
        return {}
    group = member(file, "refused")
    keys = read_array(group, "ids").tolist()
    refused = dict(zip(keys, read_words(group, "reasons"), strict=True))
    _require_sum(file, _REFUSED, _digest(sorted(refused.items())))
    return refused


def _write_checked(group: h5py.Group, key: int, record: Any) -> str:
    """Write a record with the sums of its fields; return that of the whole."""
    write_record(group, record)
    kinds = field_kinds(record.__class__)
    sums = b"".join(
        field_sum(name, kinds[name], getattr(record, name)) for name in kinds
    )
    group.attrs[_FIELDS] = np.frombuffer(sums, dtype=np.uint8)
    group.attrs[_CHECKSUM] = _digest(key, sums.hex())
    return str(group.attrs[_CHECKSUM])


def _read_checked(
    file: h5py.File, key: int, record_class: Any, names: Iterable[str]
) -> tuple[dict[str, Any], str]:
    """Read fields of a record that are what was written, and the sum of the whole."""
    group = member(member(file, "records"), str(key))
    sums = np.asarray(group.attrs[_FIELDS], dtype=np.uint8).tobytes()
    _require_sum(group, _CHECKSUM, _digest(key, sums.hex()))
    kinds = field_kinds(record_class)
    place = {name: slice(32 * i, 32 * i + 32) for i, name in enumerate(kinds)}
    values = read_values(group, {name: kinds[name] for name in names})
    for name, value in values.items():
        if field_sum(name, kinds[name], value) != sums[place[name]]:
            raise WrongSumError(f"the checksum of {group.name}/{name} is wrong")
    return values, str(read_attribute(group, _CHECKSUM))


def _sums(file: h5py.File) -> dict[int, str]:
    """Read the checksums of all records that were written, none lost or added."""
    records = member(file, "records")
    sums = {
        key: str(read_attribute(member(records, str(key)), _CHECKSUM))
        for key in _keys(file)
    }
    _require_sum(file, _RECORDS, _digest(sorted(sums.items())))
    return sums


def _require_sum(group: h5py.Group, name: str, expected: str) -> None:
    if read_attribute(group, name) != expected:
        raise WrongSumError(f"the checksum of {group.name} is wrong")


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


_NONE_REFUSED = _digest([])


def _write_refused(group: h5py.Group, refused: dict[int, str]) -> None:
    keys = sorted(refused)
    group.create_dataset("ids", data=np.array(keys, dtype=np.int64))
    write_words(group, "reasons", [refused[key] for key in keys])


def _keys(file: h5py.File) -> list[int]:
    return sorted(int(name) for name in member(file, "records"))


def _read_header(file: h5py.File) -> ProductHeader:
    kinds = field_kinds(ProductHeader)
    values = {name: kind(read_attribute(file, name)) for name, kind in kinds.items()}
    return ProductHeader(**values)
