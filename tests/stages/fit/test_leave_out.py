from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.fit.data import FitPoints, RunConditions
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.leave_out import LeaveOut
from bkgpipe.stages.fit.predict import predict

SETTINGS = {
    "fov_alignment": "ALTAZ",
    "terms": ("zenith", "gradient"),
    "offset_splines": 4,
    "ridge": 0.01,
}
N_RUNS = 40


def conditions_of(number):
    rng = np.random.default_rng([number, 1])
    return RunConditions(
        cos_zenith=rng.uniform(0.55, 0.98),
        azimuth=0.0,
        position_angle=0.0,
        muon_efficiency=0.9,
        deadc=0.9,
        time=53000.0 + number,
        control_outer=0.0,
        control_low=0.0,
        safe_energy=float(rng.choice([0.1, 0.5, 2.0])),
    )


@pytest.fixture(scope="module")
def binning(make_binning):
    return make_binning(energy_edges=np.geomspace(0.1, 100.0, 8))


@pytest.fixture(scope="module")
def points(binning):
    """Runs of some 2000 events; below their safe energy they see a part of these."""
    rng = np.random.default_rng(4)
    conditions = tuple(conditions_of(number) for number in range(N_RUNS))
    energy = np.sqrt(binning.energy_edges[1:] * binning.energy_edges[:-1])
    exposure = np.broadcast_to(
        1500.0 * binning.solid_angle_3d, (N_RUNS, *binning.shape_3d)
    )
    mean = 500.0 * exposure * (energy**-2.5 * binning.energy_width)[:, None, None]
    for run, one in enumerate(conditions):
        dim = np.minimum(energy / one.safe_energy, 1.0) ** 2
        norm = np.exp(rng.normal(-3 * (one.cos_zenith - 0.8), 0.1))
        mean[run] *= (dim * norm)[:, None, None]
    return FitPoints(
        binning=binning,
        counts=rng.poisson(mean).astype(float),
        exposure=exposure.copy(),
        conditions=conditions,
        point=np.arange(N_RUNS),
        share=np.ones(N_RUNS),
        livetime=np.full(N_RUNS, 1500.0),
    )


@pytest.fixture(scope="module")
def fit(points):
    return fit_regression(points, **SETTINGS)


def refit(points, folds):
    """Predict the total of each run at safe energies by fits of their own."""
    totals = np.empty(N_RUNS)
    for fold in np.unique(folds):
        others = fit_regression(points.take(np.flatnonzero(folds != fold)), **SETTINGS)
        for run in np.flatnonzero(folds == fold):
            conditions = points.conditions[run]
            rate = predict(others, conditions, points.binning).rate_3d
            mean = (rate * points.exposure[run]).sum(axis=(1, 2))
            edges = points.binning.energy_edges[:-1]
            safe = edges >= conditions.safe_energy * (1 - 1e-9)
            totals[run] = (mean * points.binning.energy_width * safe).sum()
    return totals


@pytest.mark.parametrize("n_folds", [4, 10])
def test_one_step_leads_to_the_fit_without_them(points, fit, n_folds):
    folds = np.arange(N_RUNS) % n_folds
    found = LeaveOut(fit, points).predict(folds)
    expected = (found.expected * found.is_safe).sum(axis=1)
    observed = (found.observed * found.is_safe).sum(axis=1)
    difference = np.log(expected / refit(points, folds))
    assert np.abs(difference).max() < 0.02
    assert difference.std() < 0.1 * np.log(expected / observed).std()


def test_counts_are_those_of_the_runs(points, fit):
    found = LeaveOut(fit, points).predict(np.arange(N_RUNS) % 10)
    counts = points.counts.sum(axis=(2, 3))
    assert found.observed[found.is_safe] == pytest.approx(counts[found.is_safe])
    safe = [one.safe_energy for one in points.conditions]
    edges = points.binning.energy_edges[:-1]
    np.testing.assert_array_equal(
        found.is_safe, edges >= np.array(safe)[:, None] * (1 - 1e-9)
    )


def test_a_run_left_out_does_not_pull_its_prediction(points):
    index = int(np.argmin([one.cos_zenith for one in points.conditions]))
    loud = points.counts.copy()
    loud[index] *= 2
    changed = replace(points, counts=loud)
    folds = np.arange(N_RUNS)
    calm, other = (
        LeaveOut(fit_regression(one, **SETTINGS), one).predict(folds)
        for one in (points, changed)
    )
    assert other.expected[index].sum() == pytest.approx(
        calm.expected[index].sum(), rel=0.05
    )
    assert other.observed[index].sum() == 2 * calm.observed[index].sum()


def test_energies_that_only_the_left_out_have_seen_are_not_expected(points):
    counts = points.counts.copy()
    counts[1:, -1] = 0.0
    counts[0, -1, 3, 3] = 5.0
    alone = replace(points, counts=counts)
    found = LeaveOut(fit_regression(alone, **SETTINGS), alone).predict(
        np.arange(N_RUNS)
    )
    assert found.observed[0, -1] == found.expected[0, -1] == 0.0
    assert found.expected[1, -1] > 0
