"""From the units and clocks of other people's files to those of the package."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import Time

from bkgpipe.errors import InputError
from bkgpipe.store.values import column_numbers, read_number, read_word, wrong_value

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
_CORRECT = "Correct the keyword in the file"


def to_unit(
    values: Any,
    unit: str,
    target: str,
    *,
    where: str,
    obs_ids: Sequence[int] | None = None,
) -> np.ndarray:
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
    obs_ids : sequence of int, optional
        Run of each row, also as words, for the error.

    Returns
    -------
    np.ndarray
        Native float64, same shape; blank and masked ones are NaN.

    Raises
    ------
    InputError
        If they are no numbers, or the unit is unknown or of another kind.
    """
    numbers = column_numbers(values, where=where, obs_ids=obs_ids)
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
    day = _day(header, "MJDREFI", where)
    if math.isnan(day):
        return day
    scale = read_word(header, "TIMESYS").lower() or "tt"
    if scale not in Time.SCALES or scale == "local":
        raise wrong_value(
            f"has TIMESYS {scale!r}", "TT, UTC or TAI", where=where, fix=_CORRECT
        )
    part = _day(header, "MJDREFF", where)
    part = 0.0 if math.isnan(part) else part
    if scale == "tt":
        return day + part
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of days before leap seconds were thought of
        return float(Time(day, part, format="mjd", scale=scale).tt.mjd)


def _day(header: Mapping[str, Any], key: str, where: str) -> float:
    expected = "a modified Julian date"
    day = read_number(header, key, where=where, expected=expected, fix=_CORRECT)
    if abs(day) > _MAX_DAY:
        raise wrong_value(f"{key} is {day:g}", expected, where=where, fix=_CORRECT)
    return day
