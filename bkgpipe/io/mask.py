"""Checkpoints of `mask`: the exclusion mask of each run."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import Chunk, ExclusionMask, ProductHeader
from bkgpipe.io.hdf5 import read_chunk, write_chunk

__all__ = ["read_masks", "write_masks"]


def write_masks(path: Path, header: ProductHeader, chunk: Chunk[ExclusionMask]) -> None:
    """Write the masks of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of ExclusionMask
        The masks, and reasons where there are none.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_chunk(path, header, chunk)


def read_masks(path: Path) -> Chunk[ExclusionMask]:
    """Read the masks of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of ExclusionMask
        The masks, and reasons where there are none.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_chunk(path, ExclusionMask)
