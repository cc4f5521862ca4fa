from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.sky.data import Field, HotSpot
from bkgpipe.stages.sky.maps import make_field_maps
from bkgpipe.stages.sky.summary import judge_hot_spots, nearest_region, summarise


def _summarise(runs):
    field = Field(
        number=3, name="F", ra=80.0, dec=20.0, radius=0.0, obs_ids=(runs[0].obs_id,)
    )
    maps = make_field_maps(field, runs, pixel=0.1, offset_max=2.2, radii=(0.1, 0.3))
    return summarise(maps, runs, offset_max=2.2, file="field_3.fits.gz")


def test_a_field_in_numbers(make_run_sky):
    runs = [make_run_sky(1, sources=[(80.5, 20.2, 300)]), make_run_sky(2)]

    found = _summarise(runs)

    assert (found.number, found.n_runs, found.hours) == (3, 2, 1.0)
    assert found.counts == sum(run.event_pixels.size for run in runs)
    predicted = sum(run.background.sum(dtype=float) for run in runs)
    assert found.background == pytest.approx(predicted)
    assert found.peak > 10
    assert abs(found.peak_ra - 80.5) < 0.12
    assert found == _summarise(runs)  # chance is the same


@pytest.fixture
def spot():
    return HotSpot(
        field=1,
        ra=10.0,
        dec=-30.0,
        radius=0.3,
        search_radius=0.1,
        significance=5.0,
        counts=30,
        background=8.0,
    )


def test_a_spot_is_named_after_the_nearest_region(spot):
    regions = [
        ExclusionRegion(name=name, origin="x", ra=ra, dec=-30.0, radius=0.3)
        for name, ra in (("far", 20.0), ("near", 10.1))
    ]

    (named,) = judge_hot_spots([spot], regions, trials=3e4)

    assert named.source == "near"
    assert named.separation == pytest.approx(0.1 * np.cos(np.radians(30)), rel=1e-3)
    assert named.false_alarms == pytest.approx(3e4 * 2.8665e-7, rel=1e-3)
    (unnamed,) = judge_hot_spots([spot], [], trials=3e4)
    assert unnamed.source == ""


def test_without_regions_there_is_no_nearest():
    name, separation = nearest_region(10.0, 20.0, ())

    assert name == ""
    assert np.isnan(separation)
