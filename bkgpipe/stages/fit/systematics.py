"""Systematic errors of a regression, from runs and fields left out of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.fit.data import FitPoints, RegressionFit, RunConditions, Systematics
from bkgpipe.stages.fit.fitted import is_judged
from bkgpipe.stages.fit.leave_out import LeaveOut, LeftOut
from bkgpipe.stages.fit.penalties import find_nights
from bkgpipe.stages.fit.sky_fields import find_sky_fields, is_near, spread_blocks
from bkgpipe.stages.stack.scatter import QUANTILE, excess_variance, norm_scatter

__all__ = ["measure_systematics", "run_systematics"]

_BANDS_PER_DECADE = 2
_N_FOLDS = 10
_NEIGHBOUR = 0.1  # weight of a band in the next one


def measure_systematics(
    fit: RegressionFit,
    points: FitPoints,
    *,
    runs: Iterable[RunCounts] = (),
    point: np.ndarray | None = None,
) -> RegressionFit:
    """Measure how wrong a fit is about runs that it has not seen.

    Every tenth run is left out in turn, and then whole fields of the sky; nights where
    a pointing is unknown. Where runs are joined, points are left out, and no fields.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    points : FitPoints
        What it was fitted to.
    runs : iterable of RunCounts
        Some of the runs, where these are joined in points.
    point : np.ndarray, optional
        Point that each of these is in.

    Returns
    -------
    RegressionFit
        The fit with its scatters and systematics; as it was if there is but one point.

    References
    ----------
    Stone 1974, Journal of the Royal Statistical Society B 36, 111.
    """
    if points.n_points < 2:
        return fit
    edges, bands = _bands(points.binning)
    leave_out = LeaveOut(fit, points)
    folds = np.arange(points.n_points) % min(_N_FOLDS, points.n_points)
    if point is None:
        by_run = leave_out.predict(folds)
        fields = _sky_fields(points)
        by_field = leave_out.predict(spread_blocks(fields, _N_FOLDS))
    else:
        by_run = by_field = leave_out.predict_runs(runs, point, folds)
        fields = np.arange(len(point))
    scatter = _scatters(by_run, bands, np.arange(len(fields)))
    of_fields = np.maximum(scatter, _scatters(by_field, bands, fields))
    low = ~by_run.is_safe
    return replace(
        fit,
        scatter=float(scatter[-1]),
        low_scatter=norm_scatter(by_run.observed[low], by_run.expected[low]),
        systematics=Systematics(
            edges=edges,
            scatter=scatter,
            field_scatter=of_fields,
            pointings=points.pointing if point is None else np.zeros((0, 2)),
        ),
    )


def run_systematics(
    fit: RegressionFit,
    conditions: RunConditions,
    binning: Binning,
    *,
    pointing: tuple[float, float],
    excursion_error: float,
) -> tuple[float, np.ndarray]:
    """Return the systematic error of what a fit predicts for a run.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run.
    binning : Binning
        Axes.
    pointing : tuple of float
        Right ascension and declination of the run [deg].
    excursion_error : float
        That of what is predicted.

    Returns
    -------
    total : float
        Relative error of the total; NaN when unknown.
    of_energy : np.ndarray
        Relative error at each energy that its band has in common, ``(n_energy,)``;
        empty when unknown.
    """
    known = fit.systematics
    if not known.edges.size:
        return float("nan"), np.zeros(0)
    near = is_near(known.pointings, pointing)
    scatter = known.scatter if near else known.field_scatter
    of_energy = scatter[_band_of(binning, known.edges)]
    # below the safe energy norms are each run's own
    if np.isfinite(fit.low_scatter):
        judged = is_judged(fit, conditions, binning)
        of_energy = np.where(judged, of_energy, np.maximum(of_energy, fit.low_scatter))
    total = np.hypot(scatter[-1], excursion_error)
    return float(total), np.hypot(of_energy, excursion_error)


def _bands(binning: Binning) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of half decades, and their energies; last, all energies."""
    decades = np.log10(binning.energy_edges[:-1] / binning.energy_edges[0])
    half = np.floor(decades * _BANDS_PER_DECADE + 1e-9).astype(np.int64)
    starts = np.flatnonzero(np.diff(half, prepend=-1))
    edges = binning.energy_edges[np.append(starts, -1)]
    members = np.searchsorted(starts, np.arange(half.size), side="right") - 1
    bands = np.arange(starts.size)[:, np.newaxis] == members
    return edges, np.vstack([bands, np.ones(half.size, dtype=bool)])


def _band_of(binning: Binning, edges: np.ndarray) -> np.ndarray:
    centers = np.sqrt(binning.energy_edges[1:] * binning.energy_edges[:-1])
    number: np.ndarray = np.searchsorted(edges[1:-1], centers)
    return number


def _sky_fields(points: FitPoints) -> np.ndarray:
    """Return the field of each run, or its night where all are of one or unknown."""
    fields = np.zeros(points.n_points, dtype=np.int64)
    if points.pointing.size:
        fields[points.point] = find_sky_fields(*points.pointing.T)
    return fields if fields.any() else find_nights(points)


def _scatters(left_out: LeftOut, bands: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the relative scatter in each band of runs left out in blocks."""
    found, weight = np.zeros((2, len(bands)))
    observed, expected = (
        (counts * left_out.is_safe) @ bands.T
        for counts in (left_out.observed, left_out.expected)
    )
    # runs of a block share their error: each block counts as one
    size = np.bincount(block)[block]
    for number in reversed(range(len(bands))):
        counted, mean = observed[:, number], expected[:, number]
        found[number] = excess_variance(counted, mean, weight=1 / size)
        # the same variance for all, or those that happen to be small would weigh more
        slope = mean / (1 + found[-1] * mean) / size
        n_blocks = np.sum((mean > 0) / size)
        weight[number] = slope.sum() ** 2 / max(1.0, n_blocks)
    smooth, error = _borrow(found, weight)
    scatters: np.ndarray = np.sqrt(np.maximum(smooth, QUANTILE * error))
    return scatters


def _borrow(found: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average each band with its neighbours; return the averages and their errors.

    The last one is of all energies, and stands for bands without events. The variance
    of what was found is 2 / weight.
    """
    number = np.arange(found.size)
    share = _NEIGHBOUR ** np.abs(number[:, np.newaxis] - number).astype(np.float64)
    share[-1], share[:, -1] = 0.0, 0.0
    share[-1, -1] = 1.0
    share[share @ weight == 0] = share[-1]
    total = np.maximum(share @ weight, np.finfo(np.float64).tiny)
    return share @ (weight * found) / total, np.sqrt(2 * share**2 @ weight) / total
