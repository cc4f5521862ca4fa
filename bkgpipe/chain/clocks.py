"""Look at the clocks of a store before anything is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bkgpipe.core.clock import Clock
from bkgpipe.core.run import Events, Run
from bkgpipe.stages.count.clock import make_clock

__all__ = ["ClockSurvey"]


@dataclass(frozen=True, kw_only=True)
class ClockSurvey:
    """What events files say of time.

    Attributes
    ----------
    n_runs : int
        Files that were read.
    n_events : int
        Events in them.
    n_outside : int
        Events among them that are valid and outside good time.
    doubtful : mapping of int to Clock
        Runs of which the store says different times, by ``obs_id``.
    """

    n_runs: int = 0
    n_events: int = 0
    n_outside: int = 0
    doubtful: Mapping[int, Clock] = field(default_factory=dict)

    def add(self, run: Run, events: Events) -> ClockSurvey:
        """Look at one more run.

        Parameters
        ----------
        run : Run
            The run, as the observation table describes it.
        events : Events
            Its events, with at least one good time interval.

        Returns
        -------
        ClockSurvey
            What all runs say.
        """
        is_outside = events.is_valid & ~events.is_in_good_time
        clock = make_clock(run, events)
        return ClockSurvey(
            n_runs=self.n_runs + 1,
            n_events=self.n_events + events.n_events,
            n_outside=self.n_outside + int(is_outside.sum()),
            doubtful={
                **self.doubtful,
                **({run.obs_id: clock} if clock.is_doubtful else {}),
            },
        )
