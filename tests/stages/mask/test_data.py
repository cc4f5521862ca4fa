from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.stages.mask.data import ExclusionMask, ExclusionRegion, distinct_pixels


@pytest.fixture
def mask() -> ExclusionMask:
    return ExclusionMask(
        obs_id=7,
        nside=256,
        excluded_pixels=np.array([3, 8, 9]),
        region_names=("Crab", "disc"),
        region_origins=("gammacat", "luigi.cfg"),
        region_circles=np.zeros((2, 4)),
        region_capped=np.array([False, True]),
    )


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("region_circles", (4, 2)),
        ("region_circles", (3, 4)),
        ("region_capped", (3,)),
        ("region_capped", (2, 1)),
    ],
)
def test_each_region_has_a_circle_and_a_flag(mask, name, shape):
    with pytest.raises(
        BinningMismatchError, match=f"^{name}: shape is .*Make the prod"
    ):
        replace(mask, **{name: np.zeros(shape)})


def test_a_mask_without_regions(mask):
    empty = replace(
        mask,
        excluded_pixels=np.empty(0, dtype=np.int64),
        region_names=(),
        region_origins=(),
        region_circles=np.empty((0, 4)),
        region_capped=np.empty(0, dtype=bool),
    )

    assert empty.excluded_pixels.size == 0


def test_a_region_is_a_disc_unless_it_has_pixels():
    one = ExclusionRegion(name="a", origin="b", ra=1.0, dec=2.0, radius=0.3)
    other = ExclusionRegion(name="c", origin="d", ra=1.0, dec=2.0, radius=0.3)

    assert one.pixels.size == 0
    assert not one.is_capped
    assert one.pixels is not other.pixels


def test_distinct_pixels_are_sorted_and_each_once():
    found = distinct_pixels(np.array([7, 3, 7, 0, 3, 9]))
    assert found.tolist() == [0, 3, 7, 9]
    assert distinct_pixels(np.empty(0, dtype=np.int64)).size == 0
