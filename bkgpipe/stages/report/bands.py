"""Bands of energy in which a rate is shown."""

from __future__ import annotations

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.smooth.data import RateModel

__all__ = [
    "N_BANDS",
    "band_name",
    "band_rate",
    "empty_bands",
    "energy_bands",
    "has_events",
    "rate_errors",
]

N_BANDS = 4


def has_events(model: RateModel) -> np.ndarray:
    """Tell which energies of a rate have events.

    Parameters
    ----------
    model : RateModel
        The rate.

    Returns
    -------
    np.ndarray
        False where the rate is zero or extrapolated, shape ``(n_energy,)``.
    """
    if not model.is_fitted.size:
        return np.ones(model.binning.n_energy, dtype=bool)
    return model.is_fitted


def energy_bands(model: RateModel) -> list[np.ndarray]:
    """Split the energies with events and exposure into bands of as many bins each.

    Parameters
    ----------
    model : RateModel
        The rate; without any exposure all energies with events are taken.

    Returns
    -------
    list of np.ndarray
        Numbers of the bins of each band, at most four.
    """
    seen = np.flatnonzero((model.exposure_3d > 0).any(axis=(1, 2)) & has_events(model))
    if not seen.size:
        seen = np.flatnonzero(has_events(model))
    return np.array_split(seen, min(N_BANDS, seen.size)) if seen.size else []


def empty_bands(model: RateModel) -> list[np.ndarray]:
    """Find the energies without events.

    Parameters
    ----------
    model : RateModel
        The rate.

    Returns
    -------
    list of np.ndarray
        Numbers of the bins, those next to each other together.
    """
    empty = np.flatnonzero(~has_events(model))
    parts = np.split(empty, np.flatnonzero(np.diff(empty) > 1) + 1)
    return parts if empty.size else []


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
