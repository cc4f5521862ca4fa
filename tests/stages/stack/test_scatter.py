from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.stack.scatter import excess_variance, least_variance, norm_scatter


@pytest.mark.parametrize("scatter", [0.05, 0.3])
def test_scatter_beyond_poisson_noise(scatter):
    rng = np.random.default_rng(3)
    mean = rng.uniform(200.0, 2000.0, 3000)
    observed = rng.poisson(mean * rng.gamma(1 / scatter**2, scatter**2, 3000))
    assert norm_scatter(observed, mean) == pytest.approx(scatter, rel=0.05)


def test_scatter_is_never_zero():
    """It is at least what noise alone would give in a third of all cases."""
    rng = np.random.default_rng(1)
    mean = rng.uniform(500, 3000, 100)
    least = least_variance(mean)
    assert norm_scatter(mean, mean) == pytest.approx(np.sqrt(least))
    drawn = rng.poisson(mean, (2000, 100))
    found = np.array([excess_variance(counts, mean) for counts in drawn])
    assert np.mean(found < least) == pytest.approx(0.68, abs=0.03)


def test_fewer_runs_know_less_of_zero():
    few, many = np.full(5, 100.0), np.full(500, 100.0)
    assert norm_scatter(few, few) > 3 * norm_scatter(many, many) > 0


def test_nothing_expected_tells_nothing():
    assert np.isnan(norm_scatter(np.zeros(3), np.zeros(3)))


def test_long_runs_weigh_no_more_than_others():
    rng = np.random.default_rng(2)
    mean = np.repeat([2_000.0, 40_000.0], [180, 20])
    norms = rng.normal(0, np.repeat([0.1, 0.02], [180, 20]))
    scatter = norm_scatter(rng.poisson(mean * np.exp(norms)), mean)
    assert scatter == pytest.approx(0.1 * np.sqrt(0.9), rel=0.1)


def test_weights_make_a_block_of_runs_count_as_one():
    mean = np.full(12, 1e6)
    counts = mean * np.repeat([1.3, 1.1, 0.9], [10, 1, 1])
    plain = excess_variance(counts, mean)
    weighted = excess_variance(
        counts, mean, weight=np.repeat([0.1, 1.0, 1.0], [10, 1, 1])
    )
    assert plain == pytest.approx((10 * 0.09 + 0.02) / 12, rel=1e-3)
    assert weighted == pytest.approx((0.09 + 0.02) / 3, rel=1e-3)


def test_no_variance_is_too_large_to_be_found():
    found = excess_variance(np.full(3, 1e9), np.full(3, 1e-3))
    assert np.isfinite(found)
