from __future__ import annotations

import astropy.units as u
import healpy as hp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from gammapy.maps import Map

from bkgpipe.errors import InputError
from bkgpipe.stages.sky.data import Field
from bkgpipe.stages.sky.images import read_field, write_archive, write_cut, write_field
from bkgpipe.stages.sky.maps import make_field_maps
from bkgpipe.stages.sky.sums import add_up

SOURCE = (80.6, 20.4)


@pytest.fixture
def maps(make_run_sky):
    run = make_run_sky(sources=[(*SOURCE, 400)], excluded=[(79.0, 20.0, 0.4)])
    field = Field(number=2, name="F", ra=80.0, dec=20.0, radius=0.1, obs_ids=(1,))
    return make_field_maps(field, [run], pixel=0.1, offset_max=2.2, radii=(0.1, 0.25))


@pytest.fixture
def field_file(tmp_path, maps):
    path = tmp_path / "field_2.fits.gz"
    write_field(path, maps)
    return path


def test_gammapy_reads_the_maps_of_a_field(field_file, maps):
    counts = Map.read(field_file, hdu="COUNTS")
    background = Map.read(field_file, hdu="BACKGROUND")
    excess = Map.read(field_file, hdu="EXCESS")

    np.testing.assert_array_equal(counts.data, maps.counts)
    np.testing.assert_allclose(background.data, maps.background, rtol=1e-6)
    np.testing.assert_allclose(excess.data, counts.data - background.data, atol=1e-4)
    edges = counts.geom.axes["energy"].edges.to_value("TeV")
    np.testing.assert_allclose(edges, maps.band_edges)
    wide = Map.read(field_file, hdu="SIGNIFICANCE_0P25")
    np.testing.assert_allclose(wide.data, maps.significance[1], rtol=1e-6)
    is_kept = Map.read(field_file, hdu="MASK").data
    np.testing.assert_array_equal(is_kept > 0, maps.is_kept)


def test_the_source_is_at_its_place_in_gammapy_and_astropy(field_file):
    excess = Map.read(field_file, hdu="EXCESS").sum_over_axes(keepdims=False)
    best = np.unravel_index(np.argmax(excess.data), excess.data.shape)
    with fits.open(field_file) as hdus:
        places = [
            excess.geom.pix_to_coord(best[::-1]),
            WCS(hdus["MASK"].header).all_pix2world(*best[::-1], 0) * u.deg,
        ]

    for ra, dec in places:
        source = SkyCoord(*SOURCE, unit="deg")
        assert SkyCoord(ra, dec).separation(source) < 0.12 * u.deg


def test_a_part_of_the_maps(tmp_path, field_file):
    path = tmp_path / "cut.fits"

    write_cut(path, read_field(field_file), place=SOURCE, width=1.0)

    cut = Map.read(path, hdu="COUNTS")
    assert cut.data.shape == (2, 10, 10)
    assert cut.geom.center_skydir.separation(SkyCoord(*SOURCE, unit="deg")).deg < 0.1
    assert Map.read(path, hdu="SIGNIFICANCE_0P10").data.max() > 10


def test_a_place_outside_is_told(tmp_path, field_file):
    with pytest.raises(InputError, match=r"ra 10, dec 20 is outside.*Choose a place"):
        write_cut(
            tmp_path / "cut.fits", read_field(field_file), place=(10.0, 20.0), width=1
        )


def test_a_damaged_file_is_told(field_file):
    field_file.write_bytes(field_file.read_bytes()[:3000])

    with pytest.raises(InputError, match=r"images cannot be read.*bkgpipe sky"):
        read_field(field_file)


def test_healpy_reads_the_map_of_the_archive(tmp_path, make_run_sky):
    path = tmp_path / "archive.hpx.fits.gz"
    runs = [make_run_sky(1), make_run_sky(2, ra=120.0)]
    total = add_up(runs, runs[0].nside, runs[0].band_edges)

    write_archive(path, total)

    columns = range(4)
    values = hp.read_map(path, field=columns, nest=True, dtype=float)
    is_seen = values[0] > hp.UNSEEN
    np.testing.assert_array_equal(np.flatnonzero(is_seen), total.pixels)
    counts, background = (values[i : i + 2, is_seen] for i in (0, 2))
    np.testing.assert_array_equal(counts, total.counts)
    np.testing.assert_allclose(background, total.background, rtol=1e-6)
