"""The background rate that a regression predicts for given conditions."""

from __future__ import annotations

import numpy as np

from bkgpipe.datamodel.binning import Binning
from bkgpipe.datamodel.regression import RegressionFit, RegressionRate, RunConditions
from bkgpipe.numerics.design import design_columns, is_outside, scales_of
from bkgpipe.numerics.field import (
    annulus_points,
    field_functions,
    mean_functions,
)
from bkgpipe.numerics.reference import log_centers, log_reference
from bkgpipe.numerics.sampling import solid_angle_in_disc
from bkgpipe.numerics.splines import spline_basis

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
    scales = scales_of(fit)
    design, _ = design_columns(
        [conditions], fit.terms, scales, n_radial=fit.offset_knots.size - 4
    )
    image = mean_functions(binning, offset_knots=fit.offset_knots)
    rate_3d = _rates(fit, design[0], image, binning)
    rate_2d, annuli = _annuli(fit, design[0], binning)
    return RegressionRate(
        rate_3d=rate_3d.reshape(binning.shape_3d),
        rate_2d=_same_counts(rate_2d, rate_3d, binning),
        error_3d=_errors(fit, design[0], image, binning).reshape(binning.shape_3d),
        error_2d=_errors(fit, design[0], annuli, binning),
        is_extrapolated=is_outside(conditions, fit.terms, scales),
    )


def _basis(fit: RegressionFit, binning: Binning) -> np.ndarray:
    return spline_basis(log_centers(binning), fit.energy_knots)


def _rates(
    fit: RegressionFit, design: np.ndarray, functions: np.ndarray, binning: Binning
) -> np.ndarray:
    """Evaluate the rate for rows of functions of the field, (n_energy, n_rows)."""
    reference = log_reference(log_centers(binning), fit.reference, fit.energy_range)
    slopes = _basis(fit, binning) @ fit.coefficients
    log_rate = reference[:, np.newaxis] + slopes @ (design @ functions.T)
    rates: np.ndarray = np.exp(log_rate)
    return rates


def _errors(
    fit: RegressionFit, design: np.ndarray, functions: np.ndarray, binning: Binning
) -> np.ndarray:
    """Propagate the covariance to the log rate, (n_energy, n_rows)."""
    basis, columns = _basis(fit, binning), functions @ design.T
    n_energy, n_columns = fit.coefficients.shape
    covariance = fit.covariance.reshape(n_energy, n_columns, n_energy, n_columns)
    variance = np.empty((len(basis), len(columns)))
    for number, row in enumerate(basis):
        at_energy = np.tensordot(row, np.tensordot(row, covariance, (0, 0)), (0, 1))
        variance[number] = np.sum(columns @ at_energy * columns, axis=1)
    return np.sqrt(np.maximum(variance, 0.0))


def _annuli(
    fit: RegressionFit, design: np.ndarray, binning: Binning
) -> tuple[np.ndarray, np.ndarray]:
    """Average over the points of each annulus: the rate, and the functions."""
    lon, lat = annulus_points(binning)
    points = field_functions(lon.ravel(), lat.ravel(), offset_knots=fit.offset_knots)
    rates = _rates(fit, design, points, binning).reshape(binning.n_energy, *lon.shape)
    return rates.mean(axis=-1), points.reshape(*lon.shape, -1).mean(axis=1)


def _same_counts(
    rate_2d: np.ndarray, rate_3d: np.ndarray, binning: Binning
) -> np.ndarray:
    """Scale the annuli to the counts of the image, whose bins are coarser."""
    edges = binning.fov_lon_edges, binning.fov_lat_edges
    in_3d = rate_3d @ solid_angle_in_disc(*edges, binning.offset_max).ravel()
    in_2d = rate_2d @ binning.solid_angle_2d
    scaled: np.ndarray = rate_2d * (in_3d / in_2d)[:, np.newaxis]
    return scaled
