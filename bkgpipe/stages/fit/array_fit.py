"""Penalised Poisson fit of arrays of counts, point by energy by place.

The logarithm of the mean is ``log(base) + sum_jkm B[e, j] gamma[j, k] A[g, k, m]
P[b, m]``. Neither the functions of the field P nor the design A of the points depend on
energy, so that no matrix with a row for each bin is ever made. Near the threshold of
each point, ``sum_jkm T[g, e, j] theta[j, k] Y[g, k, m] P[b, m]`` is added: T depends on
the distance of an energy to that threshold.

Where the norm of a point at one energy has a variance v of its own, its counts n with
mean m are negative binomial: what n tells of the mean has the weight 1 / (1 + v m), and
how they are spread over the field has the full one.

Far from the optimum steps are those of Fisher scoring, which go the right way from
anywhere but come nearer by a factor of about 4 each only, where norms have a variance.
Near it they are Newton's, by the observed information, which is positive semidefinite
everywhere but so small where far too much is expected that first steps would overshoot.

References
----------
Currie, Durban & Eilers 2006, Journal of the Royal Statistical Society B 68, 259;
Lawless 1987, Canadian Journal of Statistics 15, 209 (negative binomial regression);
Boyd & Vandenberghe 2004, Convex Optimization, section 9.5 (Newton decrement).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import cho_factor
from scipy.linalg.lapack import dpotri

from bkgpipe.stages.fit.banded import Band
from bkgpipe.stages.fit.count_arrays import CountsArrays
from bkgpipe.stages.fit.newton_sums import (
    Information,
    NewtonSums,
    add_up,
    saturated_deviance,
)

__all__ = ["ArrayFit", "fit_arrays"]

_log = logging.getLogger(__name__)

_MAX_STEPS = 30
_MAX_HALVINGS = 20
# Gain of the deviance that the last step promises; one standard error is 1. Newton's
# steps leave of the order of its square
_TOLERANCE = 1e-4
_NEAR = 5e-3  # the same over the deviance, from which on the optimum is near
_ROUNDING = 1e-10  # of the deviance
_LEAST_SHARE = 0.2  # of the gain, to be reached before a step is halved (Armijo)


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
        Observed information of the data alone, ``(n, n)`` with n = n_splines x
        n_columns + n_low x n_parts.
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

    They end with the first one that promises next to no gain: the Newton decrement.

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

    def sums_at(information: Information, gamma: np.ndarray) -> NewtonSums:
        return add_up(
            arrays,
            _split(arrays, gamma, n_splines=basis.shape[1]),
            constant,
            basis=basis,
            field=field,
            information=information,
        )

    band = Band.of_splines(basis, penalty, n_columns=arrays.design.shape[1])
    gamma, sums, n_steps = _descend(sums_at, band, penalty)
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


def _descend(
    sums_at: Callable[[Information, np.ndarray], NewtonSums],
    band: Band,
    penalty: np.ndarray,
) -> tuple[np.ndarray, NewtonSums, int]:
    """Return the coefficients, the sums there, and the number of steps from zero."""
    gamma, n_steps, gain = np.zeros(len(penalty)), 0, np.inf
    information: Information = "expected"
    sums = sums_at(information, gamma)
    while gain > _TOLERANCE and n_steps < _MAX_STEPS:
        slope = sums.score - penalty @ gamma
        step = band.factor(sums.normal + penalty).solve(slope)
        gain, value = float(step @ slope), _objective(sums, gamma, penalty)
        if gain < max(_TOLERANCE, _NEAR * value):
            information = "observed"
        evaluate = partial(sums_at, information)
        gamma, sums = _halve(evaluate, gamma, step, penalty=penalty, goal=(value, gain))
        n_steps += 1
    if gain > _TOLERANCE:
        _log.warning(
            "The fit has not converged: step %d still promised to lower the deviance "
            "by %.2g",
            n_steps,
            gain,
        )
    return gamma, sums, n_steps


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
    goal: tuple[float, float],
) -> tuple[np.ndarray, NewtonSums]:
    """Go along the step as far as the objective falls by a share of what it promises.

    To fall at all is not enough: steps that are twice too long would go to and fro.
    """
    before, gain = goal
    part = 1.0
    for _ in range(_MAX_HALVINGS):
        there = gamma + part * step
        sums = sums_at(there)
        limit = before - _LEAST_SHARE * part * gain + _ROUNDING * before
        if _objective(sums, there, penalty) <= limit:
            return there, sums
        part /= 2
    return gamma, sums_at(gamma)
