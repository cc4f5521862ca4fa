"""Penalised Poisson fit of arrays of counts, energy by run by place.

The logarithm of the mean is ``log(base) + sum_jkm B[e, j] gamma[j, k] A[g, k, m]
P[b, m]``. Neither the functions of the field P nor the design A of the runs depend on
energy, so that no matrix with a row for each bin is ever made.

References
----------
Currie, Durban & Eilers 2006, Journal of the Royal Statistical Society B 68, 259.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

__all__ = ["ArrayFit", "CountsBlock", "fit_arrays"]

_MAX_STEPS = 30
_MAX_HALVINGS = 20
_TOLERANCE = 1e-2  # of the deviance: far below the 1 that is one standard error


@dataclass(frozen=True, kw_only=True, eq=False)
class CountsBlock:
    """Counts of some runs, and the mean that a fit of zeros gives.

    Attributes
    ----------
    counts : np.ndarray
        Counts where the base is positive, ``(n_runs, n_energy, n_places)``.
    base : np.ndarray
        Mean expected for coefficients of zero, same shape; zero where unseen.
    design : np.ndarray
        Weights of the functions of the field, ``(n_runs, n_columns, n_functions)``.
    """

    counts: np.ndarray
    base: np.ndarray
    design: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayFit:
    """Result of a fit.

    Attributes
    ----------
    coefficients : np.ndarray
        Shape ``(n_splines, n_columns)``.
    covariance : np.ndarray
        Sandwich covariance, ``(n, n)`` with n = n_splines x n_columns.
    deviance : float
        Poisson deviance without penalty.
    edf : float
        Effective degrees of freedom.
    observed, expected : np.ndarray
        Counts of each run, and what the fit expects, shape ``(n_runs,)``.
    n_steps : int
        Newton steps taken.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    deviance: float
    edf: float
    observed: np.ndarray
    expected: np.ndarray
    n_steps: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sums:
    deviance: float
    score: np.ndarray
    normal: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


def fit_arrays(
    blocks: Callable[[], Iterable[CountsBlock]],
    *,
    basis: np.ndarray,
    field: np.ndarray,
    penalty: np.ndarray,
) -> ArrayFit:
    """Fit by Newton steps, halved until the penalised deviance falls.

    Parameters
    ----------
    blocks : callable
        Goes through all blocks of runs, once for each step.
    basis : np.ndarray
        Energy splines B, shape ``(n_energy, n_splines)``.
    field : np.ndarray
        Functions of the field P, shape ``(n_places, n_functions)``.
    penalty : np.ndarray
        Penalty on the coefficients in C order, ``(n, n)`` with n = n_splines x
        n_columns; positive definite together with the data.

    Returns
    -------
    ArrayFit
        Coefficients of the least penalised deviance, and their covariance.
    """
    n_columns = len(penalty) // basis.shape[1]

    def sums_at(gamma: np.ndarray) -> _Sums:
        return _pass(blocks(), gamma.reshape(-1, n_columns), basis=basis, field=field)

    gamma = np.zeros(len(penalty))
    sums, n_steps = sums_at(gamma), 0
    gain = np.inf
    while gain > _TOLERANCE and n_steps < _MAX_STEPS:
        before = _objective(sums, gamma, penalty)
        step = _solve(sums.normal + penalty, sums.score - penalty @ gamma)
        gamma, sums = _halve(sums_at, gamma, step, penalty=penalty, before=before)
        gain = before - _objective(sums, gamma, penalty)
        n_steps += 1
    inverse = _solve(sums.normal + penalty, np.eye(len(penalty)))
    return ArrayFit(
        coefficients=gamma.reshape(-1, n_columns),
        covariance=inverse @ sums.normal @ inverse,
        deviance=sums.deviance,
        edf=float(np.sum(inverse * sums.normal)),
        observed=sums.observed,
        expected=sums.expected,
        n_steps=n_steps,
    )


def _objective(sums: _Sums, gamma: np.ndarray, penalty: np.ndarray) -> float:
    return sums.deviance + float(gamma @ penalty @ gamma)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    solution: np.ndarray = cho_solve(cho_factor(matrix), right)
    return solution


def _halve(
    sums_at: Callable[[np.ndarray], _Sums],
    gamma: np.ndarray,
    step: np.ndarray,
    *,
    penalty: np.ndarray,
    before: float,
) -> tuple[np.ndarray, _Sums]:
    """Go along the step as far as the penalised deviance falls."""
    for _ in range(_MAX_HALVINGS):
        sums = sums_at(gamma + step)
        if _objective(sums, gamma + step, penalty) <= before:
            return gamma + step, sums
        step = step / 2
    return gamma, sums_at(gamma)


def _pass(
    blocks: Iterable[CountsBlock],
    gamma: np.ndarray,
    *,
    basis: np.ndarray,
    field: np.ndarray,
) -> _Sums:
    """Add up what one Newton step needs over all runs."""
    n_energy, n_columns = len(basis), gamma.shape[1]
    first, second = np.triu_indices(field.shape[1])
    squares = field[:, first] * field[:, second]
    slopes = basis @ gamma
    score = np.zeros((n_energy, n_columns))
    normal = np.zeros((n_energy, n_columns, n_columns))
    deviance = 0.0
    observed, expected = [], []
    for block in blocks:
        weights = np.tensordot(slopes, block.design, axes=(1, 1)).swapaxes(0, 1)
        mean = _mean(block.base, weights @ field.T)
        deviance += _deviance(block.counts, mean)
        score += _score((block.counts - mean) @ field, block.design)
        normal += _normal(mean @ squares, block.design)
        observed.append(block.counts.sum(axis=(1, 2)))
        expected.append(mean.sum(axis=(1, 2)))
    return _Sums(
        deviance=deviance,
        score=(basis.T @ score).ravel(),
        normal=_kron_sum(basis, normal),
        observed=np.concatenate(observed),
        expected=np.concatenate(expected),
    )


def _mean(base: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    # A step too far must come back as a large deviance, not as a warning
    np.clip(exponent, -200.0, 200.0, out=exponent)
    mean: np.ndarray = np.exp(exponent, out=exponent)
    mean *= base
    return mean


def _deviance(counts: np.ndarray, mean: np.ndarray) -> float:
    seen = counts > 0
    n, mu = counts[seen], mean[seen]
    return 2.0 * float(np.sum(n * np.log(n / mu)) - n.sum() + mean.sum())


def _score(residual: np.ndarray, design: np.ndarray) -> np.ndarray:
    score: np.ndarray = np.tensordot(
        residual.swapaxes(0, 1), design.swapaxes(1, 2), axes=([1, 2], [0, 1])
    )
    return score


def _normal(moments: np.ndarray, design: np.ndarray) -> np.ndarray:
    """Return X^T W X of each energy from P^T W P of each run and energy."""
    n_runs, n_energy, _ = moments.shape
    n_columns, n_functions = design.shape[1:]
    first, second = np.triu_indices(n_functions)
    full = np.empty((n_energy, n_runs, n_functions, n_functions))
    full[:, :, first, second] = moments.swapaxes(0, 1)
    full[:, :, second, first] = moments.swapaxes(0, 1)
    left = (design @ full).transpose(0, 2, 1, 3).reshape(n_energy, n_columns, -1)
    normal: np.ndarray = left @ design.transpose(0, 2, 1).reshape(-1, n_columns)
    return normal


def _kron_sum(basis: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return the sum over energies of (B B^T) kron (X^T W X)."""
    n_energy, n_splines = basis.shape
    n_columns = normal.shape[1]
    pairs = (basis[:, :, np.newaxis] * basis[:, np.newaxis, :]).reshape(n_energy, -1)
    blocks = (pairs.T @ normal.reshape(n_energy, -1)).reshape(
        n_splines, n_splines, n_columns, n_columns
    )
    matrix: np.ndarray = blocks.transpose(0, 2, 1, 3).reshape(
        n_splines * n_columns, n_splines * n_columns
    )
    return matrix
