"""Checkpoints of `rank`: all candidates, and the runs taken for each target."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import Candidates, Chunk, ProductHeader, Ranking
from bkgpipe.io.hdf5 import read_chunk, read_record, write_chunk

__all__ = [
    "read_candidates",
    "read_rankings",
    "write_candidates",
    "write_rankings",
]


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


def write_candidates(path: Path, header: ProductHeader, candidates: Candidates) -> None:
    """Write the candidates of all targets.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    candidates : Candidates
        The candidates.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_chunk(path, header, Chunk(records={0: candidates}))


def read_candidates(path: Path) -> Candidates:
    """Read the candidates of all targets.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Candidates
        The candidates.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_record(path, 0, Candidates)
