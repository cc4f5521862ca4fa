"""Checkpoints of `export`: the values at bin centres, and what was written."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import Chunk, ExportEntry, NodeModel, ProductHeader
from bkgpipe.io.hdf5 import read_chunk, write_chunk

__all__ = ["read_entries", "read_node_models", "write_entries", "write_node_models"]


def write_entries(path: Path, header: ProductHeader, chunk: Chunk[ExportEntry]) -> None:
    """Write what was written for each run.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of ExportEntry
        One entry for each run.
    """
    write_chunk(path, header, chunk)


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
