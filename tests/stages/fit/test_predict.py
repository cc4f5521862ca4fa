from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.geometry.sampling import field_solid_angles
from bkgpipe.stages.fit.data import RunConditions
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.terms import CONDITION_NAMES

CONDITIONS = RunConditions(
    cos_zenith=0.6,
    azimuth=0.0,
    position_angle=30.0,
    muon_efficiency=0.9,
    deadc=0.95,
    time=53000.0,
    control_outer=4.0,
    control_low=6.0,
)


@pytest.fixture
def fit(make_fit):
    """An E^-2 spectrum of norm 3 that has no shape; north runs are brighter."""
    coefficients = np.zeros((5, 7))
    coefficients[:, 4] = 0.2
    return make_fit(coefficients, 0.01 * np.eye(coefficients.size))


def test_the_rate_is_the_spectrum_times_the_terms(fit, make_binning):
    binning = make_binning()
    rate = predict(fit, CONDITIONS, binning)
    energy = np.sqrt(binning.energy_edges[:-1] * binning.energy_edges[1:])
    wanted = 3.0 * energy**-2 * np.exp(0.2 * 0.8)
    assert rate.rate_3d.shape == binning.shape_3d
    np.testing.assert_allclose(
        rate.rate_3d, np.broadcast_to(wanted[:, None, None], binning.shape_3d)
    )
    np.testing.assert_allclose(
        rate.rate_2d,
        np.broadcast_to(wanted[:, None], binning.shape_2d),
        rtol=0.02,
    )
    assert not rate.excursions
    assert rate.is_fitted.tolist() == [False, True, False, False]


def test_both_projections_hold_the_same_counts(fit, make_binning):
    binning = make_binning()
    coefficients = fit.coefficients.copy()
    coefficients[:, :4] = [1.0, 0.4, -0.5, -2.0]
    coefficients[:, -2:] = [0.1, -0.2]
    rate = predict(replace(fit, coefficients=coefficients), CONDITIONS, binning)
    in_3d = rate.rate_3d.reshape(4, -1) @ field_solid_angles(binning)[0].ravel()
    np.testing.assert_allclose(rate.rate_2d @ binning.solid_angle_2d, in_3d)


def test_a_gradient_tilts_the_image_alone(fit, make_binning):
    binning = make_binning()
    coefficients = fit.coefficients.copy()
    coefficients[:, -1] = 0.1
    tilted = predict(replace(fit, coefficients=coefficients), CONDITIONS, binning)
    ratio = tilted.rate_3d[1] / predict(fit, CONDITIONS, binning).rate_3d[1]
    lat = (binning.fov_lat_edges[:-1] + binning.fov_lat_edges[1:]) / 2
    np.testing.assert_allclose(ratio[2, 2:6], np.exp(0.1 * lat[2:6]), rtol=1e-4)


def test_errors_follow_the_covariance(fit, make_binning):
    binning = make_binning()
    rate = predict(fit, CONDITIONS, binning)
    doubled = predict(replace(fit, covariance=4 * fit.covariance), CONDITIONS, binning)
    assert rate.error_3d.shape == binning.shape_3d
    assert rate.error_2d.shape == binning.shape_2d
    assert np.all(rate.error_3d > 0)
    np.testing.assert_allclose(doubled.error_3d, 2 * rate.error_3d)
    np.testing.assert_allclose(doubled.error_2d, 2 * rate.error_2d)


def test_conditions_far_away_stay_finite_and_are_flagged(fit, make_binning):
    north = replace(fit, condition_high=np.full(len(CONDITION_NAMES), 0.5))
    far = predict(north, CONDITIONS, make_binning())
    assert [str(one) for one in far.excursions] == [
        "north component of the pointing 0.8 (fit: -1 to 0.5)"
    ]
    near = predict(fit, replace(CONDITIONS, cos_zenith=np.sqrt(0.75)), make_binning())
    np.testing.assert_allclose(far.rate_3d, near.rate_3d)


def test_missing_conditions_stay_finite_and_are_flagged(fit, make_binning):
    rate = predict(fit, replace(CONDITIONS, azimuth=float("nan")), make_binning())
    assert [str(one) for one in rate.excursions] == [
        "north component of the pointing missing (fit: -1 to 1)"
    ]
    assert np.isfinite(rate.rate_3d).all()
    assert np.isfinite(rate.rate_2d).all()


def test_energies_beyond_the_data_stay_finite(fit, make_binning):
    binning = make_binning(energy_edges=np.geomspace(1e-3, 1e4, 5))
    steep = replace(fit, reference=np.array([-0.3, 0.1, -2.0, 1.0]))
    rate = predict(steep, CONDITIONS, binning)
    assert np.isfinite(rate.rate_3d).all()
    assert np.all(rate.rate_3d > 0)
