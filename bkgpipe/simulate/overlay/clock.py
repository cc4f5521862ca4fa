"""From times to live time and back, over good time intervals."""

from __future__ import annotations

import numpy as np

__all__ = ["in_order", "livetime_at", "time_at"]

_DAY = 86400.0


def in_order(gti: np.ndarray) -> np.ndarray:
    """Put intervals in order of time, without the empty ones.

    Parameters
    ----------
    gti : np.ndarray
        Starts and stops, shape ``(n_intervals, 2)`` [d].

    Returns
    -------
    np.ndarray
        Intervals, shape ``(n_left, 2)`` [d].
    """
    ordered: np.ndarray = gti[np.argsort(gti[:, 0], kind="stable")]
    return ordered[ordered[:, 1] > ordered[:, 0]]


def livetime_at(gti: np.ndarray, time: np.ndarray, *, deadc: float) -> np.ndarray:
    """Return the live time that has passed at each time.

    Parameters
    ----------
    gti : np.ndarray
        Good time intervals in order, shape ``(n_intervals, 2)`` [d].
    time : np.ndarray
        Times, shape ``(n,)`` [d].
    deadc : float
        Live time over on-time.

    Returns
    -------
    np.ndarray
        Live time since the start, shape ``(n,)`` [s]; NaN outside the intervals.
    """
    if not len(gti):
        return np.full(time.shape, np.nan)
    index = (np.searchsorted(gti[:, 0], time, side="right") - 1).clip(min=0)
    start, stop = gti[index].T
    passed = np.concatenate([[0.0], np.cumsum(np.diff(gti, axis=1)[:, 0])])
    livetime = deadc * _DAY * (passed[index] + time - start)
    return np.where((time >= start) & (time <= stop), livetime, np.nan)


def time_at(gti: np.ndarray, livetime: np.ndarray, *, deadc: float) -> np.ndarray:
    """Return when a live time has passed: the inverse of `livetime_at`.

    Parameters
    ----------
    gti : np.ndarray
        Good time intervals in order, at least one, shape ``(n_intervals, 2)`` [d].
    livetime : np.ndarray
        Live time since the start, shape ``(n,)`` [s].
    deadc : float
        Live time over on-time.

    Returns
    -------
    np.ndarray
        Times in the intervals, shape ``(n,)`` [d].
    """
    passed = np.concatenate([[0.0], np.cumsum(np.diff(gti, axis=1)[:, 0])])
    ontime = (livetime / deadc / _DAY).clip(0.0, passed[-1])
    index = (np.searchsorted(passed, ontime, side="right") - 1).clip(0, len(gti) - 1)
    # rounding must not put a time outside its interval
    time: np.ndarray = (gti[index, 0] + ontime - passed[index]).clip(*gti[index].T)
    return time
