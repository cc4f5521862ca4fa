"""Statistical errors of rates, and how much runs differ beyond them."""

from __future__ import annotations

import numpy as np

from bkgpipe.stages.stack.scatter import QUANTILE

__all__ = ["HOLE_ERROR", "poisson_error", "run_scatter", "weighted_error"]

# Relative width of the gamma distribution of shape 1/2: Jeffreys' prior of a Poisson
# mean, and its posterior when no event was seen
HOLE_ERROR = float(np.sqrt(2.0))


def poisson_error(counts: np.ndarray) -> np.ndarray:
    """Return the relative standard deviation of a rate, from its counts.

    Parameters
    ----------
    counts : np.ndarray
        Events behind each rate, any shape.

    Returns
    -------
    np.ndarray
        Array of 1 / sqrt(counts), same shape; `HOLE_ERROR` where there are none.

    Examples
    --------
    >>> poisson_error(np.array([100.0, 4.0, 0.0])).round(2)
    array([0.1 , 0.5 , 1.41])
    """
    return weighted_error(counts, counts)


def weighted_error(total: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the relative standard deviation of a weighted sum of counts.

    Parameters
    ----------
    total : np.ndarray
        Sum of weight x counts, any shape.
    variance : np.ndarray
        Sum of weight^2 x counts, same shape.

    Returns
    -------
    np.ndarray
        Array of sqrt(variance) / total, same shape; `HOLE_ERROR` where the sum is zero.

    References
    ----------
    Bohm & Zech 2014, Nucl. Instrum. Meth. A 748, 1 (sums of weighted Poisson events).

    Examples
    --------
    >>> weighted_error(np.array([200.0]), np.array([400.0]))
    array([0.1])
    """
    error = np.full(total.shape, HOLE_ERROR)
    np.divide(np.sqrt(variance), total, out=error, where=total > 0)
    return error


def run_scatter(observed: np.ndarray, expected: np.ndarray) -> float:
    """Estimate how much the norms of runs differ beyond Poisson noise, by moments.

    For runs whose norms have the relative standard deviation s, the expectation of
    (n - m)^2 is m + s^2 m^2 with n counted and m expected. That is summed over the
    runs and solved for s; since the m add up to the n, one degree of freedom is lost.

    Parameters
    ----------
    observed : np.ndarray
        Events of each run, shape ``(n_runs,)``.
    expected : np.ndarray
        Events expected of it from the rate of all runs together, same shape.

    Returns
    -------
    float
        Relative scatter, at least what cannot be told from zero; NaN for fewer than two
        runs, or no events.

    References
    ----------
    Anscombe 1950, Biometrika 37, 358 (moments of the negative binomial).

    Examples
    --------
    >>> observed = np.array([9000.0, 11000.0, 10500.0, 9500.0])
    >>> round(run_scatter(observed, np.full(4, 10000.0)), 3)
    0.091
    """
    n_runs = observed.size
    if n_runs < 2 or not expected.any():
        return float("nan")
    square = (observed - expected) ** 2 * n_runs / (n_runs - 1)
    excess = float(np.sum(square - expected))
    # without any scatter the standard deviation of that sum is the root of this
    noise = QUANTILE * float(np.sqrt(np.sum(2 * expected**2 + expected)))
    return float(np.sqrt(max(noise, excess) / np.sum(expected**2)))
