"""Choose the strengths of the penalties of a regression by leaving out runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from bkgpipe.errors import NoRunsError
from bkgpipe.stages.fit.count_arrays import CountsArrays, expected_counts
from bkgpipe.stages.fit.data import FitPoints, RegressionFit
from bkgpipe.stages.fit.design import join_design, join_thresholds, scales_of
from bkgpipe.stages.fit.field import mean_functions
from bkgpipe.stages.fit.fitted import log_spectrum
from bkgpipe.stages.fit.reference import log_centers
from bkgpipe.stages.fit.sky_fields import spread_blocks
from bkgpipe.stages.fit.splines import spline_basis
from bkgpipe.stages.fit.threshold import find_energies, low_energies

__all__ = [
    "PenaltyTrial",
    "Strengths",
    "choose_penalties",
    "find_nights",
    "held_out_deviance",
    "pick_strengths",
    "trial_table",
]

Strengths = tuple[float, float, float]

_STEP = 10.0
_RANGE = (1e-2, 1e5)
_MAX_TRIALS = 12  # after which no other round begins
_DAYTIME = 0.25  # d without a run part two nights


@dataclass(frozen=True, kw_only=True, eq=False)
class PenaltyTrial:
    """How well runs that were left out are predicted with some strengths.

    Attributes
    ----------
    strengths : tuple of float
        As `penalty`, `term_penalty` and `ridge` of `fit_regression`.
    deviance : np.ndarray
        Poisson deviance of each point as predicted by fits without it and its night,
        shape ``(n_points,)``.
    """

    strengths: Strengths
    deviance: np.ndarray

    @property
    def total(self) -> float:
        """Deviance of all points."""
        return float(self.deviance.sum())


def choose_penalties(
    points: FitPoints,
    fit: Callable[[FitPoints, Strengths], RegressionFit],
    *,
    start: Strengths,
    n_folds: int = 5,
) -> tuple[PenaltyTrial, ...]:
    """Walk in steps of ten, one strength at a time, as long as the deviance falls.

    Runs of one night share weather and often a field, so whole nights are left out.
    Points that join runs are means over many nights: each is left out by itself.

    Parameters
    ----------
    points : FitPoints
        Runs, or points in which runs are joined.
    fit : callable
        Fits points with given strengths.
    start : tuple of float
        Strengths to start from.
    n_folds : int
        Parts that are left out in turn; fewer where there are fewer nights.

    Returns
    -------
    tuple of PenaltyTrial
        All that were tried, the best first.

    Raises
    ------
    NoRunsError
        If there are fewer than two points.

    References
    ----------
    Stone 1974, Journal of the Royal Statistical Society B 36, 111.
    """
    folds = _make_folds(points, n_folds)
    trials: dict[Strengths, PenaltyTrial] = {}

    def try_out(strengths: Strengths) -> PenaltyTrial:
        if strengths not in trials:
            deviance = held_out_deviance(points, fit, folds, strengths=strengths)
            trials[strengths] = PenaltyTrial(strengths=strengths, deviance=deviance)
        return trials[strengths]

    best = try_out(_clip(start))
    improves = True
    while improves and len(trials) < _MAX_TRIALS:
        before = best
        # The ridge matters most
        for number in (2, 1, 0):
            best = _walk(best, number, try_out)
        improves = best is not before
    return tuple(sorted(trials.values(), key=lambda trial: trial.total))


def held_out_deviance(
    points: FitPoints,
    fit: Callable[[FitPoints, Strengths], RegressionFit],
    folds: np.ndarray,
    *,
    strengths: Strengths,
) -> np.ndarray:
    """Predict the points of each fold from those of the others.

    Parameters
    ----------
    points : FitPoints
        Points.
    fit : callable
        Fits points with given strengths.
    folds : np.ndarray
        Fold of each point, shape ``(n_points,)``.
    strengths : tuple of float
        Strengths.

    Returns
    -------
    np.ndarray
        Poisson deviance of each point, shape ``(n_points,)``.
    """
    deviance = np.empty(points.n_points)
    for fold in np.unique(folds):
        is_held = folds == fold
        fitted = fit(points.take(np.flatnonzero(~is_held)), strengths)
        deviance[is_held] = _deviance(fitted, points.take(np.flatnonzero(is_held)))
    return deviance


def trial_table(trials: tuple[PenaltyTrial, ...]) -> np.ndarray:
    """Put trials in a table.

    Parameters
    ----------
    trials : tuple of PenaltyTrial
        Trials, the best first.

    Returns
    -------
    np.ndarray
        Three strengths, deviance, and standard error of its difference to that of the
        best, of which points that are hard to predict at all are no part, shape
        ``(n_trials, 5)``.
    """
    rows = [
        (
            *trial.strengths,
            trial.total,
            np.std(trial.deviance - trials[0].deviance) * np.sqrt(trial.deviance.size),
        )
        for trial in trials
    ]
    return np.array(rows).reshape(-1, 5)


def pick_strengths(trials: tuple[PenaltyTrial, ...]) -> Strengths:
    """Return the strongest penalties that are not worse than the best by one error.

    Parameters
    ----------
    trials : tuple of PenaltyTrial
        Trials, the best first.

    Returns
    -------
    tuple of float
        Those of the largest product.

    References
    ----------
    Hastie, Tibshirani & Friedman 2009, Elements of Statistical Learning, section 7.10.
    """
    table = trial_table(trials)
    is_as_good = table[:, 3] - table[0, 3] <= table[:, 4]
    product = np.where(is_as_good, np.prod(table[:, :3], axis=1), -1.0)
    return trials[int(np.argmax(product))].strengths


def _walk(
    best: PenaltyTrial, number: int, try_out: Callable[[Strengths], PenaltyTrial]
) -> PenaltyTrial:
    """Change one strength up, or else down, as long as it helps."""
    for factor in (_STEP, 1 / _STEP):
        start = best
        while True:
            changed = list(best.strengths)
            changed[number] *= factor
            trial = try_out(_clip((changed[0], changed[1], changed[2])))
            if trial.total >= best.total:
                break
            best = trial
        if best is not start:
            break
    return best


def _clip(strengths: Strengths) -> Strengths:
    # Rounded, so that steps up and down end at the same strengths
    low, high, ridge = (
        float(f"{min(max(strength, _RANGE[0]), _RANGE[1]):.6g}")
        for strength in strengths
    )
    return low, high, ridge


def _make_folds(points: FitPoints, n_folds: int) -> np.ndarray:
    """Return the fold of each point, nights as a whole."""
    if points.n_points < 2:
        raise NoRunsError(
            what=f"{points.n_points} run(s), of which none can be left out",
            where="choice of penalties",
            fix="Select more runs, or set [fit] choose_penalties = false",
        )
    return spread_blocks(find_nights(points), n_folds)


def find_nights(points: FitPoints) -> np.ndarray:
    """Find the points of each night.

    Parameters
    ----------
    points : FitPoints
        Points.

    Returns
    -------
    np.ndarray
        Number of the night of each point, shape ``(n_points,)``; each its own where
        runs are joined, or all are of one night.
    """
    alone = np.arange(points.n_points)
    if points.n_points < points.n_runs:
        return alone
    time = np.empty(points.n_points)
    time[points.point] = [conditions.time for conditions in points.conditions]
    order = np.argsort(time, kind="stable")
    night = np.empty(points.n_points, dtype=np.int64)
    night[order] = np.cumsum(np.diff(time[order], prepend=-np.inf) > _DAYTIME) - 1
    return night if night.max() > 0 else alone


def _deviance(fit: RegressionFit, points: FitPoints) -> np.ndarray:
    """Return the deviance at safe energies: below, norms of runs scatter too much."""
    binning, knots = points.binning, fit.offset_knots
    scales, energies = scales_of(fit), find_energies(points)
    design, _ = join_design(points, fit.terms, scales, n_radial=knots.size - 4)
    is_safe = (energies.unsafe_share == 0)[:, :, np.newaxis]
    spectrum = np.exp(log_spectrum(fit, binning)) * binning.energy_width
    counts = points.counts.reshape(points.n_points, binning.n_energy, -1) * is_safe
    exposure = points.exposure.reshape(counts.shape) * is_safe
    low = None
    if fit.low_knots.size:
        parts = join_thresholds(points, scales, offset_knots=knots)
        low = low_energies(points, energies, knots=fit.low_knots, design=parts)
    mean = expected_counts(
        CountsArrays(
            counts=counts,
            base=exposure * spectrum[:, np.newaxis],
            design=design,
            low=low,
        ),
        fit.coefficients,
        fit.low_coefficients,
        basis=spline_basis(log_centers(binning), fit.energy_knots),
        field=mean_functions(binning, offset_knots=knots),
    )
    ratio = np.divide(counts, mean, out=np.ones(mean.shape), where=counts > 0)
    deviance: np.ndarray = 2 * (mean - counts + xlogy(counts, ratio)).sum(axis=(1, 2))
    return deviance
