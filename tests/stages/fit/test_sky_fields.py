from __future__ import annotations

import numpy as np

from bkgpipe.stages.fit.sky_fields import find_sky_fields, is_near, spread_blocks


def test_chains_of_near_pointings_are_one_field():
    ra = np.array([0.4, 359.6, 1.2, 10.0, 100.0])
    dec = np.array([0.0, 0.1, 0.0, 0.0, 80.0])
    fields = find_sky_fields(ra, dec)
    assert fields[0] == fields[1] == fields[2]
    assert np.unique(fields).size == 3


def test_near_is_a_degree_on_the_sphere():
    pointings = np.array([[100.0, 80.0], [10.0, 0.0]])
    assert is_near(pointings, (104.0, 80.0))
    assert not is_near(pointings, (14.0, 0.0))
    assert not is_near(np.zeros((0, 2)), (14.0, 0.0))
    assert not is_near(pointings, (np.nan, np.nan))


def test_blocks_stay_together_in_folds_of_like_size():
    block = np.repeat(np.arange(6), [9, 1, 5, 4, 4, 4])
    folds = spread_blocks(block, 3)
    assert all(np.unique(folds[block == number]).size == 1 for number in range(6))
    assert sorted(np.bincount(folds)) == [9, 9, 9]
