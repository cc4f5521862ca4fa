"""Scale a model to the run that it is for, outside the run's exclusion mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.errors import InputError
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.export.interpolation import scale_energies
from bkgpipe.stages.fit.threshold import LOW_SCATTER
from bkgpipe.stages.smooth.data import NodeModel, RateModel

__all__ = [
    "NORMS",
    "Norm",
    "apply_norm",
    "low_norm",
    "no_norm",
    "rim_norm",
    "rim_start",
    "run_energy_norm",
    "run_norm",
]

_BANDS_PER_DECADE = 2
_RIM = 0.8  # of the radius of the field
# How far the norm of the field follows that of its rim. Found on H.E.S.S. DL3 DR1 by
# the scatter of runs left out, by run, night and field; 0.02 and 0.04 are hardly worse
_RIM_SCATTER = 0.03
_LEAST_SCATTER = 0.01  # below, a run's own events are not looked at


@dataclass(frozen=True, kw_only=True, eq=False)
class Norm:
    """Factors that scale a model to its run.

    Attributes
    ----------
    factor, error : np.ndarray
        Factor at each energy and its error, shape ``(n_energy,)``; error zero where
        the model is left as it is.
    binning : Binning
        Axes of the run.
    """

    factor: np.ndarray
    error: np.ndarray
    binning: Binning


def no_norm(_model: RateModel, run: RunCounts, *, min_offset: float = 0.0) -> Norm:
    """Leave the model as it is.

    Parameters
    ----------
    _model : RateModel
        Model of the run.
    run : RunCounts
        Counts of the run.
    min_offset : float
        Not looked at [deg].

    Returns
    -------
    Norm
        Factors of one without error.
    """
    del min_offset
    ones = np.ones(run.binning.n_energy)
    return Norm(factor=ones, error=np.zeros_like(ones), binning=run.binning)


def run_norm(model: RateModel, run: RunCounts, *, min_offset: float = 0.0) -> Norm:
    """Return one factor for all energies: counted over predicted.

    Parameters
    ----------
    model : RateModel
        Model of the run, per live time.
    run : RunCounts
        Counts of the run; what its mask excludes is in neither side.
    min_offset : float
        What is nearer to the pointing is not looked at [deg].

    Returns
    -------
    Norm
        Factor and its statistical error, the same at each energy.

    Raises
    ------
    InputError
        If the run has no events, or the model predicts none.
    """
    counted, predicted = _safe_spectra(model, run, min_offset)
    factor = counted.sum() / predicted.sum()
    error = np.sqrt(counted.sum()) / predicted.sum()
    return Norm(
        factor=np.full(counted.shape, factor),
        error=np.full(counted.shape, error),
        binning=run.binning,
    )


def run_energy_norm(
    model: RateModel, run: RunCounts, *, min_offset: float = 0.0
) -> Norm:
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
    min_offset : float
        What is nearer to the pointing is not looked at [deg].

    Returns
    -------
    Norm
        Factor and its error at each energy.

    Raises
    ------
    InputError
        If the run has no events, or the model predicts none.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, section 2.6 (Poisson with gamma prior).
    """
    counted, predicted = _safe_spectra(model, run, min_offset)
    overall = run_norm(model, run, min_offset=min_offset)
    decades = np.log10(run.binning.energy_edges[:-1] / run.binning.energy_edges[0])
    band = np.floor(decades * _BANDS_PER_DECADE + 1e-9).astype(int)
    n, m = np.bincount(band, counted), np.bincount(band, predicted)
    expected = overall.factor[0] * m
    excess = ((n - expected) ** 2 - expected).sum() / (expected**2).sum()
    if excess <= 0:
        return overall
    weight = 1 / excess
    rate = m + weight / overall.factor[0]
    return replace(
        overall,
        factor=((n + weight) / rate)[band],
        error=(np.sqrt(n + weight) / rate)[band],
    )


def rim_start(binning: Binning) -> float:
    """Return where the rim of the field begins.

    Parameters
    ----------
    binning : Binning
        Axes of a run.

    Returns
    -------
    float
        Inner edge of the first annulus that `rim_norm` looks at [deg].
    """
    edges = binning.offset_edges[:-1]
    is_rim = edges >= _RIM * binning.offset_max
    return float(edges[is_rim].min(initial=edges[-1]))


def rim_norm(model: RateModel, run: RunCounts, *, min_offset: float = 0.0) -> Norm:
    """Return one factor for all energies from the rim of the field alone.

    With n counted and m predicted there at safe energies it is (n + a) / (m + a), the
    mean of the posterior for a gamma prior of mean one and width 1 / sqrt(a): the norm
    of the field follows that of its rim only in part. What it does not follow is left
    of the error that the model had, which stays.

    Parameters
    ----------
    model : RateModel
        Model of the run, per live time.
    run : RunCounts
        Counts of the run.
    min_offset : float
        Not looked at [deg].

    Returns
    -------
    Norm
        Factor and error, the same at each energy.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, section 2.6 (Poisson with gamma prior).
    """
    del min_offset
    binning = run.binning
    binning.require_same(model.binning, where=f"run {run.obs_id}")
    at_rim = np.ix_(run.is_safe, binning.offset_edges[:-1] >= rim_start(binning))
    rate = model.rate_2d * binning.energy_width[:, np.newaxis]
    n, m = run.counts_2d[at_rim].sum(), (rate * run.exposure_2d)[at_rim].sum()
    weight = 1 / _RIM_SCATTER**2
    factor = np.full(binning.n_energy, (n + weight) / (m + weight))
    known = model.systematic if np.isfinite(model.systematic) else 0.0
    error = factor * max(known, 1 / np.sqrt(n + weight))
    return Norm(factor=factor, error=error, binning=binning)


NORMS: MappingProxyType[str, Callable[..., Norm]] = MappingProxyType(
    {
        "none": no_norm,
        "run": run_norm,
        "run_energy": run_energy_norm,
        "rim": rim_norm,
    }
)


def low_norm(
    norm: Norm, model: RateModel, run: RunCounts, *, min_offset: float = 0.0
) -> Norm:
    """Scale each energy below the safe energy to the run's own events.

    Where the spectrum of a run turns over is its own affair; energies that are safe for
    no run behind the model are scaled in the same way. With n counted and m
    predicted at an energy, f the norm above the safe energy and s the scatter of runs
    there, the factor is (n + a) / (m + a / f) with a = 1 / s^2: the mean of the
    posterior for a gamma prior of mean f and relative width s.

    Parameters
    ----------
    norm : Norm
        Norm of the run at safe energies.
    model : RateModel
        Model of the run, per live time.
    run : RunCounts
        Counts of the run.
    min_offset : float
        What is nearer to the pointing is not looked at [deg].

    Returns
    -------
    Norm
        The same at other energies.

    References
    ----------
    Gelman et al. 2013, Bayesian Data Analysis, section 2.6 (Poisson with gamma prior).
    """
    is_low = ~run.is_safe
    if model.has_safe_runs.size:
        is_low |= ~model.has_safe_runs
    if model.is_fitted.size:
        is_low &= model.is_fitted
    if not is_low.any():
        return norm
    scatter = model.low_scatter if np.isfinite(model.low_scatter) else LOW_SCATTER
    weight = 1 / max(scatter, _LEAST_SCATTER) ** 2
    n, m = (values[is_low] for values in _spectra(model, run, min_offset))
    at_safe = float(norm.factor[~is_low].mean()) if not is_low.all() else 1.0
    rate = m + weight / at_safe
    factor, error = norm.factor.copy(), norm.error.copy()
    factor[is_low] = (n + weight) / rate
    error[is_low] = np.sqrt(n + weight) / rate
    return replace(norm, factor=factor, error=error)


def apply_norm(model: NodeModel, norm: Norm) -> NodeModel:
    """Scale a model, and keep the factors with it so that they can be undone.

    How much the norm differs from run to run no longer matters for a model that was
    scaled to its run, so the error of the factor takes the place of that scatter.

    Parameters
    ----------
    model : NodeModel
        Model of the run.
    norm : Norm
        Factors.

    Returns
    -------
    NodeModel
        Scaled model; its ``systematic`` is NaN if the error at safe energies depends on
        energy, and the one it had where those are left as they are.
    """
    part = norm.binning.find(model.binning)
    factor, error = norm.factor[part], norm.error[part]
    if not error.any():
        return model
    edges = model.binning.energy_edges
    at_safe = (error / factor)[model.is_safe]
    is_scaled = bool(at_safe.any())
    return replace(
        model,
        bkg_3d=scale_energies(model.bkg_3d, edges, factor),
        bkg_2d=scale_energies(model.bkg_2d, edges, factor),
        norm=factor,
        norm_error=error,
        systematic=_common(at_safe) if is_scaled else model.systematic,
        systematic_energy=np.empty(0) if is_scaled else _mixed(model, factor, error),
    )


def _mixed(model: NodeModel, factor: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Put the error of the factor in place of the scatter where it is scaled."""
    scatter = model.systematic_energy
    return np.where(error > 0, error / factor, scatter) if scatter.size else scatter


def _common(values: np.ndarray) -> float:
    return float(values[0]) if np.ptp(values) == 0 else float("nan")


def _safe_spectra(
    model: RateModel, run: RunCounts, min_offset: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count and predict at each safe energy; refuse a run that has none of both."""
    counted, predicted = (
        values * run.is_safe for values in _spectra(model, run, min_offset)
    )
    if counted.sum() == 0 or predicted.sum() <= 0:
        raise InputError(
            what=f"{counted.sum():.0f} events are kept and {predicted.sum():.3g} "
            "predicted, which gives no norm",
            where=f"run {run.obs_id}",
            fix="Set [export] norm = none, or leave the run out of [export] obs_ids",
        )
    return counted, predicted


def _spectra(
    model: RateModel, run: RunCounts, min_offset: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count and predict at each energy, over the kept part of the field."""
    binning = run.binning
    binning.require_same(model.binning, where=f"run {run.obs_id}")
    lon = (binning.fov_lon_edges[:-1] + binning.fov_lon_edges[1:]) / 2
    lat = (binning.fov_lat_edges[:-1] + binning.fov_lat_edges[1:]) / 2
    is_far = np.hypot(lon[:, np.newaxis], lat) >= min_offset
    rate = (model.rate_3d * run.exposure_3d)[:, is_far].sum(axis=1)
    counted = run.counts_3d[:, is_far].sum(axis=1).astype(np.float64)
    return counted, rate * binning.energy_width
