"""Closure of the regression on a background that turns over at the threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.data import FitPoints, RunConditions
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.systematics import measure_systematics
from bkgpipe.stages.fit.threshold import threshold_distance

AXES = Binning(
    energy_edges=10.0 ** np.linspace(-1.0, 1.2, 12),
    fov_lon_edges=np.linspace(-1.5, 1.5, 10),
    fov_lat_edges=np.linspace(-1.6, 1.6, 11),
    offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
)
CENTERS = np.log(AXES.energy_edges[1:] * AXES.energy_edges[:-1]) / 2
# Bins of the image, without those that the rim of the field cuts
SQUARE = np.add.outer(
    *(
        ((edges[1:] + edges[:-1]) / 2) ** 2
        for edges in (AXES.fov_lon_edges, AXES.fov_lat_edges)
    )
)
N_RUNS, LIVETIME, SCATTER = 60, 1500.0, 0.4
SETTINGS = {"fov_alignment": "ALTAZ", "terms": ("zenith",), "ridge": 0.01}


def conditions_of(number):
    """Runs of zenith angles and safe energies that go together, but not exactly."""
    rng = np.random.default_rng([number, 1])
    cos_zenith = rng.uniform(0.55, 0.98)
    safe_energy = 0.3 * cos_zenith**-1.5 * np.exp(rng.normal(0, 0.2))
    return RunConditions(
        cos_zenith=cos_zenith,
        azimuth=0.0,
        position_angle=0.0,
        muon_efficiency=0.9,
        deadc=0.9,
        time=53000.0 + number,
        control_outer=0.0,
        control_low=0.0,
        safe_energy=safe_energy,
    )


def true_rate(conditions):
    """Below u = 0.2 the spectrum falls off, and the field becomes narrower."""
    u = np.minimum(threshold_distance([conditions], AXES)[0] - 0.2, 0.0)[:, None, None]
    z = conditions.cos_zenith - 0.8
    space = -SQUARE / 4 * (1 - 0.1 * CENTERS[:, None, None] - 0.5 * z)
    log_rate = np.log(900.0) - 2.6 * CENTERS[:, None, None] - 3.0 * z + space
    return np.exp(log_rate + 25.0 * u**3 + 4.0 * u**3 * SQUARE)


def is_safe(conditions):
    return AXES.energy_edges[:-1] >= conditions.safe_energy * (1 - 1e-9)


def draw(number):
    """Counts of a run, with a norm of its own at each energy below."""
    rng, conditions = np.random.default_rng([number, 2]), conditions_of(number)
    norms = np.where(
        is_safe(conditions), 1.0, rng.gamma(SCATTER**-2, SCATTER**2, AXES.n_energy)
    )
    exposure = np.broadcast_to(LIVETIME * AXES.solid_angle_3d, AXES.shape_3d)
    width = (AXES.energy_width * norms)[:, None, None]
    counts = rng.poisson(true_rate(conditions) * exposure * width).astype(float)
    return counts, exposure


@pytest.fixture(scope="module")
def points():
    drawn = [draw(number) for number in range(N_RUNS)]
    return FitPoints(
        binning=AXES,
        counts=np.array([counts for counts, _ in drawn]),
        exposure=np.array([exposure for _, exposure in drawn]),
        conditions=tuple(conditions_of(number) for number in range(N_RUNS)),
        point=np.arange(N_RUNS),
        share=np.ones(N_RUNS),
        livetime=np.full(N_RUNS, LIVETIME),
    )


@pytest.fixture(scope="module")
def fit(points):
    return fit_regression(points, **SETTINGS)


@pytest.fixture(scope="module")
def fit_above(points):
    """The same runs, of which only safe energies are known."""
    safe = np.array([is_safe(one) for one in points.conditions])[:, :, None, None]
    return fit_regression(
        replace(points, counts=points.counts * safe, exposure=points.exposure * safe),
        **SETTINGS,
    )


@pytest.fixture(scope="module")
def ratios(fit):
    """Predicted over true of new runs, inside the range of the conditions."""
    found = {}
    for number in range(1000, 1020):
        conditions = conditions_of(number)
        rate = predict(fit, conditions, AXES)
        if not rate.excursions:
            found[number] = rate.rate_3d / true_rate(conditions)
    return found


def bins_between(number, low, high):
    u = threshold_distance([conditions_of(number)], AXES)[0]
    return (u >= low) & (u < high)


def test_the_truth_has_many_events_below_the_safe_energy(points):
    safe = np.array([is_safe(one) for one in points.conditions])
    below = points.counts.sum(axis=(2, 3))[~safe].sum()
    assert below > 0.2 * points.counts.sum()


@pytest.mark.parametrize("reach", [(-0.3, -0.15), (-0.15, 0.0), (0.0, 0.3)])
def test_the_radial_shape_is_found_below_the_safe_energy(ratios, reach):
    shapes = [
        ratio[bins] / np.average(ratio[bins], axis=(1, 2), keepdims=True)
        for number, ratio in ratios.items()
        if (bins := bins_between(number, *reach)).any()
    ]
    mean = np.concatenate(shapes).mean(axis=0)
    rings = [mean[(r <= SQUARE) & (r + 1 > SQUARE)].mean() for r in range(4)]
    assert len(shapes) > 8
    np.testing.assert_allclose(rings, 1.0, atol=0.04)


def test_the_norm_below_is_that_of_the_mean_run(ratios):
    """As far as the scatter of the runs in the fit lets it be known."""
    norms = np.concatenate(
        [
            ratio[bins_between(number, -0.3, 0.0)].mean(axis=(1, 2))
            for number, ratio in ratios.items()
        ]
    )
    assert norms.mean() == pytest.approx(1.0, abs=3 * SCATTER / np.sqrt(N_RUNS))


def test_scatter_below_is_measured_and_does_not_reach_above(fit, points):
    """Beside the norms as drawn; runs left out have the error of the fit as well."""
    true = np.array([true_rate(one) for one in points.conditions]) * points.exposure
    expected = true.sum(axis=(2, 3)) * AXES.energy_width
    is_low = ~np.array([is_safe(one) for one in points.conditions]) & (expected > 50)
    norms = (points.counts.sum(axis=(2, 3))[is_low]) / expected[is_low]
    assert norms.std() == pytest.approx(SCATTER, rel=0.2)
    found = measure_systematics(fit, points)
    assert found.low_scatter == pytest.approx(norms.std(), rel=0.25)
    assert found.scatter < 0.03


def test_what_is_safe_is_as_without_low_energies(fit, fit_above):
    """Differences are within the errors, which low energies do not make larger."""
    pulls, errors = [], []
    for number in range(1000, 1010):
        conditions = conditions_of(number)
        ours, other = (predict(one, conditions, AXES) for one in (fit, fit_above))
        bins = is_safe(conditions) & ours.is_fitted & other.is_fitted
        step = np.log(ours.rate_3d / other.rate_3d)[bins]
        pulls.append((step / other.error_3d[bins]).ravel())
        errors.append((ours.error_3d / other.error_3d)[bins].ravel())
    pulls = np.concatenate(pulls)
    assert np.sqrt(np.mean(pulls**2)) < 0.5
    assert np.abs(pulls).max() < 2.0
    assert np.median(np.concatenate(errors)) < 1.05


def test_residuals_are_those_of_safe_energies(fit, points):
    safe = np.array([is_safe(one) for one in points.conditions])
    counted = (points.counts.sum(axis=(2, 3)) * safe).sum(axis=0)
    np.testing.assert_array_equal(fit.residual[0], counted)
    assert np.nanmax(np.abs(fit.pulls)) < 3


@pytest.mark.parametrize("reach", [(-0.3, 0.0), (0.1, 0.6)])
def test_errors_cover_the_truth(fit, ratios, reach):
    """Below they are on the safe side: ten archives gave pulls 0.6 wide, above 1.0."""
    pulls, errors = [], []
    for number, ratio in ratios.items():
        bins = bins_between(number, *reach)
        error = predict(fit, conditions_of(number), AXES).error_3d[bins]
        pulls.append((np.log(ratio[bins]) / error).ravel())
        errors.append(error.ravel())
    assert 0.4 < np.sqrt(np.mean(np.concatenate(pulls) ** 2)) < 1.5
    low, high = (0.05, 0.3) if reach[0] < 0 else (0.003, 0.03)
    assert low < np.median(np.concatenate(errors)) < high
