from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from bkgpipe.stages.smooth.gaussian import Blur, blurred_rate

SHAPE = (3, 8, 9)
SQUARES = np.add.outer(np.linspace(-2, 2, 8) ** 2, np.linspace(-2, 2, 9) ** 2)
WIDTH = np.array([1.0, 2.0, 4.0])


def correlate(weights: np.ndarray):
    def apply(cube: np.ndarray) -> np.ndarray:
        for axis in (1, 2):
            cube = correlate1d(cube, weights, axis=axis, mode="constant")
        return cube

    return apply


WEIGHTS = np.array([0.2, 0.6, 0.2])
BLUR = Blur(mean=correlate(WEIGHTS), squared=correlate(WEIGHTS**2))


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return 200.0 * np.exp(-SQUARES / 4) / WIDTH[:, None, None]


def rate_of(counts: np.ndarray, exposure: np.ndarray):
    return blurred_rate(counts, exposure, WIDTH, squared_offset=SQUARES, blur=BLUR)


def test_the_field_is_kept_on_one_side_of_an_unseen_half(expected) -> None:
    exposure = np.ones(SHAPE)
    exposure[:, :, :5] = 0.0
    counts = expected * exposure

    rate, error = rate_of(counts, exposure)

    seen = exposure > 0
    truth = expected / WIDTH[:, None, None]
    np.testing.assert_allclose(rate[seen], truth[seen], rtol=0.02)
    assert not rate[~seen].any()
    assert (error > 0).all()


def test_errors_are_right_in_repeated_draws(expected) -> None:
    rng = np.random.default_rng(3)
    exposure = np.ones(SHAPE)
    exposure[:, 2:4, 5] = 0.0
    truth = expected / WIDTH[:, None, None]
    seen = np.broadcast_to(exposure > 0, SHAPE) & (expected > 5)
    pulls = []
    for _ in range(100):
        rate, error = rate_of(rng.poisson(expected * exposure), exposure)
        pulls.append(((rate / truth - 1) / error)[seen])

    assert np.std(pulls) == pytest.approx(1.0, abs=0.07)
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.1)


def test_counts_of_each_energy_are_kept(expected) -> None:
    counts = np.random.default_rng(5).poisson(expected / 50)
    counts[1] = 0

    rate, error = rate_of(counts, np.ones(SHAPE))

    totals = (rate * WIDTH[:, None, None]).sum(axis=(1, 2))
    np.testing.assert_allclose(totals, counts.sum(axis=(1, 2)))
    np.testing.assert_allclose(error[1], np.sqrt(2))
