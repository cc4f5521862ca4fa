"""Scatter of the counts of runs about what is expected, beyond Poisson noise."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

__all__ = ["QUANTILE", "excess_variance", "least_variance", "norm_scatter"]

QUANTILE = 0.468  # standard deviations, below which 68 % of a normal distribution are
_HIGHEST = 1e6  # variance beyond which something else is wrong


def norm_scatter(observed: np.ndarray, expected: np.ndarray) -> float:
    """Estimate the scatter of the norms of runs that makes their residuals as expected.

    Parameters
    ----------
    observed, expected : np.ndarray
        Counts, and what a fit of other runs expects, same shape.

    Returns
    -------
    float
        Standard deviation of the norms, at least what cannot be told from zero; NaN
        where nothing is expected.
    """
    if not (expected > 0).any():
        return float("nan")
    found = excess_variance(observed, expected)
    return float(np.sqrt(max(found, least_variance(expected))))


def excess_variance(
    observed: np.ndarray, expected: np.ndarray, *, weight: np.ndarray | float = 1.0
) -> float:
    """Solve mean of (n - m)^2 / (m + x m^2) = 1 for x.

    Unlike a sum of squares alone this does not hang on the longest runs.

    Parameters
    ----------
    observed, expected : np.ndarray
        Counts n and what is expected m, same shape; nothing expected is left out.
    weight : np.ndarray or float
        Weights of the mean.

    Returns
    -------
    float
        Variance of the norms; zero if Poisson noise is enough.

    References
    ----------
    Paule & Mandel 1982, Journal of Research of the NBS 87, 377.

    Examples
    --------
    >>> observed = np.array([9000.0, 11000.0, 10500.0, 9500.0])
    >>> round(excess_variance(observed, np.full(4, 10000.0)), 3)
    0.006
    >>> excess_variance(np.array([101.0, 99.0]), np.array([100.0, 100.0]))
    0.0
    """
    seen = expected > 0
    square, mean = (observed - expected)[seen] ** 2, expected[seen]
    weight = np.broadcast_to(weight, seen.shape)[seen]

    def surplus(variance: float) -> float:
        return float(np.sum(weight * (square / (mean + variance * mean**2) - 1)))

    if not surplus(0.0) > 0:
        return 0.0
    if surplus(_HIGHEST) > 0:
        return _HIGHEST
    return float(brentq(surplus, 0.0, _HIGHEST, rtol=1e-10))


def least_variance(expected: np.ndarray) -> float:
    """Return the variance of norms that cannot be told from zero.

    Parameters
    ----------
    expected : np.ndarray
        Counts expected of each run.

    Returns
    -------
    float
        Below which an estimate is in 68 % of cases if there is none.
    """
    mean = expected[expected > 0]
    # of a sum of (n - m)^2 / m the variance is 2 + 1 / m a run, its slope m
    return float(QUANTILE * np.sqrt(np.sum(2 + 1 / mean)) / mean.sum())
