"""Positive definite systems that are banded, but for a border of the last rows.

Splines in energy overlap with their neighbours alone, so that most of the information
on their coefficients is zero. What thresholds add is the border.

References
----------
Golub & Van Loan 2013, Matrix Computations, 4th ed., section 4.3.5 (band Cholesky).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cho_solve_banded, cholesky_banded

__all__ = ["Band", "BandedFactor"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BandedFactor:
    """Cholesky factors of a matrix.

    Attributes
    ----------
    band : np.ndarray
        Factor of the banded rows, as of `scipy.linalg.cholesky_banded`.
    border : np.ndarray
        The inverse of the band times the border, shape ``(n_banded, n_border)``.
    corner : np.ndarray
        Factor of what the band leaves of the last rows, ``(n_border, n_border)``.
    """

    band: np.ndarray
    border: np.ndarray
    corner: np.ndarray

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve the system.

        Parameters
        ----------
        right : np.ndarray
            Right-hand sides, shape ``(n,)`` or ``(n, n_sides)``.

        Returns
        -------
        np.ndarray
            Solutions, same shape.
        """
        n_banded = len(self.border)
        solution = np.empty(right.shape)
        first = cho_solve_banded((self.band, True), right[:n_banded])
        lacking = right[n_banded:] - self.border.T @ right[:n_banded]
        solution[n_banded:] = cho_solve((self.corner, True), lacking)
        solution[:n_banded] = first - self.border @ solution[n_banded:]
        return solution


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where a matrix may differ from zero.

    Attributes
    ----------
    size : int
        Number of banded rows; all later ones are the border.
    width : int
        Number of diagonals on either side of the main one.
    """

    size: int
    width: int

    @classmethod
    def of_splines(
        cls, basis: np.ndarray, penalty: np.ndarray, *, n_columns: int
    ) -> Band:
        """Find the band of coefficients (spline, column) in C order.

        Parameters
        ----------
        basis : np.ndarray
            Splines, shape ``(n_energy, n_splines)``.
        penalty : np.ndarray
            Penalty on all coefficients, ``(n, n)``.
        n_columns : int
            Columns of each spline.

        Returns
        -------
        Band
            The narrowest one that holds penalty and information.
        """
        n_splines = basis.shape[1]
        shape = (n_splines, n_columns, n_splines, n_columns)
        size = n_splines * n_columns
        is_reached = basis != 0
        is_coupled = is_reached.T @ is_reached
        is_coupled |= (penalty[:size, :size] != 0).reshape(shape).any(axis=(1, 3))
        first, second = np.nonzero(is_coupled)
        distance = int(np.abs(first - second).max())
        return cls(size=size, width=min((distance + 1) * n_columns, size) - 1)

    def factor(self, matrix: np.ndarray) -> BandedFactor:
        """Factorise a symmetric matrix.

        Parameters
        ----------
        matrix : np.ndarray
            Positive definite, ``(n, n)``; zero outside the band and the border.

        Returns
        -------
        BandedFactor
            Its factors.

        Raises
        ------
        numpy.linalg.LinAlgError
            If it is not positive definite.
        """
        # what LAPACK takes are the columns from the diagonal on, here rows
        columns = np.zeros((self.size, self.width + 1))
        for number, column in enumerate(columns):
            found = matrix[number, number : self.size][: column.size]
            column[: found.size] = found
        band = cholesky_banded(columns.T, lower=True, overwrite_ab=True)
        edge = matrix[: self.size, self.size :]
        border = cho_solve_banded((band, True), edge)
        corner = matrix[self.size :, self.size :] - edge.T @ border
        return BandedFactor(
            band=band, border=border, corner=cho_factor(corner, lower=True)[0]
        )
