from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.fit.array_fit import fit_arrays
from bkgpipe.stages.fit.count_arrays import CountsArrays
from bkgpipe.stages.fit.covariance import estimate_covariance

N_POINTS, N_ENERGY, N_PLACES = 60, 3, 7
BASIS = np.eye(N_ENERGY)
FIELD = np.column_stack([np.ones(N_PLACES), np.linspace(-1, 1, N_PLACES)])
LABELS = ("radial", "zenith", "gradient") * N_ENERGY
TRENDS = np.column_stack([np.ones(N_ENERGY), np.arange(N_ENERGY) - 1.0])
TRUTH = np.array([[0.2, -0.3, 0.1], [0.0, -0.2, 0.2], [-0.1, 0.1, 0.0]])
WEAK = 1e-6 * np.eye(TRUTH.size)


@pytest.fixture(scope="module")
def design():
    weights = np.zeros((N_POINTS, 3, 2))
    weights[:, 0, 0] = weights[:, 2, 1] = 1.0
    weights[:, 1, 0] = np.linspace(-1.5, 1.5, N_POINTS)
    return weights


@pytest.fixture(scope="module")
def simulate(design):
    def run(seed, *, scatter=0.0, chromatic=0.0, base=100.0, n_points=N_POINTS):
        rng = np.random.default_rng(seed)
        design_ = design[:n_points]
        base_ = np.full((n_points, N_ENERGY, N_PLACES), base)
        mean = base_ * np.exp(
            np.einsum("ek,gkm,bm->geb", BASIS @ TRUTH, design_, FIELD)
        )
        own = scatter * rng.normal(size=(n_points, 1))
        own = own + chromatic * rng.normal(size=(n_points, 1)) * TRENDS[:, 1]
        counts = rng.poisson(mean * np.exp(own)[:, :, None]).astype(float)
        return CountsArrays(counts=counts, base=base_, design=design_)

    return run


def covariance_of(arrays, penalty=WEAK):
    shape = {"basis": BASIS, "field": FIELD, "penalty": penalty}
    result = fit_arrays(arrays, **shape)
    found = estimate_covariance(arrays, result, **shape, labels=LABELS, trends=TRENDS)
    return result, found


def test_without_scatter_and_penalty_it_is_the_inverse_information(simulate):
    result, covariance = covariance_of(simulate(3))
    inverse = np.linalg.inv(result.normal)
    error, noise = np.sqrt(np.diag(covariance)), np.sqrt(np.diag(inverse))
    np.testing.assert_allclose(covariance, covariance.T, rtol=1e-9, atol=1e-15)
    assert np.all(error >= noise * (1 - 1e-9))
    assert np.mean(error / noise) < 1.2


@pytest.mark.parametrize(
    "case",
    [
        {"scatter": 0.0},
        {"scatter": 0.2},
        {"scatter": 0.1, "chromatic": 0.15},
    ],
    ids=["noise", "scatter", "chromatic"],
)
def test_errors_are_the_spread_of_fits(simulate, case):
    found, claimed = [], []
    for seed in range(150):
        result, covariance = covariance_of(simulate(seed, **case))
        found.append(result.coefficients.ravel())
        claimed.append(np.diag(covariance))
    spread = np.std(found, axis=0)
    np.testing.assert_allclose(np.sqrt(np.mean(claimed, axis=0)) / spread, 1, atol=0.2)


def test_scatter_does_not_touch_the_gradient(simulate):
    """A norm of each point says nothing of the slope across the field."""
    quiet, loud = (
        np.sqrt(np.diag(covariance_of(simulate(5, scatter=scatter))[1])).reshape(3, 3)
        for scatter in (0.0, 0.3)
    )
    assert np.all(loud[:, :2] > 2 * quiet[:, :2])
    np.testing.assert_allclose(loud[:, 2], quiet[:, 2], rtol=0.25)


def test_a_pull_to_zero_is_in_the_errors(simulate):
    """A ridge far too strong hides a law; its errors tell, those of noise do not."""
    ridge = np.kron(np.eye(N_ENERGY), np.diag([0.0, 2e4, 0.0])) + WEAK
    arrays = simulate(7)
    result, covariance = covariance_of(arrays, ridge)
    inverse = np.linalg.inv(result.normal + ridge)
    noise = np.sqrt(np.diag(inverse @ result.normal @ inverse)).reshape(3, 3)
    error = np.sqrt(np.diag(covariance)).reshape(3, 3)
    miss = np.abs(result.coefficients - TRUTH)[:, 1]
    assert np.all(miss > 5 * noise[:, 1])
    assert np.sqrt(np.mean((miss / error[:, 1]) ** 2)) < 2
    np.testing.assert_allclose(error[:, 2], noise[:, 2], rtol=0.3)


def test_few_points_without_freedom_are_finite(simulate):
    _, covariance = covariance_of(simulate(2, n_points=1), np.eye(TRUTH.size))
    assert np.isfinite(covariance).all()
    assert np.all(np.diag(covariance) > 0)


def test_a_point_without_exposure_changes_nothing(simulate):
    arrays = simulate(4, scatter=0.1)
    first = covariance_of(arrays)[1]
    more = CountsArrays(
        counts=np.concatenate([arrays.counts, np.zeros((1, N_ENERGY, N_PLACES))]),
        base=np.concatenate([arrays.base, np.zeros((1, N_ENERGY, N_PLACES))]),
        design=np.concatenate([arrays.design, arrays.design[:1]]),
    )
    np.testing.assert_allclose(covariance_of(more)[1], first, rtol=1e-6)
