"""Checkpoints of `rank`: the runs taken for each target."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import Chunk, ProductHeader, Ranking
from bkgpipe.io.hdf5 import read_chunk, write_chunk

__all__ = ["read_rankings", "write_rankings"]


def write_rankings(path: Path, header: ProductHeader, chunk: Chunk[Ranking]) -> None:
    """Write the rankings of a block of target runs.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of Ranking
        The rankings, and reasons where there are none.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_chunk(path, header, chunk)


def read_rankings(path: Path) -> Chunk[Ranking]:
    """Read the rankings of a block of target runs.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of Ranking
        The rankings, and reasons where there are none.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_chunk(path, Ranking)
