"""Predict runs from fits without them, for the cost of one Newton step each.

The penalised score of the fit of all is zero. Without some points, score and observed
information are less by theirs, so that one step of the fit, which takes the same two at
its end, leads to the fit without them. On
H.E.S.S. DL3 DR1 totals of runs differ by 0.03 % from those by fits of their own when
every tenth run is left out, and by 0.4 % when whole fields are.

References
----------
Pregibon 1981, Annals of Statistics 9, 705; Wood 2024, arXiv:2404.16490 (neighbourhood
cross-validation).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.fit.banded import Band
from bkgpipe.stages.fit.count_arrays import CountsArrays, expected_counts
from bkgpipe.stages.fit.data import FitPoints, RegressionFit
from bkgpipe.stages.fit.design import join_design, join_thresholds
from bkgpipe.stages.fit.field import mean_functions
from bkgpipe.stages.fit.fit import penalty_matrix
from bkgpipe.stages.fit.fitted import log_spectrum
from bkgpipe.stages.fit.newton_sums import NewtonSums, Parts, add_up
from bkgpipe.stages.fit.points import join_runs
from bkgpipe.stages.fit.reference import log_centers
from bkgpipe.stages.fit.scales import ConditionScales, find_scales, scales_of
from bkgpipe.stages.fit.splines import spline_basis
from bkgpipe.stages.fit.threshold import Energies, find_energies, low_energies

__all__ = ["LeaveOut", "LeftOut"]

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """Counts of runs, and what fits without them expect.

    Attributes
    ----------
    observed, expected : np.ndarray
        Counts at each energy that the fit without it has seen, else zero, shape
        ``(n_runs, n_energy)``.
    is_safe : np.ndarray
        True for safe energies, same shape.
    """

    observed: np.ndarray
    expected: np.ndarray
    is_safe: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rest:
    """A fit without some points.

    Attributes
    ----------
    parts : tuple of np.ndarray
        Its coefficients.
    scales : ConditionScales
        Those of the fit of all, but with the ranges of its own runs.
    energy_range : tuple of int
        First and last energy with events.
    """

    parts: Parts
    scales: ConditionScales
    energy_range: tuple[int, int]


class LeaveOut:
    """Makes predictions of runs left out of a fit.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    points : FitPoints
        What it was fitted to.
    """

    def __init__(self, fit: RegressionFit, points: FitPoints) -> None:
        self._fit, self._points = fit, points
        self._is_seen = points.exposure.any(axis=(0, 1)).ravel()
        field = mean_functions(points.binning, offset_knots=fit.offset_knots)
        self._field = field[self._is_seen]
        self._basis = spline_basis(log_centers(points.binning), fit.energy_knots)
        self._energies = self._find_energies(points)
        self._arrays = self._make_arrays(points, scales_of(fit))
        self._penalty = penalty_matrix(
            fit.columns,
            n_splines=fit.energy_knots.size - 4,
            n_low=len(fit.low_coefficients),
            strengths=(fit.penalty, fit.term_penalty, fit.ridge),
        )
        self._band = Band.of_splines(
            self._basis, self._penalty, n_columns=len(fit.columns)
        )
        self._parts = fit.coefficients, fit.low_coefficients
        self._gamma = np.concatenate([part.ravel() for part in self._parts])
        self._all = self._sums(self._arrays)

    def predict(self, folds: np.ndarray) -> LeftOut:
        """Predict the points of each fold from those of the others.

        Parameters
        ----------
        folds : np.ndarray
            Fold of each point, each of which is a run; ``(n_points,)``.

        Returns
        -------
        LeftOut
            Predictions in the order of the points.
        """
        observed, expected = np.zeros((2, *self._energies.is_used.shape))
        for fold in np.unique(folds):
            index = np.flatnonzero(folds == fold)
            rest = self._without(index)
            held = self._make_arrays(self._points.take(index), rest.scales)
            observed[index], expected[index] = self._compare(held, rest)
        is_safe = self._energies.unsafe_share == 0
        return LeftOut(observed=observed, expected=expected, is_safe=is_safe)

    def predict_runs(
        self, runs: Iterable[RunCounts], point: np.ndarray, folds: np.ndarray
    ) -> LeftOut:
        """Predict some of the runs that are joined in points, without these points.

        Parameters
        ----------
        runs : iterable of RunCounts
            The runs, gone through once.
        point : np.ndarray
            Point that each is in, shape ``(n_some,)``.
        folds : np.ndarray
            Fold of each point, shape ``(n_points,)``.

        Returns
        -------
        LeftOut
            Predictions in the order of the runs.
        """
        rests = {
            fold: self._without(np.flatnonzero(folds == fold))
            for fold in np.unique(folds)
        }
        found = []
        for run, number in zip(runs, point, strict=True):
            rest = rests[folds[number]]
            alone = join_runs([run], _FIRST, fov_alignment=self._fit.fov_alignment)
            held = self._make_arrays(alone, rest.scales)
            observed, expected = self._compare(held, rest)
            found.append((observed[0], expected[0], run.is_safe))
        observed, expected, is_safe = (
            np.array(part) for part in zip(*found, strict=True)
        )
        return LeftOut(observed=observed, expected=expected, is_safe=is_safe)

    def _find_energies(self, points: FitPoints) -> Energies:
        energies, lowest = find_energies(points), self._fit.lowest_distance
        is_used = ~(energies.distance < lowest - _ROUNDING)
        return replace(energies, is_used=is_used, lowest=lowest)

    def _make_arrays(self, points: FitPoints, scales: ConditionScales) -> CountsArrays:
        fit, energies = self._fit, self._find_energies(points)
        binning, knots = points.binning, fit.offset_knots
        spectrum = np.exp(log_spectrum(fit, binning)) * binning.energy_width
        shape = (points.n_points, binning.n_energy, -1)
        base = np.compress(self._is_seen, points.exposure.reshape(shape), axis=2)
        base *= (energies.is_used * spectrum)[:, :, np.newaxis]
        counts = np.compress(self._is_seen, points.counts.reshape(shape), axis=2)
        design, _ = join_design(points, fit.terms, scales, n_radial=knots.size - 4)
        low = None
        if fit.low_knots.size:
            parts = join_thresholds(points, scales, offset_knots=knots)
            low = low_energies(points, energies, knots=fit.low_knots, design=parts)
        counts = np.where(base > 0, counts, 0.0)
        return CountsArrays(counts=counts, base=base, design=design, low=low)

    def _sums(self, arrays: CountsArrays) -> NewtonSums:
        return add_up(arrays, self._parts, 0.0, basis=self._basis, field=self._field)

    def _without(self, index: np.ndarray) -> _Rest:
        """Take a Newton step from the fit of all to that without some points."""
        is_held = np.isin(np.arange(self._points.n_points), index)
        held = self._sums(self._arrays.take(index))
        normal = self._all.normal - held.normal + self._penalty
        score = self._all.score - held.score - self._penalty @ self._gamma
        step = self._band.factor(normal).solve(score)
        n = self._parts[0].size
        parts = (
            (self._gamma + step)[:n].reshape(self._parts[0].shape),
            (self._gamma + step)[n:].reshape(self._parts[1].shape),
        )
        runs = np.flatnonzero(~is_held[self._points.point])
        own = find_scales([self._points.conditions[run] for run in runs])
        of_all = scales_of(self._fit)
        counts = self._arrays.counts[~is_held].sum(axis=(0, 2))
        # an empty range where nothing is left
        energies = np.flatnonzero(counts) if counts.any() else np.array([0, -1])
        return _Rest(
            parts=parts,
            scales=replace(of_all, low=own.low, high=own.high, time_gap=own.time_gap),
            energy_range=(int(energies[0]), int(energies[-1])),
        )

    def _compare(
        self, held: CountsArrays, rest: _Rest
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count and expect at each energy that the others have seen."""
        mean = expected_counts(held, *rest.parts, basis=self._basis, field=self._field)
        low, high = rest.energy_range
        number = np.arange(mean.shape[1])
        is_seen = (number >= low) & (number <= high)
        return held.counts.sum(axis=2) * is_seen, mean.sum(axis=2) * is_seen


_FIRST = np.zeros(1, dtype=np.int64)
