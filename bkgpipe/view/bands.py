"""Bands of energy in which a rate is shown."""

from __future__ import annotations

import numpy as np

from bkgpipe.datamodel import Binning, RateModel

__all__ = ["N_BANDS", "band_name", "band_rate", "energy_bands", "rate_errors"]

N_BANDS = 4


def energy_bands(model: RateModel) -> list[np.ndarray]:
    """Split the energy bins that have exposure into bands of as many bins each.

    Parameters
    ----------
    model : RateModel
        The rate; without any exposure all bins are taken.

    Returns
    -------
    list of np.ndarray
        Numbers of the bins of each band, at most four.
    """
    seen = np.flatnonzero((model.exposure_3d > 0).any(axis=(1, 2)))
    if not seen.size:
        seen = np.arange(model.binning.n_energy)
    return list(np.array_split(seen, min(N_BANDS, seen.size)))


def band_name(binning: Binning, band: np.ndarray) -> str:
    """Name a band by its energies.

    Parameters
    ----------
    binning : Binning
        Axes.
    band : np.ndarray
        Numbers of its bins.

    Returns
    -------
    str
        Words such as ``0.5 to 1.2 TeV``.
    """
    edges = binning.energy_edges
    return f"{edges[band[0]]:.3g} to {edges[band[-1] + 1]:.3g} TeV"


def band_rate(rate: np.ndarray, binning: Binning, band: np.ndarray) -> np.ndarray:
    """Integrate a rate over a band.

    Parameters
    ----------
    rate : np.ndarray
        Rate, shape ``(n_energy, ...)`` [s-1 TeV-1 sr-1].
    binning : Binning
        Axes.
    band : np.ndarray
        Numbers of its bins.

    Returns
    -------
    np.ndarray
        Integral, shape without the first axis [s-1 sr-1].
    """
    integral: np.ndarray = np.tensordot(binning.energy_width[band], rate[band], axes=1)
    return integral


def rate_errors(model: RateModel) -> np.ndarray:
    """Return the statistical errors of the annuli.

    Parameters
    ----------
    model : RateModel
        The rate.

    Returns
    -------
    np.ndarray
        Errors, shape ``(n_energy, n_offset)``; NaN when unknown [s-1 TeV-1 sr-1].
    """
    if not model.error_2d.size:
        return np.full(model.rate_2d.shape, np.nan)
    errors: np.ndarray = model.rate_2d * model.error_2d
    return errors
