"""Compare what a store says of the time of a run."""

from __future__ import annotations

from bkgpipe.core.clock import Clock
from bkgpipe.core.run import Events, Run

__all__ = ["make_clock"]

_DAY = 86400.0


def make_clock(run: Run, events: Events) -> Clock:
    """Collect what the observation table and the intervals say of a run's time.

    Parameters
    ----------
    run : Run
        The run, as the observation table describes it.
    events : Events
        Its events, for their good time intervals, of which there is at least one.

    Returns
    -------
    Clock
        The statements, to be compared.
    """
    return Clock(
        ontime=run.ontime,
        livetime_over_deadc=run.livetime / run.deadc if run.deadc else float("nan"),
        good_time=events.ontime,
        start_to_stop=(run.time_stop - run.time_start) * _DAY,
        first_to_last=float(events.gti.max() - events.gti.min()) * _DAY,
    )
