from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.sky.data import Field
from bkgpipe.stages.sky.maps import field_wcs, make_field_maps, spread

FIELD = Field(number=1, name="F", ra=80.0, dec=20.0, radius=0.0, obs_ids=(1,))


@pytest.fixture
def make_maps(make_run_sky):
    def make(**changes):
        return make_field_maps(
            FIELD,
            [make_run_sky(**changes)],
            pixel=0.1,
            offset_max=2.2,
            radii=(0.1, 0.3),
        )

    return make


def test_events_and_background_are_conserved(make_run_sky, make_maps):
    run, maps = make_run_sky(), make_maps()

    for band in range(2):
        assert maps.counts[band].sum() == (run.event_bands == band).sum()
        predicted = run.background[band].sum(dtype=float)
        assert maps.background[band].sum() == pytest.approx(predicted, rel=3e-3)


def test_a_source_is_where_it_is(make_maps):
    maps = make_maps(sources=[(80.9, 19.4, 400)])

    wcs, _ = field_wcs(FIELD, pixel=0.1, offset_max=2.2)
    y, x = np.unravel_index(np.nanargmax(maps.significance[0]), maps.is_kept.shape)
    ra, dec = wcs.all_pix2world(x, y, 0)
    assert abs(ra - 80.9) < 0.1
    assert abs(dec - 19.4) < 0.1
    assert np.nanmax(maps.significance[0]) > 15


def test_nothing_is_significant_where_no_run_looked(make_maps):
    maps = make_maps()

    assert np.isnan(maps.significance[:, 0, 0]).all()
    assert np.isfinite(maps.significance[:, 22, 22]).all()


def test_background_outside_the_mask_has_its_width(make_maps):
    maps = make_maps(
        level=40.0, sources=[(80.5, 20.0, 500)], excluded=[(80.5, 20.0, 0.6)]
    )

    found = spread(maps, rng=np.random.default_rng(2))

    assert found.width == pytest.approx(found.chance.width, abs=0.08)
    assert found.mean == pytest.approx(found.chance.mean, abs=0.1)


def test_what_is_excluded_is_in_the_mask(make_maps):
    maps = make_maps(excluded=[(80.0, 20.0, 0.5)])

    assert not maps.is_kept[22, 22]
    assert maps.is_kept[22, 35]
    area = (~maps.is_kept).sum() * 0.1**2
    assert area == pytest.approx(np.pi * 0.25, rel=0.25)


def test_all_masked_has_no_spread(make_maps):
    maps = make_maps(excluded=[(80.0, 20.0, 5.0)])

    found = spread(maps, rng=np.random.default_rng(2))

    assert np.isnan([found.mean, found.width, found.chance.width]).all()
