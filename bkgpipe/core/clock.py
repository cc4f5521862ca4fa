"""The clock of a run: which events count, and what its store says of its time."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import numpy as np

__all__ = ["GOOD_TIME_TOLERANCE", "Clock", "is_in_good_time"]

# Intervals are often in whole seconds, and events are a second before or after [s]
GOOD_TIME_TOLERANCE = 2.0
_MAX_DIFFERENCE = 0.01
_DAY = 86400.0


def is_in_good_time(time: np.ndarray, gti: np.ndarray) -> np.ndarray:
    """Tell which times are in the good time intervals, or within 2 s of one.

    Parameters
    ----------
    time : np.ndarray
        Times, shape ``(n,)`` [d].
    gti : np.ndarray
        Starts and stops in any order, shape ``(n_intervals, 2)``; intervals may
        overlap [d].

    Returns
    -------
    np.ndarray
        Whether each is, shape ``(n,)``; a time that is no number is not.

    Examples
    --------
    >>> gti = np.array([[0.0, 0.2], [0.6, 0.8]])
    >>> is_in_good_time(np.array([0.1, 0.5, 0.7]), gti)
    array([ True, False,  True])
    """
    gti = gti[gti[:, 1] > gti[:, 0]]
    if not len(gti):
        return np.zeros(time.shape, dtype=bool)
    start, stop = gti[np.argsort(gti[:, 0])].T
    # of intervals that overlap, one that began earlier may end later
    stop = np.maximum.accumulate(stop)
    tolerance = GOOD_TIME_TOLERANCE / _DAY
    index = np.searchsorted(start - tolerance, time, side="right") - 1
    is_in: np.ndarray = (index >= 0) & (time <= stop[index.clip(0)] + tolerance)
    return is_in


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How long a run was, by all that its store says of it; NaN where it is silent.

    Attributes
    ----------
    ontime : float
        ``ONTIME`` of the observation table [s].
    livetime_over_deadc : float
        ``LIVETIME`` over ``DEADC`` of the observation table, also on-time [s].
    good_time : float
        Sum of the good time intervals: the on-time that is used [s].
    start_to_stop : float
        From ``TSTART`` to ``TSTOP`` of the observation table, gaps included [s].
    first_to_last : float
        From the first good time interval to the last, gaps included [s].
    """

    ontime: float = float("nan")
    livetime_over_deadc: float = float("nan")
    good_time: float = float("nan")
    start_to_stop: float = float("nan")
    first_to_last: float = float("nan")

    @property
    def difference(self) -> float:
        """Largest relative difference to the good time intervals; 0 for none known."""
        pairs = (
            (self.ontime, self.good_time),
            (self.livetime_over_deadc, self.good_time),
            (self.start_to_stop, self.first_to_last),
        )
        known = [abs(one / other - 1) for one, other in pairs if other > 0]
        return max((value for value in known if not isnan(value)), default=0.0)

    @property
    def is_doubtful(self) -> bool:
        """Whether two statements differ by more than one per cent."""
        return self.difference > _MAX_DIFFERENCE
