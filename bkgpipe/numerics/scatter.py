"""Scatter of the counts of runs about a regression, beyond Poisson noise."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import brentq

from bkgpipe.datamodel.binning import Binning
from bkgpipe.datamodel.counts import RunCounts
from bkgpipe.datamodel.regression import RegressionFit
from bkgpipe.numerics.design import fit_design
from bkgpipe.numerics.field import mean_functions
from bkgpipe.numerics.reference import log_centers, log_reference
from bkgpipe.numerics.splines import spline_basis
from bkgpipe.numerics.terms import TERMS, make_conditions

__all__ = ["count_run_terms", "measure_scatter", "norm_scatter"]


def measure_scatter(
    fit: RegressionFit, runs: Iterable[RunCounts], *, binning: Binning
) -> float:
    """Estimate the scatter of single runs about a fit of points that they are part of.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    runs : iterable of RunCounts
        Some of its runs, gone through once.
    binning : Binning
        Axes of all of them.

    Returns
    -------
    float
        As of `norm_scatter`.
    """
    field = mean_functions(binning, offset_knots=fit.offset_knots)
    centers = log_centers(binning)
    reference = log_reference(centers, fit.reference, fit.energy_range)
    slopes = spline_basis(centers, fit.energy_knots) @ fit.coefficients
    observed, expected = [], []
    for run in runs:
        conditions = make_conditions(run, fov_alignment=fit.fov_alignment)
        log_rate = reference[:, np.newaxis] + slopes @ (
            fit_design(fit, conditions) @ field.T
        )
        exposure = run.safe_exposure_3d.reshape(log_rate.shape)
        counts = run.counts_3d.reshape(log_rate.shape)
        observed.append(float(counts[exposure > 0].sum()))
        mean = (np.exp(log_rate) * exposure).sum(axis=1)
        expected.append(float(binning.energy_width @ mean))
    return norm_scatter(
        np.array(observed),
        np.array(expected),
        n_runs=fit.n_runs,
        n_terms=count_run_terms(fit.terms),
    )


def count_run_terms(terms: tuple[str, ...]) -> int:
    """Count the terms that scale whole runs, which those across the field do not.

    Parameters
    ----------
    terms : tuple of str
        Terms of a fit.

    Returns
    -------
    int
        Number of those that look at a condition.
    """
    return sum(bool(TERMS[name].needs) for name in terms)


def norm_scatter(
    observed: np.ndarray, expected: np.ndarray, *, n_runs: int, n_terms: int
) -> float:
    """Estimate the scatter of the norms of runs that makes their residuals as expected.

    E (n - mu)^2 = mu + scatter^2 mu^2. The sum of the squares over that is the number
    of runs, less what the terms that scale whole runs take. Unlike a sum of squares
    alone it does not hang on the longest runs, which pull the fit to themselves.

    Parameters
    ----------
    observed, expected : np.ndarray
        Counts of some runs of a fit, and what it expects, same shape.
    n_runs : int
        Runs in the fit.
    n_terms : int
        Terms in the fit that scale whole runs.

    Returns
    -------
    float
        Standard deviation of the norms; zero if Poisson noise is enough.

    References
    ----------
    Paule & Mandel 1982, Journal of Research of the NBS 87, 377.
    """
    seen = expected > 0
    square, mean = (observed - expected)[seen] ** 2, expected[seen]
    n_free = max(1, n_runs - 1 - 2 * n_terms) / n_runs * mean.size

    def surplus(variance: float) -> float:
        return float(np.sum(square / (mean + variance * mean**2))) - n_free

    if not surplus(0.0) > 0:
        return 0.0
    highest = float(np.sum(square / mean**2)) / n_free
    return float(np.sqrt(brentq(surplus, 0.0, highest)))
