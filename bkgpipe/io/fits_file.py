"""FITS files that are the same bytes for the same content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from isal import igzip

from bkgpipe.errors import OutputError

__all__ = ["row_table", "write_content", "write_hdus"]


def write_content(path: Path, content: bytes, *, compress: bool = False) -> None:
    """Write a file.

    Parameters
    ----------
    path : Path
        The file; its name does not matter, so that it can be a temporary one.
    content : bytes
        What to write.
    compress : bool
        Write it as gzip, without a time in its header.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        path.write_bytes(igzip.compress(content, 2, mtime=0) if compress else content)
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error.strerror})",
            where=str(path),
            fix="Give a file in an existing folder with free space",
        ) from error


def write_hdus(
    path: Path, hdus: Sequence[fits.hdu.base._BaseHDU], *, compress: bool = False
) -> None:
    """Write a FITS file.

    Parameters
    ----------
    path : Path
        The file; its name does not matter, so that it can be a temporary one.
    hdus : sequence of HDU
        A primary HDU and extensions.
    compress : bool
        Write it as gzip, without a time in its header.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    buffer = BytesIO()
    fits.HDUList(list(hdus)).writeto(buffer)
    write_content(path, buffer.getvalue(), compress=compress)


def row_table(
    name: str, cells: Mapping[str, tuple[np.ndarray, str]]
) -> fits.BinTableHDU:
    """Return a table of one row, each cell of which is a whole array.

    Parameters
    ----------
    name : str
        Name of the HDU.
    cells : mapping of str to tuple of np.ndarray and str
        Array, any shape, and unit as FITS writes it, of each column.

    Returns
    -------
    fits.BinTableHDU
        Table of float64; the axes of a cell in FITS order are the reversed ones.
    """
    # Big-endian from the start: to swap later costs astropy 15 ms for a model
    row = np.empty(
        1, [(key, ">f8", values.shape) for key, (values, _) in cells.items()]
    )
    for key, (values, _) in cells.items():
        row[key][0] = values
    table = fits.BinTableHDU(row.view(fits.FITS_rec), name=name)
    for key, (_, unit) in cells.items():
        table.columns[key].unit = unit or None
    return table
