from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.sky.data import Field, HotSpot, Reach
from bkgpipe.stages.sky.find import distinct, farthest, find_hot_spots, find_reaches
from bkgpipe.stages.sky.maps import make_field_maps

FIELD = Field(number=4, name="F", ra=80.0, dec=20.0, radius=0.0, obs_ids=(1,))


@pytest.fixture
def find(make_run_sky):
    def search(*, max_radius=1.5, **changes):
        maps = make_field_maps(
            FIELD,
            [make_run_sky(**changes)],
            pixel=0.1,
            offset_max=2.2,
            radii=(0.1, 0.3),
        )
        return find_hot_spots(
            maps, threshold=5.5, max_radius=max_radius, offset_max=2.2
        )

    return search


def test_sources_are_found_the_strongest_first(find):
    spots = find(sources=[(80.8, 19.4, 200), (79.2, 20.8, 500)])

    assert len(spots) == 2
    for spot, (ra, dec) in zip(spots, [(79.2, 20.8), (80.8, 19.4)], strict=True):
        assert np.hypot((spot.ra - ra) * np.cos(np.radians(dec)), spot.dec - dec) < 0.12
        assert spot.field == 4
        assert spot.counts > spot.background
        assert 0.1 <= spot.radius <= 0.6
    assert spots[0].significance > spots[1].significance > 5.5


def test_nothing_is_found_in_background(find):
    assert find() == ()


def test_what_is_under_the_mask_is_told(find):
    near, under = (80.8, 19.4, 300), (79.2, 20.8, 500)
    spots = find(sources=[near, under], excluded=[(*under[:2], 0.6)])

    assert [spot.is_masked for spot in spots] == [False, True]
    assert spots[0].dec == pytest.approx(19.4, abs=0.15)
    assert spots[1].dec == pytest.approx(20.8, abs=0.15)


def test_a_region_is_not_larger_than_asked_for(find):
    (spot,) = find(sources=[(80.0, 20.0, 5000)], max_radius=0.3)[:1]

    assert spot.radius <= 0.3 + 1e-9


def test_a_disc_is_told_how_far_the_excess_goes(make_run_sky):
    run = make_run_sky(sources=[(80.0, 20.0, 9000)], excluded=[(80.0, 20.0, 0.1)])
    maps = make_field_maps(FIELD, [run], pixel=0.1, offset_max=2.2, radii=(0.1, 0.3))
    circles = [
        Reach(name=name, ra=ra, dec=20.0, radius=0.1, reach=0.1)
        for name, ra in (("small", 80.0), ("quiet", 81.5), ("elsewhere", 120.0))
    ]

    found = find_reaches(maps, circles, max_radius=0.5, offset_max=2.2)

    assert [each.name for each in found] == ["small", "quiet"]
    assert 0.2 <= found[0].reach <= 0.5
    assert found[1].reach == 0.1


def test_of_several_fields_the_farthest_reach_counts():
    near, far = (
        Reach(name="A", ra=1.0, dec=2.0, radius=0.1, reach=reach)
        for reach in (0.2, 0.4)
    )

    assert farthest([near, far, near]) == [far]
    assert farthest([]) == []


def test_what_two_fields_found_is_one_place():
    values = {"radius": 0.4, "search_radius": 0.1, "counts": 9, "background": 1.0}
    spots = [
        HotSpot(field=1, ra=80.0, dec=20.0, significance=6.0, **values),
        HotSpot(field=2, ra=80.1, dec=20.1, significance=9.0, **values),
        HotSpot(field=2, ra=82.0, dec=20.0, significance=7.0, **values),
    ]

    assert [spot.significance for spot in distinct(spots)] == [9.0, 7.0]
    assert distinct([]) == []
