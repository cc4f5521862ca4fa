"""Bands of energy in which the sky is shown."""

from __future__ import annotations

import numpy as np

__all__ = ["make_bands"]

_ROUNDING = 1e-6


def make_bands(energy_edges: np.ndarray) -> np.ndarray:
    """Split an energy axis at powers of ten.

    Parameters
    ----------
    energy_edges : np.ndarray
        Edges of the models, shape ``(n_energy + 1,)`` [TeV].

    Returns
    -------
    np.ndarray
        Ends of the axis, and the powers of ten between them, ``(n_band + 1,)`` [TeV].

    Examples
    --------
    >>> make_bands(np.array([0.3, 0.9, 2.0, 20.0]))
    array([ 0.3,  1. , 10. , 20. ])
    """
    low, high = energy_edges[0], energy_edges[-1]
    exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    powers = 10.0**exponents
    inner = powers[(powers > low * (1 + _ROUNDING)) & (powers < high * (1 - _ROUNDING))]
    return np.array([low, *inner, high])
