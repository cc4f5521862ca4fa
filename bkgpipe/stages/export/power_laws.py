"""Integrals over energy of power laws between the edges of bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["PowerLaws"]

_FLAT = 1e-6  # smallest exponent that is told from zero


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerLaws:
    """Power laws through y = energy x rate at the edges of each bin.

    The integral is log(x2 / x1) (y2 - y1) / t with t = log(y2 / y1); where t is next to
    zero, its limit is reached to 1e-6 before the difference loses digits.

    Attributes
    ----------
    exponent : np.ndarray
        t of each bin, shape ``(n_energy, ...)``.
    values : np.ndarray
        y at the edges, shape ``(n_energy + 1, ...)``.
    log_width : np.ndarray
        log(x2 / x1), shape ``(n_energy, 1, ...)``.
    """

    exponent: np.ndarray
    values: np.ndarray
    log_width: np.ndarray

    @classmethod
    def through(cls, log_values: np.ndarray, log_width: np.ndarray) -> PowerLaws:
        """Make the laws through values.

        Parameters
        ----------
        log_values : np.ndarray
            Logarithm of y at the edges, shape ``(n_energy + 1, ...)``.
        log_width : np.ndarray
            Width of the bins in the logarithm of energy, shape ``(n_energy,)``.

        Returns
        -------
        PowerLaws
            One law for each bin.
        """
        return cls(
            exponent=np.diff(log_values, axis=0),
            values=np.exp(log_values),
            log_width=log_width.reshape(-1, *[1] * (log_values.ndim - 1)),
        )

    def integral(self) -> np.ndarray:
        """Integrate over each bin.

        Returns
        -------
        np.ndarray
            Integrals, shape ``(n_energy, ...)``.
        """
        is_flat = self._is_flat()
        integral = np.diff(self.values, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            integral /= self.exponent
        np.copyto(integral, self.values[:-1], where=is_flat)
        integral *= self.log_width
        return integral

    def _is_flat(self) -> np.ndarray:
        is_flat: np.ndarray = (self.exponent < _FLAT) & (self.exponent > -_FLAT)
        return is_flat
