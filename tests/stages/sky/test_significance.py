from __future__ import annotations

import numpy as np
import pytest
from gammapy.stats import CashCountsStatistic

from bkgpipe.stages.sky.significance import add_in_discs, simulate_width, sqrt_ts


def test_it_is_that_of_gammapy():
    counts, background = np.array([0, 3, 12, 500]), np.array([2.5, 3.0, 4.5, 300.0])

    expected = CashCountsStatistic(counts, background).sqrt_ts

    np.testing.assert_allclose(sqrt_ts(counts, background), expected, rtol=1e-12)


def test_nothing_is_said_where_nothing_is_expected():
    found = sqrt_ts(np.array([0, 5, 5]), np.array([0.0, 0.0, 5.0]))

    np.testing.assert_array_equal(found, [np.nan, np.nan, 0.0])


def test_a_disc_adds_up_what_has_its_centre_in_it():
    rng = np.random.default_rng(1)
    image = rng.poisson(2.0, (31, 31)).astype(float)

    found = add_in_discs(image, radius=0.25, pixel=0.1)

    y, x = np.indices(image.shape)
    for at in ((15, 15), (0, 3), (30, 30)):
        is_in = np.hypot(y - at[0], x - at[1]) * 0.1 <= 0.25
        assert found[at] == pytest.approx(image[is_in].sum(), abs=1e-9)


def test_an_empty_image_stays_empty():
    assert not add_in_discs(np.zeros((9, 9)), radius=0.3, pixel=0.1).any()


def test_background_alone_has_a_width_of_one():
    mean, width = simulate_width(
        np.full((80, 80), 20.0), radius=0.1, pixel=0.1, rng=np.random.default_rng(3)
    )

    assert mean == pytest.approx(0.0, abs=0.02)
    assert width == pytest.approx(1.0, abs=0.02)


def test_all_masked_has_no_width():
    found = simulate_width(
        np.zeros((8, 8)), radius=0.1, pixel=0.1, rng=np.random.default_rng(3)
    )

    assert np.isnan(found).all()
