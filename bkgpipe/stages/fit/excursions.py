"""How wrong a prediction may be for conditions beyond those of the fit."""

from __future__ import annotations

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.fitted import field_weights, is_judged
from bkgpipe.stages.fit.scales import ConditionScales, known_conditions, scales_of
from bkgpipe.stages.fit.terms import CONDITION_NAMES, TERMS

__all__ = ["excursion_error"]

_STEP = 1e-3  # of the distance to the fit, for slopes
_FAR = 10.0  # change of a log rate beyond which it does not matter how large


def excursion_error(
    fit: RegressionFit,
    conditions: RunConditions,
    binning: Binning,
    *,
    functions: np.ndarray,
    counts: np.ndarray,
) -> float:
    """Compare the total with what a slope all the way from the fit would add to it.

    A prediction goes on some way beyond the fit. Terms are not linear in the
    conditions, and what bends them may bend back: taken is the slope where it ends.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run.
    binning : Binning
        Axes.
    functions : np.ndarray
        Functions of the field in each bin, shape ``(n_places, n_functions)``.
    counts : np.ndarray
        What is predicted, shape ``(n_energy, n_places)``.

    Returns
    -------
    float
        Absolute logarithm of the ratio of the totals, in quadrature with those of
        missing conditions moved by their standard deviation; 1 at most, and zero
        within the fit.
    """
    counts = counts * is_judged(fit, conditions, binning)[:, np.newaxis]
    square = 0.0
    for shift in _shifts(conditions, fit.terms, scales_of(fit)):
        above, below = (
            field_weights(fit, conditions, binning, shift=step * shift)
            for step in (_STEP, -_STEP)
        )
        slope = (above - below) @ functions.T / (2 * _STEP)
        beyond = counts * np.exp(np.clip(slope, -_FAR, _FAR))
        square += float(np.log(beyond.sum() / counts.sum())) ** 2
    return min(float(np.sqrt(square)), 1.0)


def _shifts(
    conditions: RunConditions, terms: tuple[str, ...], scales: ConditionScales
) -> np.ndarray:
    """Find how far conditions are from those of the fit.

    One row for all that are beyond its range, if any is, and one for each that the
    terms miss, by its standard deviation in the fit.
    """
    table = known_conditions([conditions], scales)[0]
    beyond = np.nan_to_num(table - np.clip(table, scales.low, scales.high))
    rows = [beyond] if beyond.any() else []
    used = {need for name in terms for need in TERMS[name].needs}
    for number, name in enumerate(CONDITION_NAMES):
        if name in used and not np.isfinite(table[number]):
            row = np.zeros(len(CONDITION_NAMES))
            row[number] = scales.scale[number]
            rows.append(row)
    return np.array(rows).reshape(-1, len(CONDITION_NAMES))
