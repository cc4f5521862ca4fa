"""Rates of runs against their conditions, counted and predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.report.dependence import ConditionCurve, RunRate, RunSpectrum

__all__ = ["choose_energy", "predict_curve", "rate_above", "run_spectrum"]

# Runs that are not safe at the energy are not compared: few, but no high energy either
_SAFE_SHARE = 0.9
_N_VALUES = 25
_FIELDS = {
    "zenith": "cos_zenith",
    "time": "time",
    "muon_efficiency": "muon_efficiency",
}


def run_spectrum(
    run: RunCounts, *, stack_id: int = -1, rate_2d: np.ndarray | None = None
) -> RunSpectrum:
    """Sum a run over offset at safe energies, and what a model predicts there.

    Parameters
    ----------
    run : RunCounts
        The run; its images are not looked at.
    stack_id : int
        Number of the model.
    rate_2d : np.ndarray, optional
        Rate of the model, shape ``(n_energy, n_offset)`` [s-1 TeV-1 sr-1].

    Returns
    -------
    RunSpectrum
        Counts, exposure and prediction in energy.
    """
    exposure = run.safe_exposure_2d
    predicted = np.full(run.binning.n_energy, np.nan)
    if rate_2d is not None:
        predicted = (rate_2d * exposure).sum(axis=1) * run.binning.energy_width
    return RunSpectrum(
        obs_id=run.obs_id,
        stack_id=stack_id if rate_2d is not None else -1,
        safe_energy_min=run.lowest_energy,
        kept_fraction=run.kept_fraction,
        checksum=run.checksum,
        counts=run.safe_counts_2d.sum(axis=1),
        exposure=exposure.sum(axis=1),
        predicted=predicted,
    )


def choose_energy(spectra: Sequence[RunSpectrum]) -> int:
    """Choose the energy bin from which on runs are compared.

    Parameters
    ----------
    spectra : sequence of RunSpectrum
        Spectra of all runs.

    Returns
    -------
    int
        Lowest bin in which nine of ten runs with any exposure have some; 0 without.
    """
    seen = np.array([each.exposure > 0 for each in spectra if each.exposure.any()])
    if not seen.size:
        return 0
    enough = seen.mean(axis=0) >= _SAFE_SHARE
    return int(np.argmax(enough)) if enough.any() else int(seen.mean(axis=0).argmax())


def rate_above(spectrum: RunSpectrum, first: int) -> RunRate:
    """Sum a run over the energies from a bin on.

    Parameters
    ----------
    spectrum : RunSpectrum
        Its spectrum.
    first : int
        Number of the lowest bin.

    Returns
    -------
    RunRate
        Its rate; without exposure where that bin is not safe for the run.
    """
    # exposure is the same for all safe bins, so that of the lowest stands for all
    exposure = float(spectrum.exposure[first])
    return RunRate(
        obs_id=spectrum.obs_id,
        stack_id=spectrum.stack_id,
        safe_energy_min=spectrum.safe_energy_min,
        kept_fraction=spectrum.kept_fraction,
        checksum=spectrum.checksum,
        n_events=int(spectrum.counts.sum()),
        counts=int(spectrum.counts[first:].sum()),
        exposure=exposure,
        predicted=float(spectrum.predicted[first:].sum()),
    )


def predict_curve(
    fit: RegressionFit,
    conditions: Sequence[RunConditions],
    binning: Binning,
    *,
    name: str,
    first: int,
) -> ConditionCurve | None:
    """Predict the rate as one condition changes, the others at their medians.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : sequence of RunConditions
        Conditions of all runs, one or more.
    binning : Binning
        Axes.
    name : str
        ``zenith``, ``time`` or ``muon_efficiency``.
    first : int
        Number of the lowest energy bin.

    Returns
    -------
    ConditionCurve or None
        Curve over the range of the runs; None where the condition is unknown or the
        same in all runs.
    """
    field = _FIELDS[name]
    values = np.array([getattr(each, field) for each in conditions])
    known = values[np.isfinite(values)]
    if not known.size or not np.ptp(known) > 0:
        return None
    grid = np.linspace(known.min(), known.max(), _N_VALUES)
    middle = _median(conditions)
    found = [
        _mean_rate(fit, replace(middle, **{field: float(value)}), binning, first)
        for value in grid
    ]
    rate, error = np.array(found).T
    shown = np.degrees(np.arccos(grid)) if name == "zenith" else grid
    return ConditionCurve(name=name, values=shown, rate=rate, error=error)


def _median(conditions: Sequence[RunConditions]) -> RunConditions:
    """Conditions in the middle; the azimuth, an angle, by its components."""
    columns = {
        name: np.array([getattr(each, name) for each in conditions])
        for name in RunConditions.__dataclass_fields__
    }
    middle = {name: _middle(values) for name, values in columns.items()}
    for name in ("azimuth", "position_angle"):
        angles = np.radians(columns[name])
        north, east = _middle(np.cos(angles)), _middle(np.sin(angles))
        middle[name] = float(np.degrees(np.arctan2(east, north)) % 360.0)
    return RunConditions(**middle)


def _middle(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _mean_rate(
    fit: RegressionFit, conditions: RunConditions, binning: Binning, first: int
) -> tuple[float, float]:
    """Rate above the energy, mean over the field, and its relative error at most."""
    found = predict(fit, conditions, binning)
    weight = np.outer(binning.energy_width, binning.solid_angle_2d)[first:]
    parts = found.rate_2d[first:] * weight
    total = parts.sum()
    error = (parts * found.error_2d[first:]).sum() / total
    return float(total / binning.solid_angle_2d.sum()), float(error)
