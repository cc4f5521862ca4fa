"""Scale a model to the run that it is for, outside the run's exclusion mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bkgpipe.datamodel import NodeModel, RateModel, RunCounts
from bkgpipe.errors import InputError

__all__ = ["apply_norm", "run_energy_norm", "run_norm"]

_BANDS_PER_DECADE = 2


def run_norm(model: RateModel, run: RunCounts) -> tuple[np.ndarray, np.ndarray]:
    """Return one factor for all energies: counted over predicted.

    Parameters
    ----------
    model : RateModel
        Model of the run, per live time.
    run : RunCounts
        Counts of the run; what its mask excludes is in neither side.

    Returns
    -------
    factor, error : np.ndarray
        Factor and its statistical error, the same at each energy, ``(n_energy,)``.

    Raises
    ------
    InputError
        If the run has no events, or the model predicts none.
    """
    counted, predicted = _spectra(model, run)
    factor = counted.sum() / predicted.sum()
    error = np.sqrt(counted.sum()) / predicted.sum()
    return np.full(counted.shape, factor), np.full(counted.shape, error)


def run_energy_norm(model: RateModel, run: RunCounts) -> tuple[np.ndarray, np.ndarray]:
    """Return a factor for each half decade, shrunk toward that of all energies.

    With n counted and m predicted in a band, f the factor of all energies and s the
    relative scatter of the bands beyond Poisson noise (by moments, the same for all),
    the posterior of a gamma prior of mean f and relative width s has the mean
    (n + a) / (m + a / f), a = 1 / s^2, and the width sqrt(n + a) / (m + a / f).

    Parameters
    ----------
    model : RateModel
        Model of the run, per live time.
    run : RunCounts
        Counts of the run.

    Returns
    -------
    factor, error : np.ndarray
        Factor and its error at each energy, shape ``(n_energy,)``.

    Raises
    ------
    InputError
        If the run has no events, or the model predicts none.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, section 2.6 (Poisson with gamma prior).
    """
    counted, predicted = _spectra(model, run)
    overall, overall_error = run_norm(model, run)
    decades = np.log10(run.binning.energy_edges[:-1] / run.binning.energy_edges[0])
    band = np.floor(decades * _BANDS_PER_DECADE + 1e-9).astype(int)
    n, m = np.bincount(band, counted), np.bincount(band, predicted)
    expected = overall[0] * m
    excess = ((n - expected) ** 2 - expected).sum() / (expected**2).sum()
    if excess <= 0:
        return overall, overall_error
    weight = 1 / excess
    rate = m + weight / overall[0]
    return ((n + weight) / rate)[band], (np.sqrt(n + weight) / rate)[band]


def apply_norm(model: NodeModel, factor: np.ndarray, error: np.ndarray) -> NodeModel:
    """Scale a model, and keep the factor with it so that it can be undone.

    How much the norm differs from run to run no longer matters for a model that was
    scaled to its run, so the error of the factor takes the place of that scatter.

    Parameters
    ----------
    model : NodeModel
        Model of the run.
    factor, error : np.ndarray
        Factor and its error at each energy, shape ``(n_energy,)``.

    Returns
    -------
    NodeModel
        Scaled model; its ``systematic`` is NaN if the error depends on energy.
    """
    return replace(
        model,
        bkg_3d=model.bkg_3d * factor[:, np.newaxis, np.newaxis],
        bkg_2d=model.bkg_2d * factor[:, np.newaxis],
        norm=factor,
        norm_error=error,
        systematic=_common(error / factor),
    )


def _common(values: np.ndarray) -> float:
    return float(values[0]) if np.ptp(values) == 0 else float("nan")


def _spectra(model: RateModel, run: RunCounts) -> tuple[np.ndarray, np.ndarray]:
    """Count and predict at each safe energy, over the kept part of the field."""
    run.binning.require_same(model.binning, where=f"run {run.obs_id}")
    rate = (model.rate_3d * run.safe_exposure_3d).sum(axis=(1, 2))
    predicted = rate * run.binning.energy_width
    counted = run.safe_counts_3d.sum(axis=(1, 2)).astype(np.float64)
    if counted.sum() == 0 or predicted.sum() <= 0:
        raise InputError(
            what=f"{counted.sum():.0f} events are kept and {predicted.sum():.3g} "
            "predicted, which gives no norm",
            where=f"run {run.obs_id}",
            fix="Set [export] norm = none, or leave the run out of [export] obs_ids",
        )
    return counted, predicted
