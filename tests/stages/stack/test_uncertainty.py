from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.stack.uncertainty import (
    HOLE_ERROR,
    poisson_error,
    run_scatter,
    weighted_error,
)


def test_poisson_error_is_one_over_the_root_of_the_counts():
    error = poisson_error(np.array([[100, 4, 1], [0, 25, 16]]))

    np.testing.assert_allclose(error, [[0.1, 0.5, 1.0], [np.sqrt(2), 0.2, 0.25]])


def test_error_of_an_empty_bin_is_that_of_its_posterior():
    rng = np.random.default_rng(1)
    drawn = rng.gamma(0.5, 1 / 3.0, 1_000_000)  # no event in an exposure of 3

    assert drawn.std() / drawn.mean() == pytest.approx(HOLE_ERROR, rel=0.01)


def test_error_of_a_weighted_sum():
    rng = np.random.default_rng(2)
    weights, mean = np.array([0.5, 0.3, 0.2]), np.array([40.0, 90.0, 60.0])
    sums = rng.poisson(mean, (100_000, 3)) @ weights

    error = weighted_error(weights @ mean, weights**2 @ mean)

    assert error == pytest.approx(sums.std() / sums.mean(), rel=0.01)


@pytest.mark.parametrize("scatter", [0.05, 0.3])
def test_scatter_beyond_poisson_noise(scatter):
    rng = np.random.default_rng(3)
    mean = rng.uniform(200.0, 2000.0, 3000)
    observed = rng.poisson(mean * rng.gamma(1 / scatter**2, scatter**2, 3000))
    expected = mean * observed.sum() / mean.sum()

    assert run_scatter(observed, expected) == pytest.approx(scatter, rel=0.05)


def test_two_runs_are_not_biased():
    rng = np.random.default_rng(4)
    squares = []
    for _ in range(4000):
        observed = rng.poisson(1000.0 * rng.gamma(100.0, 0.01, 2))
        squares.append(run_scatter(observed, np.full(2, observed.mean())) ** 2)

    # a negative excess counts as zero, which is rare here
    assert np.mean(squares) == pytest.approx(0.01, rel=0.1)


def test_less_than_poisson_noise_is_what_cannot_be_told_from_it():
    """Never zero: 68 % of the runs that differ by noise alone have less."""
    few, many = (run_scatter(np.full(n, 100), np.full(n, 100.0)) for n in (2, 200))
    assert few == pytest.approx(0.068, abs=0.01)
    assert 0 < many < few / 3
    rng = np.random.default_rng(5)
    found = [
        run_scatter(drawn, np.full(200, 100.0))
        for drawn in rng.poisson(100.0, (2000, 200))
    ]
    assert np.mean(np.isclose(found, many)) == pytest.approx(0.68, abs=0.03)


def test_one_run_tells_no_scatter():
    assert np.isnan(run_scatter(np.array([7]), np.array([7.0])))
    assert np.isnan(run_scatter(np.zeros(2), np.zeros(2)))
