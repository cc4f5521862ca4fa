"""Checkpoints of `mask`: the exclusion mask of each run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py

from bkgpipe.datamodel import Chunk, ExclusionMask, ProductHeader
from bkgpipe.io.hdf5 import read_chunk, write_chunk
from bkgpipe.io.identities import add_identities

__all__ = ["read_masks", "write_masks"]


def write_masks(
    path: Path,
    header: ProductHeader,
    chunk: Chunk[ExclusionMask],
    *,
    identities: Mapping[int, str] | None = None,
) -> None:
    """Write the masks of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of ExclusionMask
        The masks, and reasons where there are none.
    identities : mapping of int to str, optional
        Digest of what each run was made from.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """

    def extend(file: h5py.File) -> None:
        add_identities(file, identities or {})

    write_chunk(path, header, chunk, extend=extend)


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
