"""Good time intervals of simulated runs, and times in them."""

from __future__ import annotations

import numpy as np

from bkgpipe.core.run import Run

__all__ = ["draw_intervals", "draw_times"]

_DAY = 86400.0


def draw_intervals(rng: np.random.Generator, run: Run, n_gaps: int) -> np.ndarray:
    """Draw when a run was interrupted.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness; one interval takes none of it.
    run : Run
        The run; what its length is more than its on-time is lost in the gaps, which
        are of equal lengths.
    n_gaps : int
        Number of gaps.

    Returns
    -------
    np.ndarray
        Good time intervals, shape ``(n_gaps + 1, 2)``, TT as modified Julian date [d].
    """
    if n_gaps == 0:
        return np.array([[run.time_start, run.time_stop]])
    kept = run.ontime / _DAY
    gap = (run.time_stop - run.time_start - kept) / n_gaps
    ends = np.sort(rng.uniform(0.0, kept, n_gaps))
    shift = run.time_start + gap * np.arange(n_gaps + 1)
    start = np.concatenate([[0.0], ends]) + shift
    stop = np.concatenate([ends, [kept]]) + shift
    return np.column_stack([start, stop])


def draw_times(rng: np.random.Generator, gti: np.ndarray, n_events: int) -> np.ndarray:
    """Draw times, uniform in the good time intervals.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    gti : np.ndarray
        Good time intervals, shape ``(n_intervals, 2)`` [d].
    n_events : int
        Number of times.

    Returns
    -------
    np.ndarray
        Times, not in order, shape ``(n_events,)`` [d].
    """
    lengths = gti[:, 1] - gti[:, 0]
    ends = np.cumsum(lengths)
    kept = rng.uniform(0.0, ends[-1], n_events)
    which = np.minimum(np.searchsorted(ends, kept, side="right"), len(gti) - 1)
    times: np.ndarray = gti[which, 0] + kept - (ends - lengths)[which]
    inside: np.ndarray = np.clip(times, gti[which, 0], gti[which, 1])
    return inside
