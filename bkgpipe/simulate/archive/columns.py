"""Optional columns of simulated events."""

from __future__ import annotations

from collections.abc import Iterable

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from bkgpipe.core.run import Events, Run

__all__ = ["extra_columns"]

# What no simulation of ours knows, but files have
_UNKNOWN = ("GAMMANESS", "HIL_MSL", "HIL_MSW")


def extra_columns(
    run: Run, events: Events, names: Iterable[str]
) -> dict[str, tuple[np.ndarray, str]]:
    """Make optional columns of events.

    Parameters
    ----------
    run : Run
        Their run.
    events : Events
        The events.
    names : iterable of str
        Columns as in GADF; ``EVENT_TYPE_INT`` is an ``EVENT_TYPE`` of whole numbers,
        as V2DL3 writes it, in place of bits.

    Returns
    -------
    dict of str to tuple of np.ndarray and str
        Values, shape ``(n_events,)``, and unit of each; NaN for what is not simulated.

    References
    ----------
    GADF 0.3, section "Events", optional columns.
    """
    wanted = tuple(names)
    if not wanted:
        return {}
    known = _known(run, events)
    columns = {name.removesuffix("_INT"): known[name] for name in wanted}
    return {name: (values, unit) for name, (values, unit) in columns.items()}


def _known(run: Run, events: Events) -> dict[str, tuple[np.ndarray, str]]:
    n_events = events.n_events
    places = SkyCoord(events.ra * u.deg, events.dec * u.deg)
    pointing = SkyCoord(run.ra * u.deg, run.dec * u.deg)
    x, y = pointing.spherical_offsets_to(places)
    galactic = places.galactic
    n_telescopes = len(run.telescopes.split(","))
    angles = {
        "DETX": x,
        "DETY": y,
        "THETA": pointing.separation(places),
        "GLON": galactic.l,
        "GLAT": galactic.b,
    }
    known = {name: (_single(angle), "deg") for name, angle in angles.items()}
    known["MULTIP"] = (np.full(n_events, n_telescopes, dtype=np.int16), "")
    known["EVENT_TYPE_INT"] = (np.full(n_events, n_telescopes, dtype=np.int32), "")
    # the first of 32 bits is set
    bits = np.frombuffer(b"\x80\0\0\0" * n_events, dtype="V4")
    known["EVENT_TYPE"] = (bits, "")
    nothing = np.full(n_events, np.nan, dtype=np.float32)
    return known | dict.fromkeys(_UNKNOWN, (nothing, ""))


def _single(angle: u.Quantity) -> np.ndarray:
    return np.asarray(angle.to_value("deg"), dtype=np.float32)
