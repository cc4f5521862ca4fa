"""Checkpoint of a regression over all runs."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import Chunk, ProductHeader, RegressionFit
from bkgpipe.io.hdf5 import read_record, write_chunk

__all__ = ["read_fit", "write_fit"]

_KEY = 0


def write_fit(path: Path, header: ProductHeader, fit: RegressionFit) -> None:
    """Write a fit.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    fit : RegressionFit
        The fit.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_chunk(path, header, Chunk(records={_KEY: fit}))


def read_fit(path: Path) -> RegressionFit:
    """Read a fit.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    RegressionFit
        The fit.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_record(path, _KEY, RegressionFit)
