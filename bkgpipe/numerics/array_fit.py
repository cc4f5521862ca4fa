"""Penalised Poisson fit of arrays of counts, point by energy by place.

The logarithm of the mean is ``log(base) + sum_jkm B[e, j] gamma[j, k] A[g, k, m]
P[b, m]``. Neither the functions of the field P nor the design A of the points depend on
energy, so that no matrix with a row for each bin is ever made.

References
----------
Currie, Durban & Eilers 2006, Journal of the Royal Statistical Society B 68, 259.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

__all__ = ["ArrayFit", "CountsArrays", "expected_counts", "fit_arrays"]

_MAX_STEPS = 30
_MAX_HALVINGS = 20
_TOLERANCE = 1e-2  # of the deviance: far below the 1 that is one standard error
_BLOCK = 32  # points; the means of a block stay in the cache of the processor


@dataclass(frozen=True, kw_only=True, eq=False)
class CountsArrays:
    """Counts of all points, and the mean that a fit of zeros gives.

    Attributes
    ----------
    counts : np.ndarray
        Counts, zero where the base is, ``(n_points, n_energy, n_places)``.
    base : np.ndarray
        Mean expected for coefficients of zero, same shape; zero where unseen.
    design : np.ndarray
        Weights of the functions of the field, ``(n_points, n_columns, n_functions)``.
    """

    counts: np.ndarray
    base: np.ndarray
    design: np.ndarray

    def blocks(self) -> Iterator[CountsArrays]:
        """Go through the points, some at a time.

        Yields
        ------
        CountsArrays
            Views of some points.
        """
        for start in range(0, len(self.counts), _BLOCK):
            part = slice(start, start + _BLOCK)
            yield CountsArrays(
                counts=self.counts[part],
                base=self.base[part],
                design=self.design[part],
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayFit:
    """Result of a fit.

    Attributes
    ----------
    coefficients : np.ndarray
        Shape ``(n_splines, n_columns)``.
    normal : np.ndarray
        Fisher information of the data alone, ``(n, n)`` with n = n_splines x n_columns.
    deviance : float
        Poisson deviance without penalty.
    edf : float
        Effective degrees of freedom.
    observed, expected : np.ndarray
        Counts of each point, and what the fit expects, shape ``(n_points,)``.
    n_steps : int
        Newton steps taken.
    """

    coefficients: np.ndarray
    normal: np.ndarray
    deviance: float
    edf: float
    observed: np.ndarray
    expected: np.ndarray
    n_steps: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Observed:
    """What the counts say, whatever the coefficients."""

    deviance: float
    moments: np.ndarray
    total: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sums:
    deviance: float
    score: np.ndarray
    normal: np.ndarray
    expected: np.ndarray


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
        Penalty on the coefficients in C order, ``(n, n)`` with n = n_splines x
        n_columns; positive definite together with the data.

    Returns
    -------
    ArrayFit
        Coefficients of the least penalised deviance.
    """
    n_columns = len(penalty) // basis.shape[1]
    observed = _observe(arrays, basis=basis, field=field)

    def sums_at(gamma: np.ndarray) -> _Sums:
        matrix = gamma.reshape(-1, n_columns)
        return _pass(arrays, matrix, observed, basis=basis, field=field)

    gamma = np.zeros(len(penalty))
    sums, n_steps = sums_at(gamma), 0
    gain = np.inf
    while gain > _TOLERANCE and n_steps < _MAX_STEPS:
        before = _objective(sums, gamma, penalty)
        step = _solve(sums.normal + penalty, sums.score - penalty @ gamma)
        gamma, sums = _halve(sums_at, gamma, step, penalty=penalty, before=before)
        gain = before - _objective(sums, gamma, penalty)
        n_steps += 1
    return ArrayFit(
        coefficients=gamma.reshape(-1, n_columns),
        normal=sums.normal,
        deviance=sums.deviance,
        edf=float(np.trace(_solve(sums.normal + penalty, sums.normal))),
        observed=observed.total,
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


def expected_counts(
    arrays: CountsArrays,
    coefficients: np.ndarray,
    *,
    basis: np.ndarray,
    field: np.ndarray,
) -> np.ndarray:
    """Evaluate the mean of each bin.

    Parameters
    ----------
    arrays : CountsArrays
        Base and design.
    coefficients : np.ndarray
        Shape ``(n_splines, n_columns)``.
    basis, field : np.ndarray
        As in `fit_arrays`.

    Returns
    -------
    np.ndarray
        Means, shape ``(n_points, n_energy, n_places)``.
    """
    slopes = basis @ coefficients
    weights = np.tensordot(slopes, arrays.design, axes=(1, 1)).swapaxes(0, 1)
    mean: np.ndarray = weights @ field.T
    # A step too far must come back as a large deviance, not as a warning
    np.clip(mean, -200.0, 200.0, out=mean)
    np.exp(mean, out=mean)
    mean *= arrays.base
    return mean


def _observe(
    arrays: CountsArrays, *, basis: np.ndarray, field: np.ndarray
) -> _Observed:
    """Sum the counts with the design; the deviance is that of a mean of one each.

    Less the constant part, half the deviance is the sum of all means less the product
    of coefficients and moments, since the logarithm of the mean is linear in them.
    """
    moments = np.zeros((len(basis), arrays.design.shape[1]))
    deviance, total = 0.0, []
    for block in arrays.blocks():
        seen = block.counts > 0
        n = block.counts[seen]
        deviance += 2.0 * float(np.sum(n * np.log(n / block.base[seen])) - n.sum())
        moments += _score(block.counts @ field, block.design)
        total.append(block.counts.sum(axis=(1, 2)))
    return _Observed(
        deviance=deviance,
        moments=(basis.T @ moments).ravel(),
        total=np.concatenate(total),
    )


def _pass(
    arrays: CountsArrays,
    gamma: np.ndarray,
    observed: _Observed,
    *,
    basis: np.ndarray,
    field: np.ndarray,
) -> _Sums:
    """Add up what one Newton step needs over all points."""
    n_energy, n_columns = len(basis), gamma.shape[1]
    first, second = np.triu_indices(field.shape[1])
    squares = np.column_stack([field, field[:, first] * field[:, second]])
    moments = np.zeros((n_energy, n_columns))
    normal = np.zeros((n_energy, n_columns, n_columns))
    expected = []
    for block in arrays.blocks():
        mean = expected_counts(block, gamma, basis=basis, field=field)
        sums = mean @ squares
        moments += _score(sums[:, :, : field.shape[1]], block.design)
        normal += _normal(sums[:, :, field.shape[1] :], block.design)
        expected.append(mean.sum(axis=(1, 2)))
    total = np.concatenate(expected)
    gain = float(gamma.ravel() @ observed.moments)
    return _Sums(
        deviance=observed.deviance + 2.0 * (float(total.sum()) - gain),
        score=observed.moments - (basis.T @ moments).ravel(),
        normal=_kron_sum(basis, normal),
        expected=total,
    )


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
