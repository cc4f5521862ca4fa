"""What a run needs to be counted, besides a pointing."""

from __future__ import annotations

import numpy as np

from bkgpipe.core.run import Events, Run
from bkgpipe.errors import InputError

__all__ = [
    "is_placed",
    "require_deadc",
    "require_events",
    "require_livetime",
    "require_place",
]


def require_livetime(run: Run, events: Events) -> float:
    """Return the live time of a run, which must have some.

    Parameters
    ----------
    run : Run
        The run, for its dead-time fraction.
    events : Events
        Its events, for their good time intervals.

    Returns
    -------
    float
        Live time [s].

    Raises
    ------
    InputError
        If the on-time is zero, or the dead-time fraction unknown.
    """
    if not events.ontime > 0:
        raise InputError(
            what=f"on-time is {events.ontime} s, expected more than zero",
            where=f"run {run.obs_id}",
            fix="Check its GTI table, or drop the run",
        )
    return events.ontime * require_deadc(run)


def require_deadc(run: Run) -> float:
    """Return the dead-time fraction of a run, which must be known.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    float
        Dead-time fraction.

    Raises
    ------
    InputError
        If it is unknown, or there is no live time.
    """
    if not run.deadc > 0:
        raise InputError(
            what=f"dead-time fraction is {run.deadc}, expected more than zero",
            where=f"run {run.obs_id}",
            fix="Add DEADC to the observation table, or drop the run",
        )
    return run.deadc


def require_events(run: Run, events: Events) -> None:
    """Refuse a run with events of which none is in good time.

    Parameters
    ----------
    run : Run
        The run.
    events : Events
        Its events; none at all are fine.

    Raises
    ------
    InputError
        If the clock of events and good time intervals must be wrong.
    """
    n_valid = np.count_nonzero(events.is_valid)
    if n_valid and not (events.is_valid & events.is_in_good_time).any():
        raise InputError(
            what=f"none of {n_valid} events is in the good time intervals",
            where=f"run {run.obs_id}",
            fix="Check TIME and MJDREFI of its events and GTI, or exclude the run",
        )


def is_placed(run: Run) -> bool:
    """Tell whether it is known where on the Earth a run was taken.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    bool
        True if longitude and latitude are known.
    """
    return bool(np.isfinite([run.longitude, run.latitude]).all())


def require_place(run: Run) -> None:
    """Refuse a run of which it is not known where on the Earth it was taken.

    Parameters
    ----------
    run : Run
        The run.

    Raises
    ------
    InputError
        If longitude or latitude are unknown.
    """
    if not is_placed(run):
        raise InputError(
            what="the place of the observatory is not known",
            where=f"run {run.obs_id}",
            fix=(
                "Add GEOLON and GEOLAT to the observation table or the events header,"
                " or use RADEC alignment"
            ),
        )
