"""The background rate that a regression predicts for given conditions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.geometry.sampling import solid_angle_in_disc
from bkgpipe.stages.fit.data import RegressionFit, RegressionRate, RunConditions
from bkgpipe.stages.fit.design import find_excursions, scales_of
from bkgpipe.stages.fit.excursions import excursion_error
from bkgpipe.stages.fit.field import annulus_points, field_functions, mean_functions
from bkgpipe.stages.fit.fitted import (
    field_covariances,
    field_weights,
    has_safe_runs,
    is_fitted,
    log_spectrum,
)

__all__ = ["predict"]


def predict(
    fit: RegressionFit, conditions: RunConditions, binning: Binning
) -> RegressionRate:
    """Predict the rate of a run from its conditions.

    The rate of a bin of the image is that of the mean of the regression's functions
    over the bin, as in the fit; annuli are means of the image, at sample points. The
    energy bins stand for the means of bins as wide as those of the fit.

    Parameters
    ----------
    fit : RegressionFit
        Fit of other runs.
    conditions : RunConditions
        Conditions of the run, in the alignment of the fit.
    binning : Binning
        Axes of the rate.

    Returns
    -------
    RegressionRate
        Rates per live time, finite and positive, and their statistical errors.
    """
    field = _field_of(fit, binning)
    log_shape = field_weights(fit, conditions, binning)
    rate_3d = _rates(fit, log_shape @ field.image.T, binning)
    rate_2d = _rates(fit, log_shape @ field.points.T, binning)
    rate_2d = rate_2d.reshape(*binning.shape_2d, -1).mean(axis=-1)
    covariances = field_covariances(fit, conditions, binning)
    counts = rate_3d * field.solid_angle * binning.energy_width[:, np.newaxis]
    return RegressionRate(
        rate_3d=rate_3d.reshape(binning.shape_3d),
        rate_2d=_same_counts(rate_2d, rate_3d @ field.solid_angle, binning),
        error_3d=_errors(covariances, field.image).reshape(binning.shape_3d),
        error_2d=_errors(covariances, field.annuli),
        is_fitted=is_fitted(fit, conditions, binning),
        has_safe_runs=has_safe_runs(fit, binning),
        excursions=find_excursions(conditions, fit.terms, scales_of(fit)),
        excursion_error=excursion_error(
            fit, conditions, binning, functions=field.image, counts=counts
        ),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Field:
    """What a prediction needs of the field, the same for all runs.

    Attributes
    ----------
    image, annuli : np.ndarray
        Functions of the field in each bin, shapes ``(n_fov_lon * n_fov_lat, n)`` and
        ``(n_offset, n)``.
    points : np.ndarray
        Functions at the points of the annuli, shape ``(n_offset * n_points, n)``.
    solid_angle : np.ndarray
        Solid angle of the image as far as it is in the field, flattened [sr].
    """

    image: np.ndarray
    annuli: np.ndarray
    points: np.ndarray
    solid_angle: np.ndarray


def _field_of(fit: RegressionFit, binning: Binning) -> _Field:
    axes = (binning.fov_lon_edges, binning.fov_lat_edges, binning.offset_edges)
    return _make_field(*(tuple(edges.tolist()) for edges in (*axes, fit.offset_knots)))


@lru_cache(maxsize=8)
def _make_field(
    lon_edges: tuple[float, ...],
    lat_edges: tuple[float, ...],
    offset_edges: tuple[float, ...],
    knots: tuple[float, ...],
) -> _Field:
    binning = Binning(
        energy_edges=np.array([1.0, 2.0]),
        fov_lon_edges=np.array(lon_edges),
        fov_lat_edges=np.array(lat_edges),
        offset_edges=np.array(offset_edges),
    )
    lon, lat = annulus_points(binning)
    offset_knots = np.array(knots)
    points = field_functions(lon.ravel(), lat.ravel(), offset_knots=offset_knots)
    edges = binning.fov_lon_edges, binning.fov_lat_edges
    return _Field(
        image=mean_functions(binning, offset_knots=offset_knots),
        annuli=points.reshape(*lon.shape, -1).mean(axis=1),
        points=points,
        solid_angle=solid_angle_in_disc(*edges, binning.offset_max).ravel(),
    )


def _rates(fit: RegressionFit, log_shape: np.ndarray, binning: Binning) -> np.ndarray:
    """Put the shape, (n_energy, n_places), on the reference spectrum."""
    reference = log_spectrum(fit, binning)
    rates: np.ndarray = np.exp(reference[:, np.newaxis] + log_shape)
    return rates


def _errors(covariances: np.ndarray, functions: np.ndarray) -> np.ndarray:
    """Propagate covariances of functions to the log rate, (n_energy, n_places)."""
    variance = ((functions @ covariances) * functions).sum(axis=-1)
    errors: np.ndarray = np.sqrt(np.maximum(variance, 0.0))
    return errors


def _same_counts(
    rate_2d: np.ndarray, in_3d: np.ndarray, binning: Binning
) -> np.ndarray:
    """Scale the annuli to the counts of the image, whose bins are coarser."""
    in_2d = rate_2d @ binning.solid_angle_2d
    scaled: np.ndarray = rate_2d * (in_3d / in_2d)[:, np.newaxis]
    return scaled
