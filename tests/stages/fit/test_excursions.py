from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.fit.data import FitPoints, RunConditions
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.predict import predict

N_RUNS, LIVETIME = 60, 1500.0
SETTINGS = {
    "fov_alignment": "ALTAZ",
    "terms": ("zenith", "control_outer"),
    "offset_splines": 4,
    "ridge": 0.01,
}


def conditions_of(zenith, control=0.0):
    return RunConditions(
        cos_zenith=float(np.cos(np.radians(zenith))),
        azimuth=0.0,
        position_angle=0.0,
        muon_efficiency=0.9,
        deadc=0.9,
        time=53000.0,
        control_outer=control,
        control_low=0.0,
        safe_energy=0.1,
    )


@pytest.fixture(scope="module")
def binning(make_binning):
    return make_binning(energy_edges=np.geomspace(0.1, 100.0, 8))


@pytest.fixture(scope="module")
def true_counts(binning):
    """Counts of a run by a law that is not quite linear in cos(zenith)."""

    def make(conditions):
        z = conditions.cos_zenith - 0.8
        norm = np.exp(-4.0 * z + 1.5 * z**2 + 0.5 * conditions.control_outer)
        energy = np.sqrt(binning.energy_edges[1:] * binning.energy_edges[:-1])
        spectrum = 100.0 * norm * energy**-2.5 * binning.energy_width
        return LIVETIME * binning.solid_angle_3d * spectrum[:, None, None]

    return make


@pytest.fixture(scope="module")
def fit(binning, true_counts):
    """Runs at zenith angles of 5 to 45 deg."""
    rng = np.random.default_rng(6)
    zeniths = np.linspace(5.0, 45.0, N_RUNS)
    conditions = tuple(conditions_of(z, rng.normal(0, 0.1)) for z in zeniths)
    counts = np.array([rng.poisson(true_counts(one)) for one in conditions])
    exposure = np.broadcast_to(LIVETIME * binning.solid_angle_3d, counts.shape)
    points = FitPoints(
        binning=binning,
        counts=counts.astype(float),
        exposure=exposure.copy(),
        conditions=conditions,
        point=np.arange(N_RUNS),
        share=np.ones(N_RUNS),
        livetime=np.full(N_RUNS, LIVETIME),
    )
    return fit_regression(points, **SETTINGS)


@pytest.mark.parametrize("zenith", [60.0, 65.0, 70.0])
def test_the_error_covers_what_is_seen_beyond_the_fit(
    fit, binning, true_counts, zenith
):
    rate = predict(fit, conditions_of(zenith), binning)
    mean = rate.rate_3d.sum(axis=(1, 2)) @ binning.energy_width
    truth = true_counts(conditions_of(zenith)) / LIVETIME
    solid_angle = np.broadcast_to(binning.solid_angle_3d, truth.shape)[0]
    mean = (rate.rate_3d * solid_angle).sum(axis=(1, 2)) @ binning.energy_width
    off = np.log(truth.sum() / mean)
    assert off > 0.4
    assert 0.4 * off < rate.excursion_error <= 1
    assert off < 2 * rate.excursion_error


def test_the_error_grows_with_the_distance(fit, binning):
    errors = [
        predict(fit, conditions_of(zenith), binning).excursion_error
        for zenith in (44.0, 46.0, 50.0, 55.0, 65.0)
    ]
    assert errors[0] == 0.0
    assert (np.diff(errors) > 0).all()
    assert errors[1] < 0.1


def test_the_error_has_a_limit(fit, binning):
    far = conditions_of(30.0, control=50.0)
    assert predict(fit, far, binning).excursion_error == 1.0


def test_a_missing_condition_costs_its_spread_in_the_fit(fit, binning):
    lacking = predict(fit, conditions_of(30.0, control=np.nan), binning)
    number = fit.condition_names.index("control_outer")
    spread = 0.5 * fit.condition_scale[number]
    assert lacking.excursion_error == pytest.approx(spread, rel=0.1)
    both = predict(fit, conditions_of(50.0, control=np.nan), binning)
    beyond = predict(fit, conditions_of(50.0), binning)
    assert both.excursion_error == pytest.approx(
        np.hypot(beyond.excursion_error, lacking.excursion_error), rel=0.05
    )


def test_conditions_that_no_term_needs_cost_nothing(fit, binning):
    other = replace(conditions_of(30.0), control_low=99.0, muon_efficiency=np.nan)
    assert predict(fit, other, binning).excursion_error == 0.0
