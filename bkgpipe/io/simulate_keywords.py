"""Times and keywords that the files of a simulated store share."""

from __future__ import annotations

import numpy as np

from bkgpipe.datamodel import Run
from bkgpipe.io.gadf import GADF_URL

__all__ = [
    "finite_keywords",
    "gadf_keywords",
    "met_seconds",
    "place_keywords",
    "plain_word",
    "time_keywords",
]

# Reference of the times, as in H.E.S.S. data: 2001-01-01 UTC in TT
_MJDREFI = 51910
_MJDREFF = 0.000742870370370241
_DAY = 86400.0


def met_seconds(mjd: float | np.ndarray) -> np.ndarray:
    """Convert times to seconds after the reference of the files.

    Parameters
    ----------
    mjd : float or np.ndarray
        TT as modified Julian date, any shape [d].

    Returns
    -------
    np.ndarray
        Seconds, same shape [s].
    """
    return np.asarray((mjd - _MJDREFI - _MJDREFF) * _DAY)


def gadf_keywords(*classes: str) -> dict[str, object]:
    """Return the keywords that say what an HDU is.

    Parameters
    ----------
    *classes : str
        Values of ``HDUCLAS1`` and following.

    Returns
    -------
    dict of str to object
        Keywords.
    """
    keywords: dict[str, object] = {
        "HDUCLASS": "GADF",
        "HDUDOC": GADF_URL,
        "HDUVERS": "0.3",
    }
    return keywords | {f"HDUCLAS{i}": word for i, word in enumerate(classes, start=1)}


def time_keywords() -> dict[str, object]:
    """Return the keywords of the reference of times.

    Returns
    -------
    dict of str to object
        Keywords.
    """
    return {
        "MJDREFI": _MJDREFI,
        "MJDREFF": _MJDREFF,
        "TIMEUNIT": "s",
        "TIMESYS": "TT",
        "TIMEREF": "LOCAL",
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
