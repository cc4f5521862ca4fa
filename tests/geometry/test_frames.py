from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from gammapy.utils.coordinates import FoVAltAzFrame, FoVICRSFrame

from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import (
    fov_matrix,
    from_fov,
    galactic_latitude,
    lon_lat,
    offset_angle,
    pointing_of,
    swap_alignment,
    to_fov,
    unit_vectors,
    zenith_angle,
    zenith_position_angle,
)

POINTINGS = [(83.6, 22.0), (228.3, -59.2), (0.3, 50.0), (359.9, -30.2), (120.0, 88.5)]
TIMES = 53343.92 + np.array([0.0, 0.013, 0.31, 0.74])
TOLERANCE = 1e-3


@pytest.fixture
def field() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.uniform(-3.0, 3.0, 40), rng.uniform(-3.0, 3.0, 40)


def degrees_apart(lon: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs((lon - other + 180.0) % 360.0 - 180.0)


def gammapy_fov(frame, ra, dec):
    with iers.conf.set_temp("auto_download", False):
        coord = SkyCoord(ra, dec, unit="deg").transform_to(frame)
    return coord.fov_lon.wrap_at("180d").deg, coord.fov_lat.deg


@pytest.mark.parametrize(
    ("lon", "lat", "vector"),
    [(0, 0, (1, 0, 0)), (90, 0, (0, 1, 0)), (-180, 0, (-1, 0, 0)), (7, 90, (0, 0, 1))],
)
def test_unit_vectors_axes(lon, lat, vector):
    found = unit_vectors(np.array([lon]), np.array([lat]))
    np.testing.assert_allclose(found, [vector], atol=1e-15)


def test_lon_lat_is_the_inverse_of_unit_vectors():
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(-180, 180, 30), rng.uniform(-90, 90, 30)
    found_lon, found_lat = lon_lat(7.0 * unit_vectors(lon, lat))
    np.testing.assert_allclose(found_lon, lon, atol=1e-10)
    np.testing.assert_allclose(found_lat, lat, atol=1e-10)


def test_no_directions_give_no_coordinates():
    nothing = np.empty(0)
    assert unit_vectors(nothing, nothing).shape == (0, 3)
    lon, lat = to_fov(nothing, nothing, pointing=(1.0, 2.0))
    assert lon.size == lat.size == 0


def test_galactic_latitude_is_that_of_astropy():
    ra, dec = np.array([0.0, 83.63, 266.4, 10.0]), np.array([90.0, 22.0, -29.0, -60.0])
    expected = SkyCoord(ra, dec, unit="deg").galactic.b.deg

    np.testing.assert_allclose(galactic_latitude(ra, dec), expected, atol=1e-4)


@pytest.mark.parametrize("separation", [1e-9, 1e-3, 2.5, 89.0])
def test_offset_angle_keeps_its_digits(separation):
    vectors = unit_vectors(np.array([0.0, separation]), np.array([separation, 0.0]))
    np.testing.assert_allclose(offset_angle(vectors), separation, rtol=1e-9)


@pytest.mark.parametrize("pointing", POINTINGS)
def test_fov_matrix_is_a_rotation_up_to_the_mirror(pointing):
    matrix = fov_matrix(*pointing)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-15)
    # Longitude grows to the west, so the frame is left-handed like gammapy's
    assert np.linalg.det(matrix) == pytest.approx(-1.0)


def test_radec_longitude_grows_with_decreasing_right_ascension():
    lon, lat = to_fov(np.array([9.0, 10.0]), np.array([0.0, 1.0]), pointing=(10.0, 0.0))
    np.testing.assert_allclose(lon, [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(lat, [0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("pointing", POINTINGS)
def test_radec_agrees_with_gammapy(pointing, field):
    ra, dec = from_fov(*field, pointing=pointing)
    origin = SkyCoord(*pointing, unit="deg")
    lon, lat = gammapy_fov(FoVICRSFrame(origin=origin), ra, dec)
    found_lon, found_lat = to_fov(ra, dec, pointing=pointing)
    np.testing.assert_allclose(found_lon, lon, atol=1e-9)
    np.testing.assert_allclose(found_lat, lat, atol=1e-9)
    np.testing.assert_allclose(found_lon, field[0], atol=1e-9)


@pytest.mark.parametrize("pointing", POINTINGS)
@pytest.mark.parametrize("time", TIMES)
def test_altaz_agrees_with_gammapy(pointing, time, field, make_run):
    run = make_run(ra=pointing[0], dec=pointing[1])
    ra, dec = from_fov(*field, pointing=pointing)
    place = EarthLocation.from_geodetic(run.longitude, run.latitude, run.altitude)
    obstime = Time(time, format="mjd", scale="tt")
    with iers.conf.set_temp("auto_download", False):
        origin = SkyCoord(*pointing, unit="deg").transform_to(
            AltAz(obstime=obstime, location=place)
        )
    frame = FoVAltAzFrame(origin=origin, location=place, obstime=obstime)
    lon, lat = gammapy_fov(frame, ra, dec)
    angle = zenith_position_angle(run, np.array([time]))
    found_lon, found_lat = to_fov(ra, dec, pointing=pointing, position_angle=angle)
    assert degrees_apart(found_lon, lon).max() < TOLERANCE
    assert np.abs(found_lat - lat).max() < TOLERANCE


def test_altaz_uses_one_angle_for_each_event():
    ra, dec = from_fov(np.zeros(3), np.ones(3), pointing=(10.0, 20.0))
    angle = np.array([0.0, 90.0, 180.0])
    lon, lat = to_fov(ra, dec, pointing=(10.0, 20.0), position_angle=angle)
    # The zenith is north, then east, then south; the event is 1 deg north
    np.testing.assert_allclose(lat, [1.0, 0.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(lon, [0.0, -1.0, 0.0], atol=1e-12)


@pytest.mark.parametrize("angle", [None, 0.0, -153.0, 71.5])
def test_from_fov_is_the_inverse(angle, field):
    pointing = (0.3, 50.0)
    ra, dec = from_fov(*field, pointing=pointing, position_angle=angle)
    assert ((ra >= 0) & (ra < 360)).all()
    lon, lat = to_fov(ra, dec, pointing=pointing, position_angle=angle)
    np.testing.assert_allclose(lon, field[0], atol=1e-10)
    np.testing.assert_allclose(lat, field[1], atol=1e-10)


def test_swap_alignment_undoes_itself(field):
    vectors = unit_vectors(*field)
    swapped = swap_alignment(vectors, 33.0)
    assert not np.allclose(swapped, vectors, atol=1e-3)
    np.testing.assert_allclose(swap_alignment(swapped, 33.0), vectors, atol=1e-15)
    np.testing.assert_allclose(offset_angle(swapped), offset_angle(vectors))


def test_position_angle_is_that_of_astropy(make_run):
    run = make_run()
    place = EarthLocation.from_geodetic(run.longitude, run.latitude, run.altitude)
    with iers.conf.set_temp("auto_download", False):
        obstime = Time(TIMES, format="mjd", scale="tt")
        up = SkyCoord(
            AltAz(
                alt=[90] * TIMES.size * u.deg,
                az=[0] * TIMES.size * u.deg,
                obstime=obstime,
                location=place,
            )
        ).icrs
    expected = SkyCoord(run.ra, run.dec, unit="deg").position_angle(up).deg
    found = zenith_position_angle(run, TIMES)
    assert degrees_apart(found, expected).max() < 1e-4


def test_position_angle_does_not_jump(make_run):
    # At culmination in the north the zenith is due south of the pointing
    time = np.linspace(53343.92, 53344.1, 1001)
    angle = zenith_position_angle(make_run(), time)
    assert np.abs(np.diff(angle)).max() < 0.1
    assert angle.min() < -180.0 < angle.max()


def test_position_angle_does_not_depend_on_the_order_of_times(make_run):
    run = make_run()
    time = np.linspace(run.time_start, run.time_stop, 50)
    order = np.random.default_rng(3).permutation(time.size)
    angle = zenith_position_angle(run, time)
    np.testing.assert_array_equal(zenith_position_angle(run, time[order]), angle[order])


def test_position_angle_without_network_far_in_the_future(make_run):
    angle = zenith_position_angle(make_run(), np.array([68000.0]))
    assert np.isfinite(angle).all()


def test_position_angle_of_no_times(make_run):
    assert zenith_position_angle(make_run(), np.empty(0)).size == 0


def test_position_angle_needs_no_altitude(make_run):
    time = np.array([53343.93])
    low, unknown = make_run(altitude=0.0), make_run(altitude=np.nan)
    assert zenith_position_angle(low, time) == zenith_position_angle(unknown, time)


@pytest.mark.parametrize("missing", ["longitude", "latitude"])
def test_position_angle_needs_a_place(missing, make_run):
    run = make_run(7, **{missing: np.nan})
    with pytest.raises(InputError, match=r"run 7: .*Add GEOLON and GEOLAT"):
        zenith_position_angle(run, TIMES)


def test_pointing_of(make_run):
    run = make_run()
    assert pointing_of(run) == (run.ra, run.dec)


@pytest.mark.parametrize("missing", ["ra", "dec"])
def test_pointing_must_be_known(missing, make_run):
    with pytest.raises(InputError, match=r"run 8: .*Add RA_PNT and DEC_PNT"):
        pointing_of(make_run(8, **{missing: np.nan}))


def test_the_zenith_angle_is_that_of_astropy(make_run) -> None:
    run = make_run()
    time = np.linspace(run.time_start, run.time_stop, 4)
    place = EarthLocation.from_geodetic(run.longitude, run.latitude, run.altitude)
    with iers.conf.set_temp("auto_download", False):
        frame = AltAz(obstime=Time(time, format="mjd", scale="tt"), location=place)
        pointing = SkyCoord(run.ra, run.dec, unit="deg").transform_to(frame)
    np.testing.assert_allclose(zenith_angle(run, time), pointing.zen.deg, atol=1e-3)
