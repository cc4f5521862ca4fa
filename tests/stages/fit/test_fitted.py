from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.fit.data import RunConditions
from bkgpipe.stages.fit.field import mean_functions
from bkgpipe.stages.fit.fitted import (
    field_covariances,
    field_weights,
    is_fitted,
    log_spectrum,
    weight_slopes,
)
from bkgpipe.stages.fit.norm_error import norm_error
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.threshold import LOW_PARTS, threshold_knots

CONDITIONS = RunConditions(
    cos_zenith=0.6,
    azimuth=0.0,
    position_angle=30.0,
    muon_efficiency=0.9,
    deadc=0.95,
    time=0.5,
    control_outer=0.4,
    control_low=0.6,
    safe_energy=1.0,
)
N_LOW = threshold_knots(-0.45).size - 7


@pytest.fixture(scope="module")
def fit(make_fit):
    """Random coefficients at all energies, and of splines below the safe energy."""
    rng = np.random.default_rng(4)
    plain = make_fit(rng.normal(0.0, 0.1, (5, 7)), np.eye(35))
    n = 35 + N_LOW * len(LOW_PARTS)
    root = rng.normal(0.0, 0.01, (n, n + 10))
    return replace(
        plain,
        low_knots=threshold_knots(-0.45),
        lowest_distance=-0.45,
        low_coefficients=rng.normal(0.0, 0.3, (N_LOW, len(LOW_PARTS))),
        covariance=root @ root.T,
        condition_mean=plain.condition_mean + 0.1,
    )


@pytest.fixture(scope="module")
def binning(make_binning):
    """Energies of which one is far below, one near and four above 1 TeV."""
    return make_binning(
        energy_edges=10.0 ** np.array([-1.2, -0.6, 0, 0.1, 0.4, 0.8, 1])
    )


def moved(fit, step):
    """The fit with all coefficients moved, those of the thresholds last."""
    n = fit.coefficients.size
    low = fit.low_coefficients
    return replace(
        fit,
        coefficients=fit.coefficients + step[:n].reshape(fit.coefficients.shape),
        low_coefficients=low + step[n:].reshape(low.shape),
    )


def jacobian(fit, conditions, binning):
    """Slopes of the weights of the functions, which are linear in coefficients."""
    at = field_weights(fit, conditions, binning)
    steps = np.eye(len(fit.covariance))
    return np.array(
        [field_weights(moved(fit, one), conditions, binning) - at for one in steps]
    )


def test_the_threshold_changes_energies_below_its_end_alone(fit, binning):
    without = replace(fit, low_coefficients=np.zeros_like(fit.low_coefficients))
    change = field_weights(fit, CONDITIONS, binning) - field_weights(
        without, CONDITIONS, binning
    )
    changed = np.abs(change).max(axis=1) > 0
    assert changed.tolist() == [True, True, True, False, False, False]


def test_it_moves_with_the_safe_energy(fit, binning):
    """The same u at other energies, after what all energies share is taken off."""
    without = replace(fit, low_coefficients=np.zeros_like(fit.low_coefficients))
    higher = binning.energy_edges * 2.0
    doubled = replace(CONDITIONS, safe_energy=2.0)
    changes = [
        field_weights(fit, run, axes) - field_weights(without, run, axes)
        for run, axes in (
            (CONDITIONS, binning),
            (doubled, replace(binning, energy_edges=higher)),
        )
    ]
    np.testing.assert_allclose(*changes)


def test_covariances_are_those_of_finite_differences(fit, binning):
    slopes = jacobian(fit, CONDITIONS, binning)
    wanted = np.einsum("nem,np,pek->emk", slopes, fit.covariance, slopes)
    found = field_covariances(fit, CONDITIONS, binning)
    assert found.shape == (6, 8, 8)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found, found.swapaxes(1, 2), atol=1e-12)


def test_covariances_without_low_energies(fit, binning):
    plain = replace(
        fit,
        low_knots=np.zeros(0),
        low_coefficients=np.zeros((0, 0)),
        covariance=fit.covariance[:35, :35],
    )
    slopes = jacobian(plain, CONDITIONS, binning)
    wanted = np.einsum("nem,np,pek->emk", slopes, plain.covariance, slopes)
    found = field_covariances(plain, CONDITIONS, binning)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-12)


def test_slopes_of_a_sum_are_those_of_finite_differences(fit, binning):
    weights = np.random.default_rng(6).normal(size=(6, 8))
    wanted = np.einsum("nem,em->n", jacobian(fit, CONDITIONS, binning), weights)
    found = weight_slopes(fit, CONDITIONS, weights, binning)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-12)


def test_errors_are_those_of_moved_coefficients(fit, binning):
    """Of one bin below the safe energy, and of the sum of all."""
    rng = np.random.default_rng(8)
    small = replace(fit, covariance=0.01 * fit.covariance)
    rate = predict(small, CONDITIONS, binning)
    steps = rng.multivariate_normal(
        np.zeros(len(fit.covariance)), small.covariance, 500
    )
    drawn = [predict(moved(small, one), CONDITIONS, binning).rate_3d for one in steps]
    spread = np.std(np.log(drawn), axis=0)
    np.testing.assert_allclose(rate.error_3d, spread, rtol=0.15)
    error = norm_error(small, CONDITIONS, binning, weight=rate.rate_3d)
    totals = np.sum(drawn, axis=(1, 2, 3))
    assert np.std(totals) / totals.mean() == pytest.approx(error, rel=0.12)


def test_an_unknown_safe_energy_is_far_away(fit, binning):
    lost = replace(CONDITIONS, safe_energy=float("nan"))
    without = replace(fit, low_coefficients=np.zeros_like(fit.low_coefficients))
    np.testing.assert_array_equal(
        field_weights(fit, lost, binning), field_weights(without, lost, binning)
    )


def test_the_log_rate_is_spectrum_and_weights(fit, binning):
    weights = field_weights(fit, CONDITIONS, binning)
    field = mean_functions(binning, offset_knots=fit.offset_knots)
    log_rate = log_spectrum(fit, binning)[:, None] + weights @ field.T
    rate = predict(fit, CONDITIONS, binning)
    np.testing.assert_allclose(np.log(rate.rate_3d).reshape(6, -1), log_rate)


@pytest.mark.parametrize(
    ("safe_energy", "seen"),
    [
        (1.0, [False, True, True, True, True, False]),
        (0.5, [False, True, True, True, True, False]),
        (3.0, [False, False, True, True, True, False]),
        (float("nan"), [False, True, True, True, True, False]),
    ],
)
def test_fitted_energies_end_where_events_do(fit, binning, safe_energy, seen):
    """Below relative to the safe energy, and at the last event of all runs."""
    reach = np.log(10) * np.array([-0.3, 0.6])
    ended = replace(fit, energy_range=reach)
    run = replace(CONDITIONS, safe_energy=safe_energy)
    assert is_fitted(ended, run, binning).tolist() == seen
    assert predict(ended, run, binning).is_fitted.tolist() == seen
