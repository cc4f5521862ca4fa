"""The clock of runs in words."""

from __future__ import annotations

from math import isnan

from bkgpipe.core.clock import Clock

__all__ = ["clock_words", "outside_words"]

_MANY_OUTSIDE = 0.3


def clock_words(clock: Clock) -> str:
    """Say how long a run was by each statement of its store.

    Parameters
    ----------
    clock : Clock
        The statements.

    Returns
    -------
    str
        Words without a final full stop, for a run of which they differ.
    """
    return (
        f"its times differ by up to {clock.difference:.1%}: on-time is "
        f"{_seconds(clock.good_time)} in the good time intervals (used), "
        f"{_seconds(clock.ontime)} by ONTIME, "
        f"{_seconds(clock.livetime_over_deadc)} by LIVETIME / DEADC; with gaps it is "
        f"{_seconds(clock.first_to_last)} from the first interval to the last, "
        f"{_seconds(clock.start_to_stop)} from TSTART to TSTOP"
    )


def outside_words(n_outside: int, n_read: int) -> str:
    """Warn if many events are outside the good time intervals.

    Parameters
    ----------
    n_outside : int
        Events outside.
    n_read : int
        All events.

    Returns
    -------
    str
        A sentence; empty unless it is more than 30 %.
    """
    if not n_outside > _MANY_OUTSIDE * n_read:
        return ""
    return (
        f"{n_outside} of {n_read} events ({n_outside / n_read:.0%}) are outside good "
        "time and are not counted: check TIME, START and STOP, and MJDREFI of the "
        "events files"
    )


def _seconds(value: float) -> str:
    return "unknown" if isnan(value) else f"{value:.1f} s"
