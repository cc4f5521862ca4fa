from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.core.run import Events, Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.alignment import Alignment, align_run
from bkgpipe.geometry.frames import (
    fov_matrix,
    from_fov,
    lon_lat,
    unit_vectors,
    zenith_position_angle,
)

SECOND = 1.0 / 86400.0


def make_events(run: Run, time=(), gti=None) -> Events:
    time = np.asarray(time, dtype=float)
    return Events(
        obs_id=run.obs_id,
        ra=np.full(time.shape, run.ra),
        dec=np.full(time.shape, run.dec),
        energy=np.ones(time.shape),
        time=time,
        gti=np.array([[run.time_start, run.time_stop]] if gti is None else gti),
    )


def align(run: Run, events: Events, binning, fov_alignment="ALTAZ") -> Alignment:
    return align_run(run, events, binning, fov_alignment=fov_alignment)


def step_angles(run: Run, alignment: Alignment) -> np.ndarray:
    """Position angles of the zenith axis of each step."""
    zenith = alignment.step_matrices[:, 2, :] @ fov_matrix(run.ra, run.dec).T
    angle = np.degrees(np.arctan2(-zenith[:, 1], zenith[:, 2]))
    return np.unwrap(angle, period=360.0)


def test_radec_has_one_step(make_run, make_binning):
    run = make_run()
    alignment = align(run, make_events(run), make_binning(), "RADEC")
    assert alignment.event_angle is None
    np.testing.assert_array_equal(alignment.step_weights, [1.0])
    np.testing.assert_array_equal(
        alignment.step_matrices, [fov_matrix(run.ra, run.dec)]
    )


@pytest.mark.parametrize("fov_alignment", ["RADEC", "ALTAZ"])
def test_position_angle_is_that_of_mid_run(fov_alignment, make_run, make_binning):
    run = make_run()
    middle = np.array([(run.time_start + run.time_stop) / 2])
    alignment = align(run, make_events(run), make_binning(), fov_alignment)
    expected = zenith_position_angle(run, middle)[0]
    assert alignment.position_angle == pytest.approx(expected, abs=1e-6)


def test_radec_needs_no_place(make_run, make_binning):
    run = make_run(longitude=np.nan)
    alignment = align(run, make_events(run), make_binning(), "RADEC")
    assert np.isnan(alignment.position_angle)


def test_altaz_needs_a_place(make_run, make_binning):
    run = make_run(4, latitude=np.nan)
    with pytest.raises(InputError, match=r"run 4: .*or use RADEC alignment"):
        align(run, make_events(run), make_binning())


@pytest.mark.parametrize("fov_alignment", ["RADEC", "ALTAZ"])
def test_pointing_must_be_known(fov_alignment, make_run, make_binning):
    run = make_run(6, dec=np.nan)
    with pytest.raises(InputError, match=r"run 6: .*drop the run"):
        align(run, make_events(run), make_binning(), fov_alignment)


def test_altaz_has_the_angle_of_each_event(make_run, make_binning):
    run = make_run()
    time = run.time_start + np.array([900.0, 5.0, 1600.0]) * SECOND
    alignment = align(run, make_events(run, time), make_binning())
    expected = zenith_position_angle(run, time)
    np.testing.assert_allclose(alignment.event_angle, expected, atol=1e-6)


def test_steps_turn_the_field_to_the_sky(make_run, make_binning):
    run = make_run()
    alignment = align(run, make_events(run), make_binning())
    lon, lat = np.array([1.0, -0.4]), np.array([0.2, 2.0])
    for matrix, angle in zip(
        alignment.step_matrices, step_angles(run, alignment), strict=True
    ):
        ra, dec = lon_lat(unit_vectors(lon, lat) @ matrix)
        expected = from_fov(lon, lat, pointing=(run.ra, run.dec), position_angle=angle)
        np.testing.assert_allclose([ra % 360, dec], expected, atol=1e-9)


@pytest.mark.parametrize("n_lat", [8, 60])
def test_rim_moves_less_than_half_a_bin(n_lat, make_run, make_binning):
    run = make_run(time_stop=53343.92 + 0.1)
    binning = make_binning(fov_lat_edges=np.linspace(-2.5, 2.5, n_lat + 1))
    alignment = align(run, make_events(run), binning)
    moved = np.radians(np.abs(np.diff(step_angles(run, alignment)))) * 2.5
    assert moved.max() < 0.5 * 5.0 / n_lat
    assert alignment.step_weights.sum() == pytest.approx(1.0)


def test_finer_bins_take_more_steps(make_run, make_binning):
    run = make_run()
    n_steps = [
        align(
            run,
            make_events(run),
            make_binning(fov_lon_edges=np.linspace(-2.5, 2.5, n + 1)),
        ).step_weights.size
        for n in (6, 20, 100)
    ]
    assert n_steps[0] < n_steps[1] < n_steps[2] < 30


def test_a_run_too_short_to_turn_has_one_step(make_run, make_binning):
    run = make_run()
    gti = [[run.time_start, run.time_start + 0.4 * SECOND]]
    alignment = align(run, make_events(run, gti=gti), make_binning())
    np.testing.assert_allclose(alignment.step_weights, [1.0])


def test_steps_stay_inside_the_intervals(make_run, make_binning):
    run = make_run()
    start = run.time_start
    # Two intervals, three hours apart and of unequal length
    gti = [[start, start + 60 * SECOND], [start + 0.125, start + 0.125 + 180 * SECOND]]
    binning = make_binning(fov_lat_edges=np.linspace(-2.5, 2.5, 41))
    alignment = align(run, make_events(run, gti=gti), binning)
    first, *_, last = zenith_position_angle(run, np.array(gti).ravel())
    found = step_angles(run, alignment)
    early, late = (np.abs((found - q + 180) % 360 - 180) < 1.5 for q in (first, last))
    assert (early ^ late).all()
    assert alignment.step_weights[early].sum() == pytest.approx(0.25, abs=1e-6)


def test_steps_average_to_the_mean_angle(make_run, make_binning):
    run = make_run()
    alignment = align(run, make_events(run), make_binning())
    time = np.linspace(run.time_start, run.time_stop, 2001)
    mean = zenith_position_angle(run, time).mean()
    assert alignment.step_weights @ step_angles(run, alignment) == pytest.approx(
        mean, abs=0.01
    )


def test_a_run_through_the_zenith_is_followed(make_run, make_binning):
    # Declination of the zenith of the observatory: half a turn within minutes
    run = make_run(dec=-23.1, time_start=53343.98, time_stop=53344.02)
    alignment = align(run, make_events(run), make_binning())
    found = step_angles(run, alignment)
    assert np.ptp(found) > 120.0
    assert np.abs(np.diff(found)).max() < 2 * np.degrees(0.5 * 5.0 / 8 / 2.5)


def test_an_interval_of_no_length_counts_for_nothing(make_run, make_binning):
    run = make_run()
    gti = [[run.time_start, run.time_stop], [run.time_stop, run.time_stop]]
    with_empty = align(run, make_events(run, gti=gti), make_binning())
    without = align(run, make_events(run), make_binning())
    np.testing.assert_allclose(with_empty.step_weights, without.step_weights)
