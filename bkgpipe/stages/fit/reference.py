"""The reference spectrum that a regression starts from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.errors import NoEventsError
from bkgpipe.stages.fit.data import FitPoints

__all__ = ["Reference", "fit_reference", "log_centers", "log_reference"]

_DEGREE = 3
_N_STEPS = 10
_RIDGE = 1e-3  # for fewer energies with events than coefficients


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """Spectrum of all runs together.

    Attributes
    ----------
    coefficients : np.ndarray
        Log rate as polynomial in log energy, highest power first, shape ``(4,)``.
    energy_range : np.ndarray
        Log energy of the first bin that was looked at and of the last one with an
        event, shape ``(2,)`` [log TeV].
    """

    coefficients: np.ndarray
    energy_range: np.ndarray


def log_centers(binning: Binning) -> np.ndarray:
    """Return the centres of the energy bins.

    Parameters
    ----------
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        Centres in log energy, shape ``(n_energy,)`` [log TeV].
    """
    edges = np.log(binning.energy_edges)
    centers: np.ndarray = (edges[:-1] + edges[1:]) / 2
    return centers


def fit_reference(points: FitPoints, is_used: np.ndarray) -> Reference:
    """Fit a cubic in log energy to the summed counts of all runs.

    Parameters
    ----------
    points : FitPoints
        Counts and exposure.
    is_used : np.ndarray
        Where to look, shape ``(n_points, n_energy)``.

    Returns
    -------
    Reference
        The spectrum, up to the last energy with an event.

    Raises
    ------
    NoEventsError
        If there is no event where there is exposure.
    """
    binning = points.binning
    counts = (points.counts.sum(axis=(2, 3)) * is_used).sum(axis=0)
    exposure = (points.exposure.sum(axis=(2, 3)) * is_used).sum(axis=0)
    seen = exposure > 0
    if not counts[seen].sum() > 0:
        raise NoEventsError(
            what="no run has both events and exposure",
            where=f"regression of {points.n_runs} runs",
            fix="Select more runs, exclude less, or lower the safe energy",
        )
    filled = np.flatnonzero(counts)
    if filled.size == 1 < seen.sum():
        low, high = binning.energy_edges[filled[0] : filled[0] + 2]
        raise NoEventsError(
            what=f"all {counts.sum():.0f} events have energies in one bin, "
            f"{low:.4g} to {high:.4g} TeV: there is no spectrum to fit",
            where=f"regression of {points.n_runs} runs",
            fix="Check the column ENERGY of the events and its unit, or ask for other "
            "energies in [binning]",
        )
    base = exposure[seen] * binning.energy_width[seen]
    x = log_centers(binning)
    last = np.flatnonzero(seen & (counts > 0))[-1]
    return Reference(
        coefficients=_fit_cubic(x[seen], counts[seen], base),
        energy_range=np.array([x[seen][0], x[last]]),
    )


def log_reference(
    log_energy: np.ndarray, coefficients: np.ndarray, energy_range: np.ndarray
) -> np.ndarray:
    """Evaluate the spectrum; beyond the energies of the fit it is a power law.

    Parameters
    ----------
    log_energy : np.ndarray
        Where to evaluate, shape ``(n,)`` [log TeV].
    coefficients : np.ndarray
        Coefficients of `Reference`, shape ``(4,)``.
    energy_range : np.ndarray
        Range of `Reference`, shape ``(2,)`` [log TeV].

    Returns
    -------
    np.ndarray
        Log rate, shape ``(n,)`` [log(s-1 TeV-1 sr-1)].
    """
    inside = np.clip(log_energy, energy_range[0], energy_range[1])
    slope = np.polyval(np.polyder(coefficients), inside)
    value: np.ndarray = np.polyval(coefficients, inside) + slope * (log_energy - inside)
    return value


def _fit_cubic(x: np.ndarray, counts: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Fit by Newton steps from a fit of logarithms, where 1/2 stands for no count."""
    powers = np.vander(x, _DEGREE + 1)
    ridge = _RIDGE * np.diag([1.0, 1.0, 1.0, 0.0])
    target, weight = np.log((counts + 0.5) / base), counts + 0.5
    for _ in range(_N_STEPS):
        normal = (powers.T * weight) @ powers + ridge
        beta: np.ndarray = np.linalg.solve(normal, powers.T @ (weight * target))
        exponent = powers @ beta
        weight = np.maximum(base * np.exp(exponent), 1e-9)
        # A working response more than a factor e away would overshoot
        target = exponent + np.clip((counts - weight) / weight, -1.0, 1.0)
    return beta
