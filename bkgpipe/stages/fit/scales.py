"""How the conditions of the runs of a fit spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.terms import CONDITION_NAMES, condition_table, find_epochs

__all__ = [
    "CONSTANT",
    "ConditionScales",
    "find_scales",
    "known_conditions",
    "scales_of",
]

CONSTANT = 1e-6  # a standard deviation below this is rounding

_TIME = CONDITION_NAMES.index("time")
# How far terms go on beyond the conditions of a fit of many runs, in standard
# deviations. Runs of H.E.S.S. DL3 DR1 above 45 deg zenith, predicted from those below:
# 0.81 +- 0.08 when the nearest condition stands for theirs, 0.91 +- 0.07 so. Farther,
# shapes go wrong; and a few runs do not tell how terms go on
_REACH = 1.0
_FEW_RUNS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionScales:
    """Mean, standard deviation and range of each condition, and the epochs.

    Attributes
    ----------
    mean, scale : np.ndarray
        Mean, and standard deviation or 1 if that is zero, shape ``(n_conditions,)``;
        NaN where a run lacks it.
    low, high : np.ndarray
        Least and largest value, likewise.
    reach : np.ndarray
        How far terms go on beyond these, likewise.
    time_gap : float
        Longest time between two runs [d].
    epoch_edges : np.ndarray
        Times between epochs, shape ``(n_epochs - 1,)`` [d].
    """

    mean: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reach: np.ndarray
    time_gap: float
    epoch_edges: np.ndarray


def find_scales(conditions: Sequence[RunConditions]) -> ConditionScales:
    """Measure how the conditions of the runs of a fit spread.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of each run, at least one.

    Returns
    -------
    ConditionScales
        Means, deviations and ranges.
    """
    table = condition_table(conditions)
    spread = table.std(axis=0)
    scale = np.where(spread < CONSTANT, 1.0, spread)
    return ConditionScales(
        mean=table.mean(axis=0),
        scale=scale,
        low=table.min(axis=0),
        high=table.max(axis=0),
        reach=_reach(scale, len(conditions)),
        time_gap=float(np.diff(np.sort(table[:, _TIME])).max(initial=0.0)),
        epoch_edges=find_epochs(conditions),
    )


def scales_of(fit: RegressionFit) -> ConditionScales:
    """Return the scales that a fit keeps.

    Parameters
    ----------
    fit : RegressionFit
        The fit.

    Returns
    -------
    ConditionScales
        Its means, deviations and ranges.
    """
    return ConditionScales(
        mean=fit.condition_mean,
        scale=fit.condition_scale,
        low=fit.condition_low,
        high=fit.condition_high,
        reach=_reach(fit.condition_scale, fit.n_runs),
        time_gap=fit.time_gap,
        epoch_edges=fit.epoch_edges,
    )


def known_conditions(
    conditions: Sequence[RunConditions], scales: ConditionScales
) -> np.ndarray:
    """Return the table of conditions without times far from the runs of the fit.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of each run.
    scales : ConditionScales
        Scales of the fit.

    Returns
    -------
    np.ndarray
        As of `condition_table`; no trend goes on that long, so such times are missing.
    """
    table = condition_table(conditions)
    time, gap = table[:, _TIME], scales.time_gap
    is_far = (time < scales.low[_TIME] - gap) | (time > scales.high[_TIME] + gap)
    table[is_far, _TIME] = np.nan
    return table


def _reach(scale: np.ndarray, n_runs: int) -> np.ndarray:
    """Return how far terms go on; a trend in time does not, it says little of later."""
    reach: np.ndarray = _REACH * max(0.0, 1.0 - _FEW_RUNS / n_runs) * scale
    reach[_TIME] = 0.0
    return reach
