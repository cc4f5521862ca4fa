"""Checkpoints: HDF5 files with the products of a block of runs.

The table ``records`` has a row for each product, ``refused`` one for each run (or
stack) without one. A file may have further tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import InputError
from bkgpipe.product.fields import field_kinds
from bkgpipe.product.hdf5 import OpenFile, opened, write_tables

__all__ = [
    "ChunkFile",
    "Columns",
    "read_checksums",
    "read_identities",
    "read_refused",
    "read_table",
]

_Record = TypeVar("_Record")
_RECORDS, _REFUSED, _IDENTITIES = "records", "refused", "identities"


@dataclass(frozen=True, kw_only=True)
class _Note:
    """A word on a run."""

    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Some fields of the products of a file, those of each field together.

    Attributes
    ----------
    keys : tuple of int
        Numbers of the products, ``n_records``.
    values : dict of str to sequence
        For each field a value for each product, those of small arrays stacked; nothing
        without products.
    refused : dict of int to str
        Reason for each number that has no product.
    """

    keys: tuple[int, ...]
    values: dict[str, Any]
    refused: dict[int, str]


@dataclass(frozen=True)
class ChunkFile(Generic[_Record]):
    """A kind of file: what its products are.

    Attributes
    ----------
    record_class : type
        Dataclass of arrays, numbers, words, tuples of words, and of such dataclasses.
    """

    record_class: type[_Record]

    def write(
        self,
        path: Path,
        header: ProductHeader,
        chunk: Chunk[_Record],
        *,
        identities: Mapping[int, str] | None = None,
        tables: Mapping[str, Mapping[int, Any]] | None = None,
    ) -> None:
        """Write the products of a block of runs.

        Parameters
        ----------
        path : Path
            HDF5 file; equal content gives an equal file.
        header : ProductHeader
            Origin of the product.
        chunk : Chunk
            Products, and reasons where there are none.
        identities : mapping of int to str, optional
            Digest of what each run was made from, refused ones included.
        tables : mapping of str to mapping of int to object, optional
            Further tables, for `read_table`.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        notes = {_REFUSED: chunk.refused, _IDENTITIES: identities or {}}
        rows = {
            name: {key: _Note(text=text) for key, text in each.items()}
            for name, each in notes.items()
        }
        write_tables(path, header, {_RECORDS: chunk.records, **rows, **(tables or {})})

    def read(
        self, path: Path | OpenFile, *, keys: Sequence[int] | None = None
    ) -> Chunk[_Record]:
        """Read the products of a block of runs.

        Parameters
        ----------
        path : Path or OpenFile
            HDF5 file.
        keys : sequence of int, optional
            Numbers of those to read; all when not given.

        Returns
        -------
        Chunk
            Products in order of their numbers, or in that asked for; refused in order.

        Raises
        ------
        DamagedFileError
            If the file is not what was written.
        InputError
            If it has no such product.
        """
        kind: Any = self.record_class
        # records refuse arrays that do not fit together
        with opened(path) as file:
            found = self.read_fields(file, tuple(field_kinds(kind)), keys=keys)
            records = {
                key: self.record_class(**values)
                for key, values in found.records.items()
            }
        return Chunk(records=records, refused=found.refused)

    def write_one(self, path: Path, header: ProductHeader, record: _Record) -> None:
        """Write the only product of a file, under the number 0.

        Parameters
        ----------
        path : Path
            HDF5 file.
        header : ProductHeader
            Origin of the product.
        record : object
            The product.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        self.write(path, header, Chunk(records={0: record}))

    def read_one(self, path: Path, key: int = 0) -> _Record:
        """Read the product of one run.

        Parameters
        ----------
        path : Path
            HDF5 file.
        key : int
            ``obs_id`` or ``stack_id``; 0 for the only product of a file.

        Returns
        -------
        object
            The product.

        Raises
        ------
        DamagedFileError
            If the file is not what was written.
        InputError
            If it has no such product.
        """
        return self.read(path, keys=[key]).records[key]

    def read_fields(
        self,
        path: Path | OpenFile,
        names: Sequence[str],
        *,
        keys: Sequence[int] | None = None,
    ) -> Chunk[dict[str, Any]]:
        """Read some fields of products, and leave the other bytes alone.

        Parameters
        ----------
        path : Path or OpenFile
            HDF5 file.
        names : sequence of str
            Fields.
        keys : sequence of int, optional
            Numbers of the products; all when not given.

        Returns
        -------
        Chunk of dict of str to object
            Value of each field of each product; they may share equal structures.

        Raises
        ------
        DamagedFileError
            If the file is not what was written.
        InputError
            If it has no such product.
        """
        found = self.read_columns(path, names, keys=keys)
        rows = zip(*found.values.values(), strict=True)
        records = (dict(zip(names, row, strict=True)) for row in rows)
        return Chunk(
            records=dict(zip(found.keys, records, strict=True)), refused=found.refused
        )

    def read_columns(
        self,
        path: Path | OpenFile,
        names: Sequence[str],
        *,
        keys: Sequence[int] | None = None,
    ) -> Columns:
        """Read some fields of products, those of each field together.

        Parameters
        ----------
        path : Path or OpenFile
            HDF5 file.
        names : sequence of str
            Fields.
        keys : sequence of int, optional
            Numbers of the products; all when not given.

        Returns
        -------
        Columns
            The fields.

        Raises
        ------
        DamagedFileError
            If the file is not what was written.
        InputError
            If it has no such product.
        """
        with opened(path) as file:
            known, refused = file.ids(_RECORDS), _read_notes(file, _REFUSED)
            index = None
            if keys is not None:
                places = {key: place for place, key in enumerate(known)}
                _require_known(keys, places, refused, where=str(file.path))
                index = [places[key] for key in keys]
            values = file.read(_RECORDS, self.record_class, names, index=index)
            found = known if keys is None else keys
            return Columns(keys=tuple(found), values=values, refused=refused)


def _require_known(
    keys: Sequence[int],
    places: Mapping[int, int],
    refused: dict[int, str],
    *,
    where: str,
) -> None:
    missing = [key for key in keys if key not in places]
    if missing:
        reason = refused.get(missing[0], "never made")
        raise InputError(
            what=f"has no record {missing[0]}: {reason}",
            where=where,
            fix="Leave it out, or remove the cause and run the stage again",
        )


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
        return file.row_sums(_RECORDS)


def read_refused(path: Path | OpenFile) -> dict[int, str]:
    """Read why products are missing.

    Parameters
    ----------
    path : Path or OpenFile
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
        return _read_notes(file, _REFUSED)


def read_identities(path: Path | OpenFile) -> dict[int, str]:
    """Read what the runs of a file were made from.

    Parameters
    ----------
    path : Path or OpenFile
        HDF5 file.

    Returns
    -------
    dict of int to str
        Digest of each run, refused ones included.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with opened(path) as file:
        return _read_notes(file, _IDENTITIES)


def read_table(
    path: Path | OpenFile, name: str, record_class: type[_Record]
) -> dict[int, _Record]:
    """Read a further table of a file.

    Parameters
    ----------
    path : Path or OpenFile
        HDF5 file.
    name : str
        Its name.
    record_class : type
        Dataclass of its rows.

    Returns
    -------
    dict of int to object
        Rows by their numbers; none for a table that was not written.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    with opened(path) as file:
        return _read_rows(file, name, record_class)


def _read_rows(
    file: OpenFile, name: str, record_class: type[_Record]
) -> dict[int, _Record]:
    kind: Any = record_class
    ids, values = file.ids(name), file.read(name, kind, tuple(field_kinds(kind)))
    rows = zip(*values.values(), strict=True)
    records = (record_class(**dict(zip(values, row, strict=True))) for row in rows)
    return dict(zip(ids, records, strict=True))


def _read_notes(file: OpenFile, name: str) -> dict[int, str]:
    return {key: note.text for key, note in _read_rows(file, name, _Note).items()}
