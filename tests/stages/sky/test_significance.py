from __future__ import annotations

import numpy as np
import pytest
from gammapy.stats import CashCountsStatistic

from bkgpipe.stages.sky.significance import (
    add_in_discs,
    false_alarms,
    least_significance,
    simulate_chance,
    sqrt_ts,
)


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


def _chance(background, seed=3):
    rng = np.random.default_rng(seed)
    return simulate_chance(background, radii=(0.1, 0.3), pixel=0.1, rng=rng)


def test_background_alone_has_a_width_of_one():
    found = _chance(np.full((80, 80), 20.0))

    assert found.mean == pytest.approx(0.0, abs=0.02)
    assert found.width == pytest.approx(1.0, abs=0.02)


def test_trials_are_about_as_many_as_discs():
    # each disc of 0.1 deg shares most of its pixels with its neighbours
    found = _chance(np.full((80, 80), 20.0))

    assert 80 * 80 / 20 < found.trials < 80 * 80 * 2
    assert _chance(np.full((20, 20), 20.0)).trials < found.trials / 4


def test_all_masked_has_no_chance():
    found = _chance(np.zeros((8, 8)))

    assert np.isnan([found.mean, found.width]).all()
    assert found.trials == 0.0


def test_false_alarms_come_as_often_as_told():
    """Of 200 fields without a source, as many have a false alarm as is expected."""
    background = np.full((40, 40), 15.0)
    trials = _chance(background, seed=11).trials
    rng = np.random.default_rng(12)
    n_false = 0
    for _ in range(200):
        counts = rng.poisson(background).astype(float)
        highest = max(
            sqrt_ts(
                np.rint(add_in_discs(counts, radius=radius, pixel=0.1)),
                add_in_discs(background, radius=radius, pixel=0.1),
            ).max()
            for radius in (0.1, 0.3)
        )
        n_false += false_alarms(highest, trials) <= 0.1

    assert 8 <= n_false <= 40  # 19 of 200; ten simulations tell trials within a third


def test_the_threshold_is_that_of_the_false_alarms():
    z = least_significance(0.01, 5e3)

    assert false_alarms(z, 5e3) == pytest.approx(0.01)
    assert least_significance(0.0, 5e3) == np.inf
    assert least_significance(5.0, 0.0) == -np.inf
