from __future__ import annotations

import healpy as hp
import numpy as np
import pytest

from bkgpipe.core.run import Events
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import from_fov, to_fov, zenith_position_angle
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask
from bkgpipe.stages.sky.data import FINE_BITS
from bkgpipe.stages.sky.model import WrittenModel
from bkgpipe.stages.sky.predict import make_run_sky

NSIDE = 512
EDGES = np.array([0.3, 1.0, 10.0])
LOW, HIGH = 0.5, 8.0


@pytest.fixture
def make(make_run, make_binning):
    def sky(*, alignment="RADEC", lon=(), lat=(), energy=1.5, disc=None, **changes):
        run = make_run(**changes.pop("run", {}))
        binning = make_binning()
        regions = [
            ExclusionRegion(name="S", origin="x", ra=ra, dec=dec, radius=radius)
            for ra, dec, radius in ([disc] if disc else [])
        ]
        mask = make_exclusion_mask(run, regions, nside=1024, search_radius=4.0)
        return make_run_sky(
            run,
            _events(run, lon, lat, energy, alignment=alignment),
            mask,
            _model(alignment),
            binning=binning,
            nside=NSIDE,
            bands=(EDGES, (LOW, HIGH)),
            has_norm=changes.get("has_norm", False),
        )

    return sky


def _events(run, lon, lat, energy, *, alignment) -> Events:
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    time = np.linspace(run.time_start, run.time_stop, lon.size)
    angle = zenith_position_angle(run, time) if alignment == "ALTAZ" else None
    ra, dec = from_fov(lon, lat, pointing=(run.ra, run.dec), position_angle=angle)
    return Events(
        obs_id=run.obs_id,
        ra=ra,
        dec=dec,
        energy=np.broadcast_to(np.asarray(energy, float), lon.shape).copy(),
        time=time,
        gti=np.array([[run.time_start, run.time_stop]]),
    )


def _model(alignment: str) -> WrittenModel:
    """E**-2, and three times as much on one side of the field as on the other."""
    energy = np.geomspace(0.1, 50.0, 9)
    lon, lat = np.linspace(-2.4, 2.4, 7), np.linspace(-2.4, 2.4, 8)
    place = np.exp(np.log(3.0) / 4.8 * lon)[:, np.newaxis] * np.ones(lat.size)
    return WrittenModel(
        fov_alignment=alignment,
        energy_range=(LOW, HIGH),
        energy=energy,
        places=(lon, lat),
        rate=energy[:, np.newaxis, np.newaxis] ** -2.0 * place,
    )


def test_background_is_rate_times_time_and_solid_angle(make, make_run):
    found = make()

    run = make_run()
    offset = np.degrees(
        np.arccos(
            np.column_stack(hp.pix2vec(NSIDE, found.pixels, nest=True))
            @ hp.ang2vec(run.ra, run.dec, lonlat=True)
        )
    )
    centre = np.argmin(offset)
    seconds = (run.time_stop - run.time_start) * 86400.0
    expected = np.array([1 / 0.5 - 1 / 1.0, 1 / 1.0 - 1 / 8.0])
    expected *= seconds * hp.nside2pixarea(NSIDE)
    np.testing.assert_allclose(found.background[:, centre], expected, rtol=0.03)
    assert offset.max() <= 2.5
    assert found.ontime == pytest.approx(seconds)


def test_more_is_predicted_where_more_is(make, make_run):
    found, run = make(), make_run()
    lon, _ = hp.pix2ang(NSIDE, found.pixels, nest=True, lonlat=True)

    # longitude in the field of view grows to the west
    is_west = lon < run.ra
    share = found.background[0, is_west].sum() / found.background[0].sum()
    assert 0.55 < share < 0.7


def test_altaz_models_follow_the_zenith(make, make_run):
    found, run = make(alignment="ALTAZ"), make_run()
    middle = np.array([(run.time_start + run.time_stop) / 2])
    ra, dec = hp.pix2ang(NSIDE, found.pixels, nest=True, lonlat=True)

    lon, lat = to_fov(
        ra,
        dec,
        pointing=(run.ra, run.dec),
        position_angle=zenith_position_angle(run, middle),
    )

    slopes = np.linalg.lstsq(
        np.column_stack([lon, lat, np.ones(lon.size)]),
        np.log(found.background[1]),
        rcond=None,
    )[0]
    # the turn during the run takes a little of it
    assert slopes[0] == pytest.approx(np.log(3.0) / 4.8, rel=0.02)
    assert slopes[1] == pytest.approx(0.0, abs=0.01)
    total = make().background.sum()
    assert found.background.sum() == pytest.approx(total, rel=0.01)


def test_each_event_is_in_its_pixel_and_band_or_out(make, make_run):
    lon, lat = [0.0, 1.0, 0.0, 3.0, 0.5, 0.5], [0.0, 0.0, -2.0, 0.0, 0.5, 0.5]
    found = make(lon=lon, lat=lat, energy=[0.7, 1.5, 7.9, 2.0, 0.4, 8.5])

    # one beyond the field, one below and one above the energies of the run
    np.testing.assert_array_equal(np.sort(found.event_bands), [0, 1, 1])
    assert np.isin(found.event_pixels >> FINE_BITS, found.pixels).all()
    fine = NSIDE * 2 ** (FINE_BITS // 2)
    ra, dec = hp.pix2ang(fine, found.event_pixels, nest=True, lonlat=True)
    run = make_run()
    at = np.argmin(np.hypot(ra - run.ra, dec - run.dec))
    assert np.hypot(ra - run.ra, dec - run.dec)[at] < 0.02


def test_the_norm_is_that_of_events_outside_the_mask(make, make_run):
    run = make_run()
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(-1.5, 1.5, (2, 900))
    source = np.zeros(4000)
    lon, lat = np.append(lon, source), np.append(lat, source)
    disc = (run.ra, run.dec, 0.4)

    raw = make(lon=lon, lat=lat, disc=disc)
    scaled = make(lon=lon, lat=lat, disc=disc, has_norm=True)

    kept = raw.pixels[raw.is_kept]
    n_kept = np.isin(raw.event_pixels >> FINE_BITS, kept).sum()
    assert 700 < n_kept < 900
    assert raw.norm == 1.0
    assert np.isnan(raw.norm_error)
    assert scaled.background[:, scaled.is_kept].sum() == pytest.approx(n_kept, rel=1e-5)
    assert scaled.norm_error / scaled.norm == pytest.approx(n_kept**-0.5)


def test_a_masked_field_is_not_scaled(make, make_run):
    run = make_run()
    found = make(lon=[0.1], lat=[0.2], disc=(run.ra, run.dec, 9.0), has_norm=True)

    assert found.norm == 1.0
    assert np.isnan(found.norm_error)
    assert not found.is_kept.any()


def test_an_empty_run_is_empty(make):
    found = make(has_norm=True)

    assert found.event_pixels.size == 0
    assert found.norm == 1.0
    assert found.background.sum() > 0


def test_without_a_pointing_there_is_no_sky(make):
    with pytest.raises(InputError, match="pointing is not known"):
        make(run={"ra": float("nan")})
