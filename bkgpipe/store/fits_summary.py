"""What is in a FITS file, in words."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from bkgpipe.errors import InputError
from bkgpipe.store.cards import mend_headers
from bkgpipe.store.files import inflate, read_content
from bkgpipe.store.gadf_names import QUALITY_BITS, QUALITY_HDU_NAME
from bkgpipe.store.values import read_number, read_value, read_word
from bkgpipe.text import printable

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
    "SYSERR",
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
    where = str(path)
    content = inflate(read_content(path, where=where), where=where)
    try:
        with warnings.catch_warnings():
            # astropy only warns of an HDU that is cut off, and leaves it out
            warnings.simplefilter("error", AstropyUserWarning)
            with fits.open(BytesIO(mend_headers(content))) as hdus:
                shown = [hdu for hdu in hdus if hdu.data is not None]
                lines = [line for hdu in shown for line in _hdu(hdu, where)]
                return "\n".join([*lines, *_relative_error(hdus)])
    except (OSError, ValueError, TypeError, AstropyUserWarning) as error:
        raise InputError(
            what=f"is not whole FITS ({error})",
            where=where,
            fix="Make the file again, or name another one",
        ) from error


def _hdu(
    hdu: fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU, where: str
) -> list[str]:
    lines = [f"HDU {hdu.name or 'PRIMARY'}"]
    found = [_keyword(hdu.header, key) for key in _KEYWORDS if key in hdu.header]
    if found:
        lines.append("  " + ", ".join(found))
    more = (*_energies(hdu.header, where), *_beyond(hdu.header))
    lines += [f"  {line}" for line in more]
    if isinstance(hdu, fits.BinTableHDU):
        columns = [_column(column, hdu.data) for column in hdu.columns]
        return [*lines, f"  {len(hdu.data)} rows", *columns, *_quality(hdu)]
    return [*lines, f"  shape {hdu.data.shape}{_range(hdu.data)}"]


def _keyword(header: fits.Header, key: str) -> str:
    value = read_value(header, key)
    shown = f"{value:.6g}" if isinstance(value, float) else printable(str(value))
    return f"{key} {shown}"


def _energies(header: fits.Header, where: str) -> list[str]:
    """Energies that have events, and the safe energy, of a background model."""
    lines = []
    low, high, safe = (
        read_number(header, key, where=where, expected="an energy")
        for key in ("EFITLO", "EFITHI", "ESAFELO")
    )
    if np.isfinite([low, high]).all():
        lines.append(f"Energies with events: EFITLO {low:.6g} to EFITHI {high:.6g} TeV")
    if np.isfinite(safe):
        lines.append(f"Safe from ESAFELO {safe:.6g} TeV on")
    return lines


def _beyond(header: fits.Header) -> list[str]:
    """Conditions of the run beyond the fit."""
    return [f"Beyond the fit: {read_word(header, key)}" for key in header["EXCURS*"]]


def _quality(hdu: fits.BinTableHDU) -> list[str]:
    """Bins of a background model that have each bit of the quality set."""
    if hdu.name != QUALITY_HDU_NAME:
        return []
    bits = np.asarray(hdu.data["QUALITY"])
    return [
        f"  bit {bit} in {np.count_nonzero(bits & bit)} of {bits.size} bins ({words})"
        for bit, words in QUALITY_BITS.items()
    ]


def _relative_error(hdus: fits.HDUList) -> list[str]:
    """Statistical error of a background model, as part of its rate."""
    if not {"BACKGROUND", "BACKGROUND_ERROR"} <= {hdu.name for hdu in hdus}:
        return []
    error = hdus["BACKGROUND_ERROR"].data["BKG_ERR"] / hdus["BACKGROUND"].data["BKG"]
    limits = f"{error.min():.2%} to {error.max():.2%}"
    return [f"Statistical error: {limits} of the rate, median {np.median(error):.2%}"]


def _column(column: fits.Column, data: fits.FITS_rec) -> str:
    values = np.asarray(data[column.name])
    unit = f" [{column.unit}]" if column.unit else ""
    return f"  {column.name}{unit} {values.shape[1:] or ''}{_range(values)}"


def _range(values: np.ndarray) -> str:
    if values.dtype.kind not in "iuf":
        return ""
    known = values[~np.isnan(values)]
    return f" from {known.min():.6g} to {known.max():.6g}" if known.size else ""
