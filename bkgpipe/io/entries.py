"""Checkpoints of `export`: the values at bin centres, and what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import h5py

from bkgpipe.datamodel import Chunk, ExportEntry, NodeModel, ProductHeader, Seal
from bkgpipe.io.hdf5 import read_chunk, write_chunk
from bkgpipe.io.hdf5_columns import add_columns, read_columns

__all__ = [
    "read_entries",
    "read_node_models",
    "read_seals",
    "write_entries",
    "write_node_models",
]


_SEALS = "seals"
_SEAL_FIELDS = tuple(field.name for field in fields(Seal))


def write_entries(
    path: Path,
    header: ProductHeader,
    chunk: Chunk[ExportEntry],
    *,
    seals: Sequence[Seal],
) -> None:
    """Write what was written for each run.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of ExportEntry
        One entry for each run.
    seals : sequence of Seal
        Every file that was made for them.
    """

    def extend(file: h5py.File) -> None:
        add_columns(file, dict(enumerate(seals)), _SEAL_FIELDS, group=_SEALS)

    write_chunk(path, header, chunk, extend=extend)


def read_seals(path: Path) -> list[Seal]:
    """Read which files a chunk stands for.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    list of Seal
        Name, size and checksum of each.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    found = read_columns(path, Seal, _SEAL_FIELDS, group=_SEALS)
    return [Seal(**values) for values in found.records.values()]


def read_entries(path: Path) -> Chunk[ExportEntry]:
    """Read what was written for each run.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of ExportEntry
        One entry for each run.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_chunk(path, ExportEntry)


def write_node_models(
    path: Path, header: ProductHeader, chunk: Chunk[NodeModel]
) -> None:
    """Write the models of stacks as values at bin centres.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of NodeModel
        One model for each stack.
    """
    write_chunk(path, header, chunk)


def read_node_models(path: Path) -> Chunk[NodeModel]:
    """Read the models of stacks as values at bin centres.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of NodeModel
        One model for each stack.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_chunk(path, NodeModel)
