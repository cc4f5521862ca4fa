"""Cubic B-splines on equal knots, and the penalties that keep them smooth."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

__all__ = ["difference_penalty", "spline_basis", "spline_knots"]

_DEGREE = 3


def spline_knots(low: float, high: float, *, n_splines: int) -> np.ndarray:
    """Place equal knots so that the splines sum to one between two values.

    Parameters
    ----------
    low, high : float
        Range of the variable, `low` below `high`.
    n_splines : int
        Number of splines; fewer than four become four, one cubic.

    Returns
    -------
    np.ndarray
        Knots, shape ``(n_splines + 4,)``; they reach beyond the range.

    References
    ----------
    Eilers & Marx 1996, Statistical Science 11, 89, section 2.
    """
    n_pieces = max(n_splines, _DEGREE + 1) - _DEGREE
    steps = np.arange(-_DEGREE, n_pieces + _DEGREE + 1)
    knots: np.ndarray = low + (high - low) / n_pieces * steps
    return knots


def spline_basis(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Evaluate the splines; beyond the range they keep their value at its end.

    Parameters
    ----------
    values : np.ndarray
        Where to evaluate, shape ``(n,)``.
    knots : np.ndarray
        Knots of `spline_knots`, shape ``(n_splines + 4,)``.

    Returns
    -------
    np.ndarray
        Basis, shape ``(n, n_splines)``; each row sums to one.

    Examples
    --------
    >>> knots = spline_knots(0.0, 1.0, n_splines=4)
    >>> spline_basis(np.array([0.0, 0.5, 2.0]), knots).round(3)
    array([[0.167, 0.667, 0.167, 0.   ],
           [0.021, 0.479, 0.479, 0.021],
           [0.   , 0.167, 0.667, 0.167]])
    """
    inside = np.clip(values, knots[_DEGREE], knots[-_DEGREE - 1])
    basis: np.ndarray = BSpline.design_matrix(inside, knots, _DEGREE).toarray()
    return basis


def difference_penalty(n_splines: int, *, order: int) -> np.ndarray:
    """Return the matrix of the sum of squared differences of coefficients.

    Parameters
    ----------
    n_splines : int
        Number of coefficients, larger than `order`.
    order : int
        Order of the differences.

    Returns
    -------
    np.ndarray
        Matrix D^T D, shape ``(n_splines, n_splines)``.

    References
    ----------
    Eilers & Marx 1996, Statistical Science 11, 89, equation 9.

    Examples
    --------
    >>> line = np.array([1.0, 2.0, 3.0, 4.0])
    >>> print(line @ difference_penalty(4, order=1) @ line)
    3.0
    >>> print(line @ difference_penalty(4, order=2) @ line)
    0.0
    """
    differences = np.diff(np.eye(n_splines), n=order, axis=0)
    penalty: np.ndarray = differences.T @ differences
    return penalty
