"""What a regression says of one run: weights of the functions of the field."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.design import fit_design, scales_of, threshold_columns
from bkgpipe.stages.fit.reference import log_centers, log_reference
from bkgpipe.stages.fit.splines import spline_basis
from bkgpipe.stages.fit.threshold import threshold_basis, threshold_distance

__all__ = [
    "field_covariances",
    "field_weights",
    "has_safe_runs",
    "is_fitted",
    "is_judged",
    "log_spectrum",
    "weight_slopes",
]

_ROUNDING = 1e-9


def log_spectrum(fit: RegressionFit, binning: Binning) -> np.ndarray:
    """Return the logarithm of the reference spectrum.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        At the centres, shape ``(n_energy,)`` [log(s-1 TeV-1 sr-1)].
    """
    return log_reference(log_centers(binning), fit.reference, fit.reference_range)


def field_weights(
    fit: RegressionFit,
    conditions: RunConditions,
    binning: Binning,
    *,
    shift: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Return what multiplies the functions of the field, in the log of the rate.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run.
    binning : Binning
        Axes.
    shift : np.ndarray or float
        As of `fit_design`.

    Returns
    -------
    np.ndarray
        Weights, shape ``(n_energy, n_functions)``.
    """
    basis = spline_basis(log_centers(binning), fit.energy_knots)
    design = fit_design(fit, conditions, shift=shift)
    weights: np.ndarray = basis @ fit.coefficients @ design
    if fit.low_knots.size:
        low, parts = _threshold(fit, conditions, binning, shift=shift)
        weights = weights + low @ fit.low_coefficients @ parts
    return weights


def is_fitted(
    fit: RegressionFit, conditions: RunConditions, binning: Binning
) -> np.ndarray:
    """Tell which energies of a run the fit has seen.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run, for its safe energy.
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        True from the least fitted energy on, relative to the safe energy, to that of
        the last event, shape ``(n_energy,)``.
    """
    x = log_centers(binning)
    low, high = fit.energy_range
    seen: np.ndarray = (x >= low - _ROUNDING) & (x <= high + _ROUNDING)
    distance = threshold_distance([conditions], binning)[0]
    # without a safe energy, it is that of all runs together
    found: np.ndarray = seen & ~(distance < fit.lowest_distance - _ROUNDING)
    return found


def is_judged(
    fit: RegressionFit, conditions: RunConditions, binning: Binning
) -> np.ndarray:
    """Tell at which energies the total of a run says how good the fit is.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run, for its safe energy.
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        True for safe energies that the fit has seen; for all that it has seen if there
        are none, and for all if there are none either, shape ``(n_energy,)``.
    """
    seen = is_fitted(fit, conditions, binning)
    limit = conditions.safe_energy * (1 - _ROUNDING)
    safe: np.ndarray = seen & ~(binning.energy_edges[:-1] < limit)
    if safe.any():
        return safe
    return seen if seen.any() else ~seen


def has_safe_runs(fit: RegressionFit, binning: Binning) -> np.ndarray:
    """Tell which energies are safe for some run of a fit.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        True from the first such energy on, shape ``(n_energy,)``.
    """
    found: np.ndarray = log_centers(binning) >= fit.reference_range[0] - _ROUNDING
    return found


def field_covariances(
    fit: RegressionFit, conditions: RunConditions, binning: Binning
) -> np.ndarray:
    """Propagate the covariance to the weights of `field_weights` at each energy.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run.
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        Covariances, shape ``(n_energy, n_functions, n_functions)``.
    """
    design = fit_design(fit, conditions)
    of_all, mixed, of_low = _covariances(fit, binning)
    covariances: np.ndarray = design.T @ of_all @ design
    if fit.low_knots.size:
        low, parts = _threshold(fit, conditions, binning)
        cross = np.einsum("em,ekml->ekl", low, mixed, optimize=True)
        cross = design.T @ cross @ parts
        near = np.einsum("em,mlpk,ep->elk", low, of_low, low, optimize=True)
        covariances = covariances + cross + cross.swapaxes(1, 2)
        covariances += parts.T @ near @ parts
    return covariances


def weight_slopes(
    fit: RegressionFit, conditions: RunConditions, weights: np.ndarray, binning: Binning
) -> np.ndarray:
    """Derive a sum of the weights of the functions with respect to all coefficients.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run.
    weights : np.ndarray
        What each weight of `field_weights` counts, ``(n_energy, n_functions)``.
    binning : Binning
        Axes.

    Returns
    -------
    np.ndarray
        Gradient, shape ``(n,)``.
    """
    basis = spline_basis(log_centers(binning), fit.energy_knots)
    slopes = (basis.T @ weights @ fit_design(fit, conditions).T).ravel()
    if fit.low_knots.size:
        low, parts = _threshold(fit, conditions, binning)
        slopes = np.concatenate([slopes, (low.T @ weights @ parts.T).ravel()])
    found: np.ndarray = slopes
    return found


def _threshold(
    fit: RegressionFit,
    conditions: RunConditions,
    binning: Binning,
    *,
    shift: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    distance = threshold_distance([conditions], binning)[0]
    parts = threshold_columns(
        [conditions], scales_of(fit), offset_knots=fit.offset_knots, shift=shift
    )
    # far away where the safe energy is unknown
    return threshold_basis(np.nan_to_num(distance, nan=np.inf), fit.low_knots), parts[0]


@lru_cache(maxsize=2)
def _covariances(
    fit: RegressionFit, binning: Binning
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariances at each energy of what all runs share, and those of thresholds."""
    basis = spline_basis(log_centers(binning), fit.energy_knots)
    n_splines, n_columns = fit.coefficients.shape
    shape, n = fit.low_coefficients.shape, fit.coefficients.size
    shared = fit.covariance[:n, :n].reshape(n_splines, n_columns, n_splines, -1)
    of_all = np.stack([_at_energy(shared, values) for values in basis])
    mixed = np.tensordot(
        basis, fit.covariance[:n, n:].reshape(n_splines, n_columns, *shape), (1, 0)
    )
    of_low: np.ndarray = fit.covariance[n:, n:].reshape(*shape, *shape)
    return of_all, mixed, of_low


def _at_energy(covariance: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Project on the few splines that reach an energy."""
    reach = np.flatnonzero(values)
    near = slice(reach[0], reach[-1] + 1)
    found: np.ndarray = np.einsum(
        "k,kcjd,j->cd", values[near], covariance[near, :, near], values[near]
    )
    return found
