"""Scatter of the counts of runs about a regression, beyond Poisson noise."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import brentq

from bkgpipe.datamodel.binning import Binning
from bkgpipe.datamodel.counts import RunCounts
from bkgpipe.datamodel.regression import RegressionFit
from bkgpipe.numerics.field import mean_functions
from bkgpipe.numerics.fitted import field_weights, is_fitted, log_spectrum
from bkgpipe.numerics.terms import TERMS, make_conditions

__all__ = ["count_run_terms", "measure_scatter", "norm_scatter", "run_scatters"]


def measure_scatter(
    fit: RegressionFit, runs: Iterable[RunCounts], *, binning: Binning
) -> tuple[float, float]:
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
    tuple of float
        As of `run_scatters`.
    """
    field = mean_functions(binning, offset_knots=fit.offset_knots)
    spectrum = log_spectrum(fit, binning)[:, np.newaxis]
    observed, expected, is_safe = [], [], []
    for run in runs:
        conditions = make_conditions(run, fov_alignment=fit.fov_alignment)
        log_rate = spectrum + field_weights(fit, conditions, binning) @ field.T
        exposure = run.exposure_3d.reshape(log_rate.shape)
        seen = (exposure > 0) & is_fitted(fit, conditions, binning)[:, np.newaxis]
        counts = run.counts_3d.reshape(log_rate.shape)
        observed.append((counts * seen).sum(axis=1))
        mean = (np.exp(log_rate) * exposure * seen).sum(axis=1)
        expected.append(binning.energy_width * mean)
        is_safe.append(run.is_safe)
    return run_scatters(
        np.array(observed),
        np.array(expected),
        is_safe=np.array(is_safe),
        n_runs=fit.n_runs,
        n_terms=count_run_terms(fit.terms),
    )


def run_scatters(
    observed: np.ndarray,
    expected: np.ndarray,
    *,
    is_safe: np.ndarray,
    n_runs: int,
    n_terms: int,
) -> tuple[float, float]:
    """Estimate the scatter of runs, and of single energies below their safe energy.

    Parameters
    ----------
    observed, expected : np.ndarray
        Counts of some runs of a fit, and what it expects, ``(n_some, n_energy)``.
    is_safe : np.ndarray
        True for safe energies, same shape.
    n_runs : int
        Runs in the fit.
    n_terms : int
        Terms in the fit that scale whole runs.

    Returns
    -------
    tuple of float
        Attributes ``scatter`` and ``low_scatter`` of `RegressionFit`.
    """
    low = ~is_safe & (expected > 0)
    of_runs = norm_scatter(
        (observed * is_safe).sum(axis=1),
        (expected * is_safe).sum(axis=1),
        n_runs=n_runs,
        n_terms=n_terms,
    )
    n_low = max(1, int(low.sum()))
    return of_runs, norm_scatter(observed[low], expected[low], n_runs=n_low, n_terms=0)


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
    if not seen.any():
        return 0.0
    square, mean = (observed - expected)[seen] ** 2, expected[seen]
    n_free = max(1, n_runs - 1 - 2 * n_terms) / n_runs * mean.size

    def surplus(variance: float) -> float:
        return float(np.sum(square / (mean + variance * mean**2))) - n_free

    if not surplus(0.0) > 0:
        return 0.0
    highest = float(np.sum(square / mean**2)) / n_free
    return float(np.sqrt(brentq(surplus, 0.0, highest)))
