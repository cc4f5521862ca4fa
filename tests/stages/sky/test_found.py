from __future__ import annotations

import pytest

from bkgpipe.stages.sky.data import HotSpot, Reach
from bkgpipe.stages.sky.found import join_found


def _spot(ra=83.63331, *, radius=0.3, is_masked=False) -> HotSpot:
    return HotSpot(
        field=1,
        ra=ra,
        dec=22.01842,
        search_radius=0.1,
        significance=39.0,
        counts=415,
        background=25.2,
        radius=radius,
        is_masked=is_masked,
        false_alarms=1e-9,
    )


def _reach(name, radius, reach) -> Reach:
    return Reach(name=name, ra=83.6, dec=22.0, radius=radius, reach=reach)


def test_what_no_mask_covers_is_excluded_with_a_margin():
    (found,) = join_found((), spots=[_spot()], reaches=[], number=1)

    assert (found.name, found.found_in) == ("found 1", 1)
    assert (found.ra, found.dec) == (83.6333, 22.0184)
    assert found.radius == pytest.approx(0.4)
    assert (found.counts, found.significance) == (415, 39.0)


def test_what_is_under_a_mask_is_known():
    assert join_found((), spots=[_spot(is_masked=True)], reaches=[], number=1) == ()


def test_regions_grow_as_far_as_the_excess():
    first = join_found((), spots=[_spot(), _spot(90.0)], reaches=[], number=1)
    reaches = [_reach("found 1", 0.4, 0.6), _reach("found 2", 0.4, 0.4)]

    second = join_found(first, spots=[_spot(100.0)], reaches=reaches, number=2)

    assert [each.name for each in second] == ["found 1", "found 2", "found 3"]
    assert second[0].radius == pytest.approx(0.7)
    assert second[1] == first[1]
    assert [each.found_in for each in second] == [1, 1, 2]


def test_nothing_new_changes_nothing():
    known = join_found((), spots=[_spot()], reaches=[], number=1)
    still = [_reach("found 1", 0.4, 0.4), _reach("mine", 0.3, 0.9)]

    assert join_found(known, spots=[], reaches=still, number=2) == known
