"""Checkpoints of `smooth`: the rate of each stack."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import Chunk, ProductHeader, RateModel
from bkgpipe.io.hdf5 import read_chunk, write_chunk

__all__ = ["read_models", "write_models"]


def write_models(path: Path, header: ProductHeader, chunk: Chunk[RateModel]) -> None:
    """Write the rates of a block of stacks.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of RateModel
        The rates, and reasons where there are none.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_chunk(path, header, chunk)


def read_models(path: Path) -> Chunk[RateModel]:
    """Read the rates of a block of stacks.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of RateModel
        The rates, and reasons where there are none.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_chunk(path, RateModel)
