"""Penalised Poisson fit of arrays of counts, point by energy by place.

The logarithm of the mean is ``log(base) + sum_jkm B[e, j] gamma[j, k] A[g, k, m]
P[b, m]``. Neither the functions of the field P nor the design A of the points depend on
energy, so that no matrix with a row for each bin is ever made. Near the threshold of
each point, ``sum_jkm T[g, e, j] theta[j, k] Y[g, k, m] P[b, m]`` is added: T depends on
the distance of an energy to that threshold.

Where the norm of a point at one energy has a variance v of its own, its counts n with
mean m are negative binomial: what n tells of the mean has the weight 1 / (1 + v m), and
how they are spread over the field has the full one.

References
----------
Currie, Durban & Eilers 2006, Journal of the Royal Statistical Society B 68, 259;
Lawless 1987, Canadian Journal of Statistics 15, 209 (negative binomial regression).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor
from scipy.linalg.lapack import dpotri

from bkgpipe.numerics.banded import Band
from bkgpipe.numerics.count_arrays import CountsArrays
from bkgpipe.numerics.newton_sums import NewtonSums, add_up, saturated_deviance

__all__ = ["ArrayFit", "fit_arrays"]

_MAX_STEPS = 30
_MAX_HALVINGS = 20
_TOLERANCE = 1e-2  # of the deviance: far below the 1 that is one standard error


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayFit:
    """Result of a fit.

    Attributes
    ----------
    coefficients : np.ndarray
        Shape ``(n_splines, n_columns)``.
    low_coefficients : np.ndarray
        Shape ``(n_low, n_parts)``; both zero without `CountsArrays.low`.
    normal : np.ndarray
        Fisher information of the data alone, ``(n, n)`` with n = n_splines x n_columns
        + n_low x n_parts.
    inverse : np.ndarray
        Inverse of that information with the penalty, ``(n, n)``.
    deviance : float
        Deviance without penalty: Poisson, or negative binomial.
    edf : float
        Effective degrees of freedom.
    observed, expected : np.ndarray
        Counts of each point and energy, and what the fit expects, shape ``(n_points,
        n_energy)``.
    n_steps : int
        Newton steps taken.
    """

    coefficients: np.ndarray
    low_coefficients: np.ndarray
    normal: np.ndarray
    inverse: np.ndarray
    deviance: float
    edf: float
    observed: np.ndarray
    expected: np.ndarray
    n_steps: int


def fit_arrays(
    arrays: CountsArrays,
    *,
    basis: np.ndarray,
    field: np.ndarray,
    penalty: np.ndarray,
) -> ArrayFit:
    """Fit by Newton steps, halved until the penalised deviance falls.

    Parameters
    ----------
    arrays : CountsArrays
        Counts, base and design.
    basis : np.ndarray
        Energy splines B, shape ``(n_energy, n_splines)``.
    field : np.ndarray
        Functions of the field P, shape ``(n_places, n_functions)``.
    penalty : np.ndarray
        Penalty on the coefficients, those of all energies in C order and then those of
        the thresholds, ``(n, n)``; positive definite together with the data.

    Returns
    -------
    ArrayFit
        Coefficients of the least penalised deviance.
    """
    constant = saturated_deviance(arrays)

    def sums_at(gamma: np.ndarray) -> NewtonSums:
        parts = _split(arrays, gamma, n_splines=basis.shape[1])
        return add_up(arrays, parts, constant, basis=basis, field=field)

    band = Band.of_splines(basis, penalty, n_columns=arrays.design.shape[1])
    gamma = np.zeros(len(penalty))
    sums, n_steps = sums_at(gamma), 0
    value, gain = _objective(sums, gamma, penalty), np.inf
    while gain > _TOLERANCE and n_steps < _MAX_STEPS:
        before = value
        factor = band.factor(sums.normal + penalty)
        step = factor.solve(sums.score - penalty @ gamma)
        gamma, sums = _halve(sums_at, gamma, step, penalty=penalty, before=before)
        value = _objective(sums, gamma, penalty)
        gain = before - value
        n_steps += 1
    coefficients, low = _split(arrays, gamma, n_splines=basis.shape[1])
    inverse = _inverse(sums.normal + penalty)
    return ArrayFit(
        coefficients=coefficients,
        low_coefficients=low,
        normal=sums.normal,
        deviance=sums.deviance,
        inverse=inverse,
        edf=float(np.sum(inverse * sums.normal)),
        observed=arrays.counts.sum(axis=2),
        expected=sums.expected,
        n_steps=n_steps,
    )


def _split(
    arrays: CountsArrays, gamma: np.ndarray, *, n_splines: int
) -> tuple[np.ndarray, np.ndarray]:
    """Part coefficients into those of all energies and those of the thresholds."""
    n = n_splines * arrays.design.shape[1]
    shape = (arrays.low.basis.shape[2], arrays.low.design.shape[1]) if arrays.low else 0
    coefficients = gamma[:n].reshape(n_splines, -1)
    return coefficients, gamma[n:].reshape(shape if shape else (0, 0))


def _objective(sums: NewtonSums, gamma: np.ndarray, penalty: np.ndarray) -> float:
    return sums.deviance + float(gamma @ penalty @ gamma)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Invert a positive definite matrix, in half the time of solving for each row."""
    factor, is_lower = cho_factor(matrix, lower=True)
    triangle, _ = dpotri(factor, lower=is_lower)
    inverse: np.ndarray = np.tril(triangle) + np.tril(triangle, -1).T
    return inverse


def _halve(
    sums_at: Callable[[np.ndarray], NewtonSums],
    gamma: np.ndarray,
    step: np.ndarray,
    *,
    penalty: np.ndarray,
    before: float,
) -> tuple[np.ndarray, NewtonSums]:
    """Go along the step as far as the penalised deviance falls."""
    for _ in range(_MAX_HALVINGS):
        sums = sums_at(gamma + step)
        if _objective(sums, gamma + step, penalty) <= before:
            return gamma + step, sums
        step = step / 2
    return gamma, sums_at(gamma)
