"""Counts of all points of a fit as arrays, and the means that coefficients give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["CountsArrays", "LowEnergies", "expected_counts"]

_BLOCK = 32  # points; the means of a block stay in the cache of the processor


@dataclass(frozen=True, kw_only=True, eq=False)
class LowEnergies:
    """What is added near the threshold of each point.

    Attributes
    ----------
    basis : np.ndarray
        Functions T of the distance to the threshold, ``(n_points, n_energy, n_low)``.
    design : np.ndarray
        Weights Y of the functions of the field, ``(n_points, n_parts, n_functions)``.
    variance : np.ndarray
        Variance of the norm of each point at each energy, ``(n_points, n_energy)``;
        zero where counts are Poisson distributed about the mean.
    """

    basis: np.ndarray
    design: np.ndarray
    variance: np.ndarray

    def take(self, points: slice | np.ndarray) -> LowEnergies:
        """Return the part of some points.

        Parameters
        ----------
        points : slice or np.ndarray
            Which.

        Returns
        -------
        LowEnergies
            Views for a slice.
        """
        return LowEnergies(
            basis=self.basis[points],
            design=self.design[points],
            variance=self.variance[points],
        )


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
    low : LowEnergies or None
        What is added near the thresholds.
    """

    counts: np.ndarray
    base: np.ndarray
    design: np.ndarray
    low: LowEnergies | None = None

    def blocks(self) -> Iterator[CountsArrays]:
        """Go through the points, some at a time.

        Yields
        ------
        CountsArrays
            Views of some points.
        """
        for start in range(0, len(self.counts), _BLOCK):
            yield self.take(slice(start, start + _BLOCK))

    def take(self, points: slice | np.ndarray) -> CountsArrays:
        """Return the part of some points.

        Parameters
        ----------
        points : slice or np.ndarray
            Which.

        Returns
        -------
        CountsArrays
            Views for a slice.
        """
        return CountsArrays(
            counts=self.counts[points],
            base=self.base[points],
            design=self.design[points],
            low=self.low.take(points) if self.low else None,
        )


def expected_counts(
    arrays: CountsArrays,
    coefficients: np.ndarray,
    low_coefficients: np.ndarray,
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
    low_coefficients : np.ndarray
        Shape ``(n_low, n_parts)``; not looked at without `CountsArrays.low`.
    basis, field : np.ndarray
        As in `fit_arrays`.

    Returns
    -------
    np.ndarray
        Means, shape ``(n_points, n_energy, n_places)``.
    """
    slopes = basis @ coefficients
    weights = np.tensordot(slopes, arrays.design, axes=(1, 1)).swapaxes(0, 1)
    if arrays.low:
        weights = weights + (arrays.low.basis @ low_coefficients) @ arrays.low.design
    mean: np.ndarray = weights @ field.T
    # A step too far must come back as a large deviance, not as a warning
    np.clip(mean, -200.0, 200.0, out=mean)
    np.exp(mean, out=mean)
    mean *= arrays.base
    return mean
