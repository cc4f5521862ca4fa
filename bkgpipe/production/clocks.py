"""Look at the clocks of a store before anything is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bkgpipe.datamodel import Clock, Run
from bkgpipe.errors import InputError
from bkgpipe.io.store import read_events
from bkgpipe.numerics.clock import make_clock

__all__ = ["ClockSurvey", "survey_clocks"]

_MAX_RUNS = 200  # which take some seconds


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
    doubtful : dict of int to Clock
        Runs of which the store says different times, by ``obs_id``.
    problems : tuple of str
        Why files could not be read.
    """

    n_runs: int
    n_events: int
    n_outside: int
    doubtful: dict[int, Clock]
    problems: tuple[str, ...]


def survey_clocks(store: Path, runs: Sequence[Run]) -> ClockSurvey:
    """Read the events of runs, of many some that are spread over all.

    Parameters
    ----------
    store : Path
        Folder of the store.
    runs : sequence of Run
        Runs whose files are there.

    Returns
    -------
    ClockSurvey
        What was found.
    """
    n_events = n_outside = n_runs = 0
    doubtful: dict[int, Clock] = {}
    problems: list[str] = []
    picked = np.linspace(0, len(runs) - 1, min(len(runs), _MAX_RUNS)).round()
    for run in (runs[int(index)] for index in picked):
        try:
            events, _ = read_events(store, run)
        except InputError as error:
            problems.append(str(error))
            continue
        n_runs += 1
        n_events += events.n_events
        n_outside += int(np.sum(events.is_valid & ~events.is_in_good_time))
        clock = make_clock(run, events)
        if clock.is_doubtful:
            doubtful[run.obs_id] = clock
    return ClockSurvey(
        n_runs=n_runs,
        n_events=n_events,
        n_outside=n_outside,
        doubtful=doubtful,
        problems=tuple(problems),
    )
