"""What is in a FITS file, in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.errors import InputError

__all__ = ["read_fits_summary"]

_KEYWORDS = (
    "HDUCLAS4",
    "FOVALIGN",
    "TELESCOP",
    "CREATOR",
    "FPRINT",
    "OBS_ID",
    "NRUNS",
    "HOURS",
    "ZENITH",
    "DEADC",
    "NFILLED",
)


def read_fits_summary(path: Path) -> str:
    """Read the kind, axes and range of each HDU.

    Parameters
    ----------
    path : Path
        FITS file, compressed or not.

    Returns
    -------
    str
        A few lines for each HDU that holds data.

    Raises
    ------
    InputError
        If the file is not whole FITS.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            lines = [line for hdu in hdus if hdu.data is not None for line in _hdu(hdu)]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            what=f"is not whole FITS ({error})",
            where=str(path),
            fix="Make the file again, or name another one",
        ) from error
    return "\n".join(lines)


def _hdu(hdu: fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU) -> list[str]:
    lines = [f"HDU {hdu.name or 'PRIMARY'}"]
    found = [f"{key} {hdu.header[key]}" for key in _KEYWORDS if key in hdu.header]
    if found:
        lines.append("  " + ", ".join(found))
    if isinstance(hdu, fits.BinTableHDU):
        columns = [_column(column, hdu.data) for column in hdu.columns]
        return [*lines, f"  {len(hdu.data)} rows", *columns]
    return [*lines, f"  shape {hdu.data.shape}{_range(hdu.data)}"]


def _column(column: fits.Column, data: fits.FITS_rec) -> str:
    values = np.asarray(data[column.name])
    unit = f" [{column.unit}]" if column.unit else ""
    return f"  {column.name}{unit} {values.shape[1:] or ''}{_range(values)}"


def _range(values: np.ndarray) -> str:
    if values.dtype.kind not in "iuf" or values.size == 0:
        return ""
    return f" from {np.nanmin(values):.6g} to {np.nanmax(values):.6g}"
