"""From the units and clocks of other people's files to those of the package."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import Time

from bkgpipe.errors import InputError

__all__ = ["mjd_reference", "to_unit"]

_SPELLINGS = {
    "deg.": "deg",
    "degree": "deg",
    "degrees": "deg",
    "radian": "rad",
    "radians": "rad",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "minutes": "min",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "mev": "MeV",
    "gev": "GeV",
    "tev": "TeV",
}
_MAX_UNIT = 40  # characters
_MAX_DAY = 1_000_000  # MJD, 700 years from now


def to_unit(values: Any, unit: str, target: str, *, where: str) -> np.ndarray:
    """Return numbers in the unit of the package.

    Parameters
    ----------
    values : array_like
        Numbers, also as words or masked, any shape.
    unit : str
        Their unit as the file spells it; empty for that of the package.
    target : str
        Unit of the package.
    where : str
        File and column, for the error.

    Returns
    -------
    np.ndarray
        Native float64, same shape; masked ones are NaN.

    Raises
    ------
    InputError
        If they are no numbers, or the unit is unknown or of another kind.
    """
    try:
        # words come as chararray, which no number can be in
        plain = values if np.ma.isMaskedArray(values) else np.asarray(values)
        if plain.dtype.kind == "c":
            raise ValueError("they are complex")  # noqa: TRY301
        masked: Any = np.ma.asarray(plain, dtype=np.float64)
        numbers = np.asarray(np.ma.filled(masked, np.nan))
    except (ValueError, TypeError) as error:
        raise InputError(
            what=f"has values that are no numbers ({error})",
            where=where,
            fix="Correct the column in the file",
        ) from error
    factor = _factor(unit.strip(), target, where)
    if factor == 1.0:
        return numbers
    # the largest energies of a damaged file are infinite in a smaller unit
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers * factor


@lru_cache
def _factor(unit: str, target: str, where: str) -> float:
    if not unit or not target:
        return 1.0
    names = (_SPELLINGS.get(unit.lower(), unit), unit.lower())
    for name in names if len(unit) <= _MAX_UNIT else ():
        # it may be deprecated, or a power that is too large for a number
        with (
            warnings.catch_warnings(),
            suppress(ValueError, TypeError, ArithmeticError),
        ):
            warnings.simplefilter("ignore")
            return float(u.Unit(name).to(target))
    raise InputError(
        what=f"has unit {unit!r}, expected one like {target}",
        where=where,
        fix="Correct the unit in the file",
    )


def mjd_reference(header: Mapping[str, Any], *, where: str) -> float:
    """Return the zero of the mission clock.

    Parameters
    ----------
    header : mapping of str to object
        FITS header with MJDREFI, MJDREFF and TIMESYS.
    where : str
        File, for the error.

    Returns
    -------
    float
        TT as modified Julian date [d]; NaN when the header has none.

    Raises
    ------
    InputError
        If the time system is unknown, or the zero is no date.

    References
    ----------
    GADF, section General, Time: times are seconds since MJDREFI + MJDREFF in TIMESYS.
    """
    if "MJDREFI" not in header:
        return float("nan")
    scale = str(header.get("TIMESYS", "tt")).strip().lower()
    if scale not in Time.SCALES or scale == "local":
        raise InputError(
            what=f"has TIMESYS {scale!r}, expected TT, UTC or TAI",
            where=where,
            fix="Correct the keyword in the file",
        )
    day, part = _day(header, "MJDREFI", where), _day(header, "MJDREFF", where)
    if scale == "tt":
        return day + part
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of days before leap seconds were thought of
        return float(Time(day, part, format="mjd", scale=scale).tt.mjd)


def _day(header: Mapping[str, Any], key: str, where: str) -> float:
    found = header.get(key, 0.0)
    try:
        day = float(found)
    except (ValueError, TypeError):
        day = float("nan")
    if not abs(day) <= _MAX_DAY:
        raise InputError(
            what=f"has {key} {found!r}, expected a modified Julian date",
            where=where,
            fix="Correct the keyword in the file",
        )
    return day
