"""HDF5 files of tables that have a row for each run, and a checksum of each value.

The attributes of a file are the `ProductHeader`, ``tables`` and ``content_sha256``. A
table is a group of columns, with the numbers of its rows in ``ids`` and the SHA-256 of
each value in ``sums``. Whoever reads a value compares it with its sum; that of ``ids``
and ``sums`` is in ``tables``, and that of all attributes in ``content_sha256``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a

from bkgpipe.core.product import ProductHeader
from bkgpipe.core.regular import require_regular
from bkgpipe.errors import OutputError
from bkgpipe.product.arrays import (
    Rows,
    member,
    read_array,
    read_attribute,
    read_rows,
    row_sums,
    write_rows,
)
from bkgpipe.product.damage import WrongSumError, reading
from bkgpipe.product.fields import (
    column_kinds,
    field_columns,
    field_kinds,
    from_rows,
    to_rows,
)

__all__ = ["OpenFile", "opened", "read_header", "visit_all", "write_tables"]

_TABLES, _CHECKSUM, _IDS, _SUMS, _SIZE = "tables", "content_sha256", "ids", "sums", 32
# HDF5 1.10 is old enough to be read anywhere and checksums its own metadata
_FORMAT = ("v110", "v110")


def write_tables(
    path: Path, header: ProductHeader, tables: Mapping[str, Mapping[int, Any]]
) -> None:
    """Write tables to a file, built in memory and written at once.

    HDF5 that finds the disk full in the middle of a file ends the process with a
    segmentation fault, or raises what is no OSError.

    Parameters
    ----------
    path : Path
        HDF5 file; equal content gives an equal file.
    header : ProductHeader
        Origin of the product.
    tables : mapping of str to mapping of int to object
        Rows of each table by their numbers: dataclasses as of `field_kinds`. Whole
        numbers come back as int64 in arrays of any shape.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content = BytesIO()
    try:
        with h5py.File(content, "w", libver=_FORMAT) as file:
            sums = {
                name: _write_table(file.create_group(name), rows)
                for name, rows in sorted(tables.items())
                if rows
            }
            _write_attributes(file, header, sums)
        path.write_bytes(content.getbuffer())
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error.strerror or error})",
            where=str(path),
            fix="Check that the folder exists and has free space",
        ) from error


def _write_table(group: h5py.Group, rows: Mapping[int, Any]) -> str:
    keys = sorted(rows)
    records = [rows[key] for key in keys]
    record_class: Any = type(records[0])
    kinds = column_kinds(record_class)
    found = (
        write_rows(group, name, to_rows(name, kind, records))
        for name, kind in kinds.items()
    )
    # the first axis of everything is the run
    by_row = b"".join(chain.from_iterable(zip(*found, strict=True)))
    sums = np.frombuffer(by_row, np.uint8).reshape(len(keys), len(kinds), _SIZE)
    ids = np.array(keys, dtype=np.int64)
    group.create_dataset(_IDS, data=ids)
    group.create_dataset(_SUMS, data=sums)
    return _table_sum(ids, sums)


def _write_attributes(
    file: h5py.File, header: ProductHeader, sums: Mapping[str, str]
) -> None:
    values = asdict(header)
    values |= {_TABLES: json.dumps(sums), _CHECKSUM: _digest(values, sums)}
    for name, value in values.items():
        if isinstance(value, str):
            text = value.encode()
            dtype = h5py.string_dtype(length=max(1, len(text)))
            file.attrs.create(name, text, dtype=dtype)
        else:
            file.attrs[name] = value


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
        return file.header


@contextmanager
def opened(path: Path | OpenFile) -> Iterator[OpenFile]:
    """Open a file, and look whether its header is what was written.

    Parameters
    ----------
    path : Path or OpenFile
        HDF5 file; one that is open is left so, for the block that opened it to close.

    Yields
    ------
    OpenFile
        The file; whatever cannot be read in the block is damage.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    if isinstance(path, OpenFile):
        yield path
        return
    # products are never changed in place, and locks fail on some site file systems
    with reading(path):
        require_regular(path)
        with h5py.File(path, "r", locking=False) as file:
            yield OpenFile(file, path)


def visit_all(path: Path) -> None:
    """Read every attribute, value and name of a file, needed by a product or not.

    The library compares its own checksums of what it reads: also those of the parts
    that are passed over when values are asked for by their names.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Raises
    ------
    DamagedFileError
        If any of it cannot be read.
    """
    with reading(path), h5py.File(path, "r", locking=False) as file:
        dict(file.attrs)
        file.visititems(_visit)


def _visit(_name: str, item: h5py.Group | h5py.Dataset) -> None:
    dict(item.attrs)
    if isinstance(item, h5py.Dataset):
        item[()]


class OpenFile:
    """A file that `opened` has opened.

    Parameters
    ----------
    file : h5py.File
        The file.
    path : Path
        Where it is.

    Attributes
    ----------
    path : Path
        Where it is.
    header : ProductHeader
        Origin of the product.
    """

    def __init__(self, file: h5py.File, path: Path) -> None:
        if not h5a.exists(file.id, _TABLES.encode()):
            raise ValueError("its layout is not that of this version of bkgpipe")
        self.path = path
        self._file = file
        self._known: dict[str, tuple[list[int], np.ndarray]] = {}
        self.header = _read_header(file)
        self._sums: dict[str, str] = json.loads(read_attribute(file, _TABLES))
        expected = _digest(asdict(self.header), self._sums)
        if read_attribute(file, _CHECKSUM) != expected:
            raise WrongSumError("the checksum of the header is wrong")

    def ids(self, table: str) -> list[int]:
        """Read the numbers of the rows of a table.

        Parameters
        ----------
        table : str
            Its name.

        Returns
        -------
        list of int
            Numbers in increasing order; none for a table that was not written.
        """
        return self._read_table(table)[0]

    def row_sums(self, table: str) -> dict[int, str]:
        """Return the checksum of each row of a table, without reading the rows.

        Parameters
        ----------
        table : str
            Its name.

        Returns
        -------
        dict of int to str
            SHA-256 of number and row.
        """
        ids, sums = self._read_table(table)
        return {
            key: hashlib.sha256(f"{key} {row.tobytes().hex()}".encode()).hexdigest()
            for key, row in zip(ids, sums, strict=True)
        }

    def read(
        self,
        table: str,
        record_class: Any,
        names: Sequence[str],
        *,
        index: Sequence[int] | None = None,
    ) -> dict[str, Rows | list[Any]]:
        """Read fields of the rows of a table, and leave the other bytes alone.

        Parameters
        ----------
        table : str
            Its name.
        record_class : type
            Dataclass of its rows.
        names : sequence of str
            Fields.
        index : sequence of int, optional
            Places of the rows to read; all when not given.

        Returns
        -------
        dict of str to rows
            For each field a value for each row, those of small arrays stacked; nothing
            for a table without rows.
        """
        ids, sums = self._read_table(table)
        if not ids:
            return {}
        if index is not None:
            ids, sums = [ids[i] for i in index], sums[index]
        group, place = member(self._file, table), list(column_kinds(record_class))
        columns: dict[str, Rows] = {}
        for name in (each for of in names for each in field_columns(record_class, of)):
            rows = read_rows(group, name, index)
            _require_sums(name, rows, sums[:, place.index(name)], ids)
            columns[name] = rows
        kinds = field_kinds(record_class)
        return {name: from_rows(name, kinds[name], columns) for name in names}

    def _read_table(self, table: str) -> tuple[list[int], np.ndarray]:
        """Read the numbers and checksums of all rows, none lost or added."""
        if table in self._known:
            return self._known[table]
        if table not in self._sums:
            return [], np.empty((0, 0, _SIZE), dtype=np.uint8)
        group = member(self._file, table)
        ids = read_array(group, _IDS)
        sums = read_array(group, _SUMS)
        if self._sums[table] != _table_sum(ids, sums):
            raise WrongSumError(f"the checksum of {table} is wrong")
        self._known[table] = ids.tolist(), sums
        return self._known[table]


def _read_header(file: h5py.File) -> ProductHeader:
    kinds = field_kinds(ProductHeader)
    values = {name: kind(read_attribute(file, name)) for name, kind in kinds.items()}
    return ProductHeader(**values)


def _require_sums(name: str, rows: Rows, sums: np.ndarray, ids: list[int]) -> None:
    found = row_sums(name, rows)
    if len(found) != len(ids):
        raise ValueError(f"{name} is of other runs")
    if b"".join(found) != sums.tobytes():
        each = zip(ids, found, sums, strict=True)
        wrong = next(key for key, row, known in each if row != known.tobytes())
        raise WrongSumError(f"the checksum of {name} of {wrong} is wrong")


def _table_sum(ids: np.ndarray, sums: np.ndarray) -> str:
    total = hashlib.sha256(f"{ids.shape}{sums.shape}".encode())
    total.update(np.ascontiguousarray(ids).data)
    total.update(np.ascontiguousarray(sums).data)
    return total.hexdigest()


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
