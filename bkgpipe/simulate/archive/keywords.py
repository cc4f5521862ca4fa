"""Times and keywords that the files of a simulated store share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from astropy.time import Time

from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.layout import Clock
from bkgpipe.store.gadf_names import GADF_URL

__all__ = [
    "finite_keywords",
    "gadf_keywords",
    "met_seconds",
    "place_keywords",
    "plain_word",
    "time_keywords",
]

_DAY = 86400.0
# As in H.E.S.S. data: 2001-01-01 UTC in TT
_CLOCK = Clock()


def met_seconds(mjd: float | np.ndarray, clock: Clock = _CLOCK) -> np.ndarray:
    """Convert times to seconds after the reference of the files.

    Parameters
    ----------
    mjd : float or np.ndarray
        TT as modified Julian date, any shape [d].
    clock : Clock
        Clock of the files.

    Returns
    -------
    np.ndarray
        Seconds, same shape [s].
    """
    day, part = _zero(clock)
    return np.asarray((mjd - day - part) * _DAY)


@lru_cache
def _zero(clock: Clock) -> tuple[float, float]:
    """Return the zero of a clock in TT, whole days apart."""
    day, part = clock.mjdrefi + clock.false_days, clock.mjdreff
    if clock.timesys.upper() == "TT":
        return day, part
    zero = Time(day, part, format="mjd", scale=clock.timesys.lower()).tt
    return day, float((zero.jd1 - 2400000.5 - day) + zero.jd2)


def gadf_keywords(*classes: str, version: str = "0.3") -> dict[str, object]:
    """Return the keywords that say what an HDU is.

    Parameters
    ----------
    *classes : str
        Values of ``HDUCLAS1`` and following.
    version : str
        Version of GADF.

    Returns
    -------
    dict of str to object
        Keywords.
    """
    keywords: dict[str, object] = {
        "HDUCLASS": "GADF",
        "HDUDOC": GADF_URL,
        "HDUVERS": version,
    }
    return keywords | {f"HDUCLAS{i}": word for i, word in enumerate(classes, start=1)}


def time_keywords(clock: Clock = _CLOCK) -> dict[str, object]:
    """Return the keywords of the reference of times.

    Parameters
    ----------
    clock : Clock
        Clock of the files.

    Returns
    -------
    dict of str to object
        Keywords.
    """
    return {
        "MJDREFI": clock.mjdrefi,
        "MJDREFF": clock.mjdreff,
        "TIMEUNIT": "s",
        "TIMESYS": clock.timesys,
        "TIMEREF": clock.timeref,
    }


def place_keywords(run: Run) -> dict[str, object]:
    """Return the keywords of the place of the observatory.

    Parameters
    ----------
    run : Run
        Any run of it.

    Returns
    -------
    dict of str to object
        Keywords.
    """
    return finite_keywords(
        {"GEOLON": run.longitude, "GEOLAT": run.latitude, "ALTITUDE": run.altitude}
    )


def finite_keywords(keywords: dict[str, object]) -> dict[str, object]:
    """Leave out numbers that are not known: FITS has no NaN in headers.

    Parameters
    ----------
    keywords : dict of str to object
        Keywords.

    Returns
    -------
    dict of str to object
        Those with a value.
    """
    return {
        key: value
        for key, value in keywords.items()
        if not isinstance(value, float) or np.isfinite(value)
    }


def plain_word(text: str) -> str:
    """Replace what FITS has no letters for.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same with a question mark in place of each other letter.
    """
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)
