"""What a Newton step of a fit of arrays needs, added up over points and energies.

Where a norm has a variance v, n counts with mean m have s = (1 + v n) / (1 + v m) times
the Fisher information as second derivatives. With v at zero, or on average, s is one.

References
----------
Lawless 1987, Canadian Journal of Statistics 15, 209 (both informations of the negative
binomial); Efron & Hinkley 1978, Biometrika 65, 457 (which one errors follow).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bkgpipe.stages.fit.count_arrays import CountsArrays, LowEnergies, expected_counts

__all__ = ["Information", "NewtonSums", "Parts", "add_up", "saturated_deviance"]

Information = Literal["expected", "observed"]
Parts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class NewtonSums:
    """Sums over all bins.

    Attributes
    ----------
    deviance : float
        Deviance without penalty.
    score : np.ndarray
        Half its negative gradient, shape ``(n,)``.
    normal : np.ndarray
        Information, shape ``(n, n)``: its expectation, that of Fisher, or as observed.
    expected : np.ndarray
        Means of each point and energy, shape ``(n_points, n_energy)``.
    """

    deviance: float
    score: np.ndarray
    normal: np.ndarray
    expected: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moments:
    """Sums over places: first moments residual and mean, second moments with weights.

    Shapes ``(n_points, n_energy, n_functions)``, twice for the second.
    """

    residual: np.ndarray
    weight: np.ndarray
    surplus: float


def saturated_deviance(arrays: CountsArrays) -> float:
    """Return the part of the Poisson deviance that no coefficient changes.

    The deviance is this + 2 x (sum of all means - sum of counts x exponents).

    Parameters
    ----------
    arrays : CountsArrays
        Counts and base.

    Returns
    -------
    float
        The constant part.
    """
    deviance = 0.0
    for block in arrays.blocks():
        seen = block.counts > 0
        n = block.counts[seen]
        deviance += 2.0 * float(np.sum(n * np.log(n / block.base[seen])) - n.sum())
    return deviance


def add_up(
    arrays: CountsArrays,
    coefficients: Parts,
    constant: float,
    *,
    basis: np.ndarray,
    field: np.ndarray,
    information: Information = "observed",
) -> NewtonSums:
    """Add up deviance, score and information over all points.

    Parameters
    ----------
    arrays : CountsArrays
        Counts, base and design.
    coefficients : tuple of np.ndarray
        Those of all energies and those of the thresholds.
    constant : float
        What `saturated_deviance` returned.
    basis, field : np.ndarray
        As in `fit_arrays`.
    information : str
        ``observed``, half the second derivatives of the deviance, or ``expected``.

    Returns
    -------
    NewtonSums
        The sums.
    """
    first, second = np.triu_indices(field.shape[1])
    squares = np.column_stack([field, field[:, first] * field[:, second]])
    deviance, expected = constant, []
    score, normals = np.zeros(sum(part.size for part in coefficients)), []
    for block in arrays.blocks():
        mean = expected_counts(block, *coefficients, basis=basis, field=field)
        counted, total = block.counts @ field, mean.sum(axis=2)
        moments = _moments(
            block, counted, total, mean @ squares, information=information
        )
        gain = _score(counted, block, basis) @ np.concatenate(
            [part.ravel() for part in coefficients]
        )
        deviance += 2.0 * float(total.sum() - gain) + moments.surplus
        score += _score(moments.residual, block, basis)
        normals.append(_information(moments.weight, block, basis))
        expected.append(total)
    return NewtonSums(
        deviance=deviance,
        score=score,
        normal=_normal(normals, basis),
        expected=np.concatenate(expected),
    )


def _moments(
    block: CountsArrays,
    counted: np.ndarray,
    total: np.ndarray,
    sums: np.ndarray,
    *,
    information: Information,
) -> _Moments:
    """Take what totals with a variance of their own tell of the mean, and not more."""
    n_functions = counted.shape[2]
    first, second = np.triu_indices(n_functions)
    mean = sums[:, :, :n_functions]
    weight = np.empty((*mean.shape, n_functions))
    weight[..., first, second] = sums[:, :, n_functions:]
    weight[..., second, first] = sums[:, :, n_functions:]
    if block.low is None:
        return _Moments(residual=counted - mean, weight=weight, surplus=0.0)
    variance, n = block.low.variance, block.counts.sum(axis=2)
    lost = 1 - 1 / (1 + variance * total)
    safe_total = np.where(total > 0, total, 1.0)
    scale = 1 + lost * (n / safe_total - 1)
    outer = mean[..., :, np.newaxis] * mean[..., np.newaxis, :]
    weight -= (lost / safe_total)[..., np.newaxis, np.newaxis] * outer
    if information == "observed":
        weight *= scale[..., np.newaxis, np.newaxis]
    residual = counted - scale[..., np.newaxis] * mean
    free = (variance > 0) & (total > 0)
    surplus = _surplus(n[free], total[free], variance[free])
    return _Moments(residual=residual, weight=weight, surplus=surplus)


def _surplus(n: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> float:
    """Return the negative binomial deviance of totals, less the Poisson one."""
    poisson = mean - n
    binomial = (n + 1 / variance) * np.log((1 + variance * n) / (1 + variance * mean))
    return -2.0 * float(np.sum(poisson + binomial))


def _score(residual: np.ndarray, block: CountsArrays, basis: np.ndarray) -> np.ndarray:
    """Project first moments onto the coefficients, shape ``(n,)``."""
    along = np.tensordot(
        residual.swapaxes(0, 1), block.design.swapaxes(1, 2), axes=([1, 2], [0, 1])
    )
    score: np.ndarray = (basis.T @ along).ravel()
    if block.low is None:
        return score
    in_design = residual @ block.low.design.swapaxes(1, 2)
    low = np.tensordot(block.low.basis, in_design, axes=([0, 1], [0, 1]))
    return np.concatenate([score, low.ravel()])


def _information(
    weight: np.ndarray, block: CountsArrays, basis: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Project second moments onto columns at each energy, thresholds, and both."""
    n_columns = block.design.shape[1]
    weight = weight.swapaxes(0, 1)
    left = block.design @ weight
    flat = left.transpose(0, 2, 1, 3).reshape(len(basis), n_columns, -1)
    by_energy = flat @ block.design.transpose(0, 2, 1).reshape(-1, n_columns)
    if block.low is None:
        return (by_energy,)
    return by_energy, _cross(left, block.low, basis), _low_normal(weight, block.low)


def _normal(
    information: Sequence[tuple[np.ndarray, ...]], basis: np.ndarray
) -> np.ndarray:
    """Add up the information of all blocks on all coefficients, shape ``(n, n)``."""
    parts = zip(*information, strict=True)
    by_energy, *of_low = (np.sum(of_blocks, axis=0) for of_blocks in parts)
    size = basis.shape[1] * by_energy.shape[1]
    n_low = of_low[0].shape[1] if of_low else 0
    normal = np.zeros((size + n_low, size + n_low))
    _add_energies(normal[:size, :size], basis, by_energy)
    if of_low:
        cross, low = of_low
        normal[:size, size:], normal[size:, :size] = cross, cross.T
        normal[size:, size:] = low
    return normal


def _cross(left: np.ndarray, low: LowEnergies, basis: np.ndarray) -> np.ndarray:
    """Return the information that both kinds of coefficients share."""
    mixed = left @ low.design.swapaxes(1, 2)
    by_energy = np.einsum("gem,egkl->ekml", low.basis, mixed, optimize=True)
    cross = np.tensordot(basis, by_energy, axes=(0, 0))
    size = basis.shape[1] * left.shape[2]
    flat: np.ndarray = cross.reshape(size, -1)
    return flat


def _low_normal(weight: np.ndarray, low: LowEnergies) -> np.ndarray:
    inner = (low.design @ weight) @ low.design.swapaxes(1, 2)
    n_points, n_energy, n_low = low.basis.shape
    pairs = low.basis[..., :, np.newaxis] * low.basis[..., np.newaxis, :]
    flat = inner.swapaxes(0, 1).reshape(n_points * n_energy, -1)
    blocks = pairs.reshape(n_points * n_energy, -1).T @ flat
    n_parts = low.design.shape[1]
    blocks = blocks.reshape(n_low, n_low, n_parts, n_parts).transpose(0, 2, 1, 3)
    matrix: np.ndarray = blocks.reshape(n_low * n_parts, -1)
    return matrix


def _add_energies(matrix: np.ndarray, basis: np.ndarray, normal: np.ndarray) -> None:
    """Set a matrix of zeros to the sum over energies of (B B^T) kron (X^T W X)."""
    n_energy, n_splines = basis.shape
    n_columns = normal.shape[1]
    is_reached = basis != 0
    first, second = np.nonzero(is_reached.T @ is_reached)
    pairs = basis[:, first] * basis[:, second]
    blocks = (pairs.T @ normal.reshape(n_energy, -1)).reshape(-1, n_columns, n_columns)
    in_blocks = matrix.reshape(n_splines, n_columns, n_splines, n_columns)
    in_blocks[first, :, second] = blocks
