from __future__ import annotations

from dataclasses import replace

import healpy as hp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import unit_vectors
from bkgpipe.stages.mask import pixels as mask_module
from bkgpipe.stages.mask.data import ExclusionMask, ExclusionRegion
from bkgpipe.stages.mask.pixels import (
    is_kept,
    is_kept_vectors,
    make_exclusion_mask,
    size_regions,
)

NSIDE = 2048


def region(ra: float, dec: float, radius: float = 0.35, **more) -> ExclusionRegion:
    named = {"name": "source", "origin": "test"} | more
    return ExclusionRegion(ra=ra, dec=dec, radius=radius, **named)


def make_mask(run, *regions, nside=NSIDE, search_radius=2.5) -> ExclusionMask:
    return make_exclusion_mask(run, regions, nside=nside, search_radius=search_radius)


@pytest.mark.parametrize(
    ("extension", "radius", "is_capped"),
    [(0.0, 0.35, False), (0.1, 0.35, False), (0.2, 0.6, False), (0.9, 1.5, True)],
)
def test_size_regions_follows_the_extension(extension, radius, is_capped):
    found = size_regions(
        [region(1.0, 2.0, np.nan, extension=extension)],
        radius=0.35,
        extension_factor=3.0,
        max_radius=1.5,
    )[0]
    assert found.radius == pytest.approx(radius)
    assert found.is_capped is is_capped
    assert found.extension == extension


def test_size_regions_treats_an_unknown_extension_as_a_point():
    unknown = region(1.0, 2.0, np.nan, extension=np.nan)
    found = size_regions([unknown], radius=0.35, extension_factor=3.0, max_radius=1.5)
    assert found[0].radius == 0.35


def test_size_regions_leaves_given_radii_alone():
    given_radius = region(1.0, 2.0, 9.0)
    found = size_regions(
        [given_radius], radius=0.35, extension_factor=3.0, max_radius=1.5
    )
    assert found == (given_radius,)
    assert size_regions([], radius=1.0, extension_factor=3.0, max_radius=1.5) == ()


@pytest.mark.parametrize(
    ("ra", "dec"), [(83.6, 50.0), (0.05, 50.0), (359.9, -30.0), (10.0, 89.9)]
)
@pytest.mark.parametrize("radius", [0.5, 1.3])
def test_disc_excludes_its_solid_angle(ra, dec, radius, make_run):
    mask = make_mask(make_run(ra=ra, dec=dec), region(ra, dec, radius))
    excluded = mask.excluded_pixels.size * hp.nside2pixarea(NSIDE)
    disc = 4 * np.pi * np.sin(np.radians(radius) / 2) ** 2
    assert excluded == pytest.approx(disc, rel=0.01)


@pytest.mark.parametrize(("ra", "dec"), [(0.2, 50.0), (200.0, 89.5), (83.0, 0.0)])
def test_is_kept_is_the_distance_on_the_sphere(ra, dec, make_run):
    mask = make_mask(make_run(ra=ra, dec=dec), region(ra, dec, 0.8))
    centre = SkyCoord(ra, dec, unit="deg")
    rng = np.random.default_rng(4)
    coords = centre.directional_offset_by(
        rng.uniform(0, 360, 4000) * centre.ra.unit,
        rng.uniform(0, 2.0, 4000) * centre.ra.unit,
    )
    separation = centre.separation(coords).deg
    kept = is_kept(mask, coords.ra.deg, coords.dec.deg)
    # Within a pixel of the rim either answer is right
    assert kept[separation > 0.83].all()
    assert not kept[separation < 0.77].any()


def test_excluded_pixels_are_sorted_and_each_once(make_run):
    run = make_run()
    twice = make_mask(run, region(run.ra, run.dec), region(run.ra + 0.1, run.dec))
    pixels = twice.excluded_pixels
    assert pixels.dtype == np.int64
    assert (np.diff(pixels) > 0).all()
    single = make_mask(run, region(run.ra, run.dec)).excluded_pixels
    assert single.size < pixels.size < 2 * single.size
    assert np.isin(single, pixels).all()


def test_only_regions_that_touch_the_field_are_kept(make_run):
    run = make_run(ra=0.5, dec=50.0)
    just_in = region(run.ra, run.dec + 2.8, 0.35, name="in", origin="a", extension=0.1)
    just_out = region(run.ra, run.dec + 2.9, 0.35, name="out")
    # 4 deg of right ascension are 2.57 deg on the sphere here
    beside = region(356.5, run.dec, 0.35, name="beside", is_capped=True)
    mask = make_mask(run, just_in, just_out, beside)
    assert mask.region_names == ("in", "beside")
    assert mask.region_origins == ("a", "test")
    np.testing.assert_array_equal(mask.region_capped, [False, True])
    np.testing.assert_allclose(
        mask.region_circles, [(0.5, 52.8, 0.35, 0.1), (356.5, 50.0, 0.35, 0.0)]
    )
    assert mask.obs_id == run.obs_id
    assert mask.nside == NSIDE


def test_no_regions_keep_everything(make_run):
    mask = make_mask(make_run())
    assert mask.excluded_pixels.size == 0
    assert mask.region_circles.shape == (0, 4)
    assert is_kept(mask, np.array([1.0, 2.0]), np.array([3.0, 4.0])).all()


def test_region_of_the_antipode_is_out(make_run):
    run = make_run(ra=10.0, dec=20.0)
    assert make_mask(run, region(190.0, -20.0)).region_names == ()


def test_disc_smaller_than_a_pixel_excludes_its_pixel(make_run):
    run = make_run()
    mask = make_mask(run, region(run.ra, run.dec, 1e-4))
    assert mask.excluded_pixels.size == 1
    assert not is_kept(mask, np.array([run.ra]), np.array([run.dec]))[0]


def test_pixels_of_another_shape_are_cut_to_the_field(make_run):
    run = make_run()
    nside = 64
    everywhere = np.arange(hp.nside2npix(nside))
    sky = region(run.ra, run.dec, 180.0, pixels=everywhere)
    mask = make_mask(run, sky, nside=nside)
    assert 0 < mask.excluded_pixels.size < 100
    lon, lat = np.array([run.ra, run.ra + 180.0]), np.array([run.dec, -run.dec])
    np.testing.assert_array_equal(is_kept(mask, lon, lat), [False, True])


def test_pixels_and_discs_add_up(make_run):
    run = make_run()
    disc = make_mask(run, region(run.ra, run.dec)).excluded_pixels
    pixel = hp.vec2pix(
        NSIDE, *unit_vectors(np.array([run.ra]), np.array([run.dec + 1])).T
    )
    both = make_mask(
        run, region(run.ra, run.dec), region(run.ra, run.dec + 1, 0.1, pixels=pixel)
    )
    np.testing.assert_array_equal(both.excluded_pixels, np.union1d(disc, pixel))


def test_search_and_table_agree(make_run, monkeypatch):
    run = make_run(dec=0.0)
    mask = make_mask(run, region(run.ra, 0.4), region(run.ra + 0.7, -1.0))
    rng = np.random.default_rng(5)
    ra, dec = run.ra + rng.uniform(-2, 2, 5000), rng.uniform(-2, 2, 5000)
    by_table = is_kept(mask, ra, dec)
    monkeypatch.setattr(mask_module, "_MAX_TABLE_SIZE", 0)
    np.testing.assert_array_equal(is_kept(mask, ra, dec), by_table)
    assert 0 < np.count_nonzero(~by_table) < 5000


@given(
    excluded=st.sets(st.integers(0, 12 * 16**2 - 1), min_size=1, max_size=50),
    asked=st.lists(st.integers(0, 12 * 16**2 - 1), min_size=1, max_size=50),
)
def test_is_kept_is_membership(excluded, asked):
    mask = ExclusionMask(
        obs_id=1,
        nside=16,
        excluded_pixels=np.array(sorted(excluded)),
        region_names=(),
        region_origins=(),
        region_circles=np.empty((0, 4)),
        region_capped=np.empty(0, dtype=bool),
    )
    kept = is_kept_vectors(mask, np.column_stack(hp.pix2vec(16, asked)))
    assert kept.tolist() == [pixel not in excluded for pixel in asked]


def test_no_positions_give_no_answers(make_run):
    run = make_run()
    mask = make_mask(run, region(run.ra, run.dec))
    assert is_kept(mask, np.empty(0), np.empty(0)).shape == (0,)


@pytest.mark.parametrize("broken", ["ra", "dec", "radius"])
def test_region_without_place_or_radius_is_refused(broken, make_run):
    bad = replace(region(1.0, 2.0, name="X-1", origin="mine.fits"), **{broken: np.nan})
    with pytest.raises(InputError, match=r"region X-1 of mine.fits: .*leave it out"):
        make_mask(make_run(), region(1.0, 2.0), bad)


@pytest.mark.parametrize("pixel", [-1, 12 * NSIDE**2])
def test_pixels_of_another_nside_are_refused(pixel, make_run):
    run = make_run()
    bad = region(run.ra, run.dec, 1.0, pixels=np.array([pixel]))
    with pytest.raises(InputError, match=r"source of test: .*again with the nside"):
        make_mask(run, bad)


def test_run_without_pointing_is_refused(make_run):
    with pytest.raises(InputError, match=r"run 5: .*drop the run"):
        make_mask(make_run(5, ra=np.nan), region(1.0, 2.0))


def test_pixels_in_any_order(make_run):
    run = make_run(1)
    ordered = make_mask(run, region(run.ra, run.dec)).excluded_pixels
    mixed = region(run.ra, run.dec, 1.0, pixels=np.concatenate([ordered[::-1], [0]]))

    found = make_mask(run, mixed).excluded_pixels

    np.testing.assert_array_equal(found, ordered)
