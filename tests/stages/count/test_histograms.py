from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import healpy as hp
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Events, Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import from_fov, to_fov, zenith_position_angle
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.mask.data import ExclusionMask, ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask

ALIGNMENTS = ["RADEC", "ALTAZ"]


def make_events(run: Run, lon, lat, energy=1.0, *, alignment="RADEC", time=None):
    """Events at positions in the field of view, evenly over the run."""
    lon, lat = np.atleast_1d(lon).astype(float), np.atleast_1d(lat).astype(float)
    if time is None:
        time = np.linspace(run.time_start, run.time_stop, lon.size)
    angle = zenith_position_angle(run, time) if alignment == "ALTAZ" else None
    ra, dec = from_fov(lon, lat, pointing=(run.ra, run.dec), position_angle=angle)
    return Events(
        obs_id=run.obs_id,
        ra=ra,
        dec=dec,
        energy=np.full(lon.shape, energy),
        time=time,
        gti=np.array([[run.time_start, run.time_stop]]),
    )


def random_events(run: Run, n_events: int, *, radius=5.0, alignment="RADEC") -> Events:
    """Events spread evenly over a disc, with a steep spectrum."""
    rng = np.random.default_rng(n_events)
    offset = radius * np.sqrt(rng.random(n_events))
    turn = rng.uniform(0, 2 * np.pi, n_events)
    lon, lat = offset * np.cos(turn), offset * np.sin(turn)
    events = make_events(run, lon, lat, alignment=alignment)
    return replace(events, energy=0.05 * (1 + rng.pareto(1.0, n_events)))


def make_mask(run: Run, *circles, nside=2048) -> ExclusionMask:
    """Mask of discs, each (fov_lon, fov_lat, radius) in RADEC."""
    regions = []
    for lon, lat, radius in circles:
        place = np.array([lon]), np.array([lat])
        (ra,), (dec,) = from_fov(*place, pointing=(run.ra, run.dec))
        regions.append(
            ExclusionRegion(name="x", origin="test", ra=ra, dec=dec, radius=radius)
        )
    return make_exclusion_mask(run, regions, nside=nside, search_radius=4.0)


def count(run, events, mask, *, binning, alignment="RADEC", safe=0.0) -> RunCounts:
    return count_run(
        run,
        events,
        mask,
        binning=binning,
        fov_alignment=alignment,
        safe_energy=(safe, "table"),
        control_offset=4.0,
        checksum="abc",
    )


def ring_solid_angle(inner: float, outer: float) -> float:
    return float(2 * np.pi * -np.diff(np.cos(np.radians([inner, outer])))[0])


def test_an_event_is_counted_in_its_bin(make_run, make_binning):
    run, binning = make_run(), make_binning()
    found = count(run, make_events(run, -2.4, 0.3), make_mask(run), binning=binning)
    # 1 TeV in bin 1 of 4, longitude bin 0 of 6, latitude 4 of 8, annulus 4 of 5
    assert np.argwhere(found.counts_3d).tolist() == [[1, 0, 4]]
    assert np.argwhere(found.counts_2d).tolist() == [[1, 4]]
    assert np.issubdtype(found.counts_3d.dtype, np.integer)


def test_what_is_handed_through(make_run, make_binning):
    run, binning = make_run(12), make_binning()
    found = count(
        run, make_events(run, 0, 0), make_mask(run), binning=binning, safe=0.5
    )
    assert found.run is run
    assert found.binning is binning
    assert found.obs_id == 12
    assert (found.safe_energy_min, found.safe_energy_origin) == (0.5, "table")
    assert found.checksum == "abc"


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("circles", [(), ((0.5, 0.3, 0.8), (-2.0, 1.0, 1.2))])
def test_every_event_is_somewhere(alignment, circles, make_run, make_binning):
    run, binning = make_run(), make_binning()
    events = random_events(run, 5000)
    events.ra[7], events.dec[8], events.time[9] = np.nan, np.inf, np.nan
    events.energy[10:13] = 0.0, -1.0, np.nan
    events.time[11:20] = run.time_stop + 3.0 / 86400.0
    mask = make_mask(run, *circles)
    found = count(run, events, mask, binning=binning, alignment=alignment, safe=0.3)
    where = found.conservation
    assert where.n_read == 5000
    assert where.n_invalid == 6
    assert where.n_outside_time == 7
    assert where.n_lost == 0
    assert found.counts_3d.sum() == found.counts_2d.sum() == where.n_counted
    assert found.safe_counts_3d.sum() == found.safe_counts_2d.sum() == where.n_kept
    assert where.n_kept > 0
    assert where.n_below_safe == found.control.counts_low > 0
    np.testing.assert_array_equal(
        found.counts_3d.sum(axis=(1, 2)), found.counts_2d.sum(axis=1)
    )
    assert bool(where.n_excluded) == bool(circles)


@pytest.mark.parametrize(
    ("lon", "energy", "counter"),
    [
        (2.6, 1.0, "n_outside_field"),
        (60.0, 1.0, "n_outside_field"),
        (2.6, 500.0, "n_outside_field"),
        (2.5, 0.2, "n_outside_field"),
        (2.4, 500.0, "n_outside_energy"),
        (0.0, 100.0, "n_outside_energy"),
        (0.0, 0.09, "n_outside_energy"),
        (1.0, 0.2, "n_below_safe"),
        (0.0, 0.2, "n_excluded"),
        (0.0, 1.0, "n_excluded"),
        (1.0, 1.0, "n_kept"),
        (-2.4999, 99.0, "n_kept"),
    ],
)
def test_the_first_counter_that_fits(lon, energy, counter, *, make_run, make_binning):
    run = make_run()
    events = make_events(run, lon, 0.0, energy)
    mask = make_mask(run, (0.0, 0.0, 0.4))
    found = count(run, events, mask, binning=make_binning(), safe=0.5)
    assert getattr(found.conservation, counter) == 1
    assert found.conservation.n_lost == 0


def test_the_mask_takes_as_much_below_the_safe_energy(make_run, make_binning):
    run, binning = make_run(), make_binning()
    events = random_events(run, 5000)
    mask = make_mask(run, (0.5, 0.3, 0.8))
    safe, other = (
        count(run, events, mask, binning=binning, safe=safe) for safe in (0.0, 1.0)
    )
    np.testing.assert_array_equal(other.counts_3d, safe.counts_3d)
    np.testing.assert_array_equal(other.counts_2d, safe.counts_2d)
    np.testing.assert_array_equal(other.exposure_3d, safe.exposure_3d)
    np.testing.assert_array_equal(other.exposure_2d, safe.exposure_2d)
    assert other.conservation.n_excluded == safe.conservation.n_excluded > 0
    assert other.conservation.n_counted == safe.conservation.n_kept
    assert 0 < other.conservation.n_kept < safe.conservation.n_kept


def test_a_partly_safe_energy_bin_is_counted_and_not_safe(make_run, make_binning):
    run, binning = make_run(), make_binning()
    events = make_events(run, np.zeros(3), np.zeros(3), np.array([0.3, 0.9, 9.0]))
    found = count(run, events, make_mask(run), binning=binning, safe=0.2)
    np.testing.assert_array_equal(found.is_safe, [False, True, True, True])
    np.testing.assert_array_equal(found.counts_2d.sum(axis=1), [1, 1, 1, 0])
    np.testing.assert_array_equal(found.safe_counts_2d.sum(axis=1), [0, 1, 1, 0])
    np.testing.assert_array_equal(found.exposure_3d[0], found.exposure_3d[1])
    assert not found.safe_exposure_3d[0].any()
    assert found.safe_exposure_3d[1].any()
    assert found.conservation.n_below_safe == 1
    assert found.conservation.n_kept == 2


def test_an_edge_at_the_safe_energy_is_safe(make_run, make_binning):
    run, binning = make_run(), make_binning()
    safe = float(binning.energy_edges[2]) * (1 + 1e-12)
    found = count(
        run, make_events(run, 0, 0), make_mask(run), binning=binning, safe=safe
    )
    np.testing.assert_array_equal(found.is_safe, [False, False, True, True])


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_exposure_without_a_mask_is_that_of_the_field(
    alignment, make_run, make_binning
):
    run, binning = make_run(), make_binning()
    events = make_events(run, 0, 0)
    found = count(run, events, make_mask(run), binning=binning, alignment=alignment)
    assert found.ontime == pytest.approx(1680.0, abs=1e-3)
    assert found.livetime == pytest.approx(0.9 * 1680.0, abs=1e-3)
    np.testing.assert_allclose(found.solid_angle_2d, binning.solid_angle_2d)
    inner = (slice(2, 4), slice(2, 6))
    np.testing.assert_allclose(
        found.solid_angle_3d[inner], binning.solid_angle_3d[inner], rtol=1e-9
    )
    disc = ring_solid_angle(0, 2.5)
    assert found.exposure_3d[1].sum() == pytest.approx(disc * 1512, rel=1e-4)
    assert found.kept_fraction == pytest.approx(1.0)
    assert found.solid_angle_3d[0, 0] < 0.2 * binning.solid_angle_3d[0, 0]


@pytest.mark.parametrize("dec", [0.0, 22.5, 50.0, 89.0, -75.0])
@pytest.mark.parametrize("ra", [0.1, 200.0])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_a_disc_takes_its_solid_angle(ra, dec, alignment, *, make_run, make_binning):
    run = make_run(ra=ra, dec=dec)
    mask = make_mask(run, (0.9, -0.7, 1.0))
    events = make_events(run, 0, 0)
    found = count(run, events, mask, binning=make_binning(), alignment=alignment)
    lost = (1 - found.kept_fraction) * ring_solid_angle(0, 2.5)
    assert lost == pytest.approx(ring_solid_angle(0, 1.0), rel=0.01)
    lost_3d = ring_solid_angle(0, 2.5) - found.solid_angle_3d.sum()
    assert lost_3d == pytest.approx(lost, rel=0.01)


@pytest.mark.parametrize(("ra", "dec"), [(200.0, 50.0), (0.05, 50.0), (359.9, -0.1)])
@pytest.mark.parametrize(("radius", "step"), [(0.35, 0.75), (0.7, 1.5), (1.5, 9.0)])
@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_discs_of_the_sizes_of_sources(
    ra, dec, radius, *, step, alignment, make_run, make_binning
):
    # At declination 50 a flat distance in RA and Dec would be 36 % off; the other two
    # fields reach over RA = 0. Pixels of 0.03 deg do not measure a single small disc
    # to 1 %, so there are several of these
    run = make_run(ra=ra, dec=dec)
    grid = 0.1 + step * np.arange(-2, 3)
    circles = [
        (lon, lat, radius)
        for lon, lat in product(grid, grid)
        if np.hypot(lon, lat) + radius < 2.45
    ]
    mask = make_mask(run, *circles)
    events = make_events(run, 0, 0)
    found = count(run, events, mask, binning=make_binning(), alignment=alignment)
    whole = ring_solid_angle(0, 2.5)
    discs = len(circles) * ring_solid_angle(0, radius)
    assert whole - found.solid_angle_2d.sum() == pytest.approx(discs, rel=0.01)
    assert whole - found.solid_angle_3d.sum() == pytest.approx(discs, rel=0.01)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_events_follow_the_kept_solid_angle(alignment, make_run, make_binning):
    # Even events: what the mask takes of them is what it takes of the solid angle
    run = make_run(time_stop=53343.92 + 0.08)
    binning = make_binning()
    mask = make_mask(run, (0.9, -0.7, 1.0), (-1.6, 1.4, 0.7))
    events = replace(random_events(run, 200_000, radius=2.5), energy=np.ones(200_000))
    found = count(run, events, mask, binning=binning, alignment=alignment)
    whole = count(run, events, make_mask(run), binning=binning, alignment=alignment)
    for counts, every, kept, field in (
        (found.counts_2d, whole.counts_2d, found.solid_angle_2d, whole.solid_angle_2d),
        (found.counts_3d, whole.counts_3d, found.solid_angle_3d, whole.solid_angle_3d),
    ):
        # Corners have no part in the field
        share = np.divide(kept, field, out=np.zeros(kept.shape), where=field > 0)
        expected = share * every[1]
        pull = (counts[1] - expected) / np.sqrt(np.maximum(expected, 10.0))
        assert np.abs(pull).max() < 4.0
        assert counts.sum() == pytest.approx(expected.sum(), rel=0.004)
    # A fully masked bin has neither exposure nor events
    assert not found.counts_3d[1][found.solid_angle_3d == 0].any()


def test_alignments_put_the_mask_elsewhere(make_run, make_binning):
    run, binning = make_run(), make_binning()
    mask = make_mask(run, (0.0, 1.8, 0.5))
    events = make_events(run, 0, 0)
    radec, altaz = (
        count(run, events, mask, binning=binning, alignment=name) for name in ALIGNMENTS
    )
    lost = [binning.solid_angle_3d - found.solid_angle_3d for found in (radec, altaz)]
    inside = np.s_[2:4, 1:7]
    assert np.argmax(lost[0][inside].sum(axis=0)) == 5
    # The zenith is in the south here, so that north is down
    assert np.argmax(lost[1][inside].sum(axis=0)) == 0
    np.testing.assert_allclose(
        radec.solid_angle_2d, altaz.solid_angle_2d, rtol=0.02, atol=1e-6
    )


def test_altaz_events_use_their_own_times(make_run, make_binning):
    run, binning = make_run(time_stop=53343.92 + 0.08), make_binning()
    here = np.full(50, 1.0), np.full(50, 1.6)
    events = make_events(run, *here, alignment="ALTAZ")
    altaz, radec = (
        count(run, events, make_mask(run), binning=binning, alignment=name)
        for name in ("ALTAZ", "RADEC")
    )
    assert np.count_nonzero(altaz.counts_3d) == 1
    assert np.count_nonzero(radec.counts_3d) > 1
    np.testing.assert_array_equal(altaz.counts_2d, radec.counts_2d)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_position_angle_at_mid_run(alignment, make_run, make_binning):
    run = make_run()
    events = make_events(run, 0, 0)
    found = count(
        run, events, make_mask(run), binning=make_binning(), alignment=alignment
    )
    middle = np.array([(run.time_start + run.time_stop) / 2])
    expected = zenith_position_angle(run, middle)[0]
    assert found.position_angle == pytest.approx(expected, abs=1e-6)


def test_position_angle_is_unknown_without_a_place(make_run, make_binning):
    run = make_run(longitude=np.nan)
    found = count(run, make_events(run, 0, 0), make_mask(run), binning=make_binning())
    assert np.isnan(found.position_angle)


def test_control_events_are_beside_the_model(make_run, make_binning):
    run = make_run()
    lon = np.array([3.0, 3.9, 4.1, 3.0, -3.0, 3.0, 3.0, 1.0, 1.0, -1.0, 1.0])
    energy = np.array([1.0, 9.0, 1.0, 0.99, 1.0, 500, 0.2, 0.2, 0.05, 0.2, 1.0])
    events = make_events(run, lon, np.zeros(lon.size), energy)
    mask = make_mask(run, (-3.0, 0.0, 0.4), (-1.0, 0.0, 0.4))
    control = count(run, events, mask, binning=make_binning(), safe=0.5).control
    # Beyond the field, from twice the safe energy on, not masked: the first two
    assert control.counts_outer == 2
    # In the field, on the energy axis, not safe, not masked: only one
    assert control.counts_low == 1


def test_control_events_of_the_rim(make_run, make_binning):
    run = make_run()
    lon = np.array([2.0001, 2.4999, 1.9999, 2.5001, 2.2, -2.2, 2.2, 2.2])
    energy = np.array([1.0, 9.0, 1.0, 1.0, 0.99, 1.0, 500.0, 0.2])
    events = make_events(run, lon, np.zeros(lon.size), energy)
    mask = make_mask(run, (-2.2, 0.0, 0.2))
    found = count(run, events, mask, binning=make_binning(), safe=0.5)
    # From 0.8 of the largest offset and twice the safe energy on: the first two
    assert found.control.counts_rim == 2


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_exposure_of_the_rim(alignment, make_run, make_binning):
    run, rim = make_run(), ring_solid_angle(2.0, 2.5)
    events = make_events(run, 0, 0)
    found = count(
        run, events, make_mask(run), binning=make_binning(), alignment=alignment
    )
    assert found.control.exposure_rim == pytest.approx(rim * found.livetime)
    mask = make_mask(run, (2.25, 0.0, 0.24), (0.0, 0.0, 1.9))
    masked = count(
        run, events, mask, binning=make_binning(), alignment=alignment
    ).control
    lost = (found.control.exposure_rim - masked.exposure_rim) / found.livetime
    assert lost == pytest.approx(ring_solid_angle(0.0, 0.24), rel=0.03)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_the_rim_follows_the_kept_solid_angle(alignment, make_run, make_binning):
    # half of the rim is off the image, and the mask takes some of the rest
    run = make_run(time_stop=53343.92 + 0.08)
    binning = make_binning(fov_lon_edges=np.linspace(-1.0, 1.0, 7))
    mask = make_mask(run, (0.0, 2.2, 0.6))
    events = replace(random_events(run, 200_000, radius=2.5), energy=np.ones(200_000))
    found = count(run, events, mask, binning=binning, alignment=alignment).control
    density = 200_000 / ring_solid_angle(0.0, 2.5)
    expected = found.exposure_rim / (0.9 * 0.08 * 86400) * density
    assert found.counts_rim == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert 0 < found.exposure_rim < 0.5 * ring_solid_angle(2.0, 2.5) * 0.072 * 86400


def test_without_a_safe_energy_the_ring_begins_at_twice_the_first_bin(
    make_run, make_binning
):
    run, binning = make_run(), make_binning()
    energy = binning.energy_edges[0] * np.array([1.9, 2.1, 2.2])
    events = make_events(run, np.full(3, 3.0), np.zeros(3), energy)
    found = count(run, events, make_mask(run), binning=binning, safe=0.0)
    assert found.control.counts_outer == 2


def test_no_safe_energy_no_control_events_of_high_energy(make_run, make_binning):
    run, binning = make_run(), make_binning()
    events = make_events(run, [3.0, 2.2], [0, 0])
    safe = 2 * binning.energy_edges[-1]
    found = count(run, events, make_mask(run), binning=binning, safe=safe)
    assert found.control.counts_outer == found.control.counts_rim == 0
    assert found.control.counts_low == found.conservation.n_below_safe == 1


def test_control_exposures(make_run, make_binning):
    run = make_run()
    events = make_events(run, 0, 0)
    found = count(run, events, make_mask(run), binning=make_binning())
    ring, disc = ring_solid_angle(2.5, 4.0), ring_solid_angle(0.0, 2.5)
    assert found.control.exposure_outer == pytest.approx(ring * found.livetime)
    assert found.control.exposure_low == pytest.approx(disc * found.livetime)
    mask = make_mask(run, (3.2, 0.0, 0.6), (0.0, 0.0, 1.0))
    masked = count(run, events, mask, binning=make_binning()).control
    lost = (found.control.exposure_outer - masked.exposure_outer) / found.livetime
    assert lost == pytest.approx(ring_solid_angle(0.0, 0.6), rel=0.03)
    lost = (found.control.exposure_low - masked.exposure_low) / found.livetime
    assert lost == pytest.approx(ring_solid_angle(0.0, 1.0), rel=0.01)


def test_no_ring_no_outer_control_events(make_run, make_binning):
    run = make_run()
    found = count_run(
        run,
        make_events(run, 2.6, 0),
        make_mask(run),
        binning=make_binning(),
        fov_alignment="RADEC",
        safe_energy=(0.0, "none"),
        control_offset=2.5,
        checksum="",
    )
    assert found.control.counts_outer == 0
    assert found.control.exposure_outer == 0.0


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_an_empty_run_has_exposure(alignment, make_run, make_binning):
    run, nothing = make_run(), np.empty(0)
    events = make_events(run, nothing, nothing, time=nothing)
    found = count(
        run, events, make_mask(run), binning=make_binning(), alignment=alignment
    )
    assert not found.counts_3d.any()
    assert not found.counts_2d.any()
    assert found.exposure_2d.sum() > 0
    assert found.conservation.n_read == found.conservation.n_lost == 0


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_a_fully_masked_run_has_nothing(alignment, make_run, make_binning):
    run = make_run()
    events, mask = random_events(run, 500, radius=2.4), make_mask(run, (0, 0, 5.0))
    found = count(run, events, mask, binning=make_binning(), alignment=alignment)
    assert not found.counts_3d.any()
    assert not found.exposure_3d.any()
    assert not found.exposure_2d.any()
    assert found.kept_fraction == 0.0
    assert found.control.exposure_low == found.control.exposure_outer == 0.0
    assert found.control.exposure_rim == 0.0
    assert found.conservation.n_lost == 0


def test_a_single_bin(make_run):
    edges = np.array([-2.5, 2.5])
    binning = Binning(
        energy_edges=np.array([0.1, 100.0]),
        fov_lon_edges=edges,
        fov_lat_edges=edges,
        offset_edges=np.array([0.0, 2.5]),
    )
    run = make_run()
    found = count(run, random_events(run, 1000), make_mask(run), binning=binning)
    assert found.counts_3d.item() == found.counts_2d.item() > 0
    assert found.solid_angle_3d.item() == pytest.approx(
        found.solid_angle_2d.item(), rel=1e-4
    )


def test_a_smaller_square_cuts_both_projections(make_run, make_binning):
    run = make_run()
    binning = make_binning(fov_lon_edges=np.linspace(-0.5, 0.5, 7))
    events = replace(random_events(run, 5000, radius=2.5), energy=np.ones(5000))
    found = count(run, events, make_mask(run), binning=binning)
    inside = np.abs(to_fov(events.ra, events.dec, pointing=(run.ra, run.dec))[0]) < 0.5
    assert found.conservation.n_kept == np.count_nonzero(inside)
    assert found.conservation.n_outside_field == np.count_nonzero(~inside)
    assert found.solid_angle_2d.sum() == pytest.approx(
        found.solid_angle_3d.sum(), rel=1e-3
    )


def test_ontime_is_the_sum_of_the_intervals(make_run, make_binning):
    run = make_run()
    start = run.time_start
    gti = np.array([[start, start + 0.001], [start + 0.01, start + 0.013]])
    events = replace(make_events(run, 0, 0), gti=gti)
    found = count(
        run, events, make_mask(run), binning=make_binning(), alignment="ALTAZ"
    )
    assert found.ontime == pytest.approx(0.004 * 86400, rel=1e-5)
    assert found.livetime == pytest.approx(0.9 * found.ontime)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_only_events_in_good_time_are_counted(alignment, order, make_run, make_binning):
    """Good time is two quarters of a run, and the rate that of the whole run."""
    run, binning = make_run(), make_binning()
    events = make_events(run, np.full(16_800, 0.5), np.zeros(16_800))
    seconds = np.array([[0.0, 420.0], [840.0, 1260.0]])[order]
    cut = replace(events, gti=run.time_start + seconds / 86400.0)
    whole, found = (
        count(run, each, make_mask(run), binning=binning, alignment=alignment)
        for each in (events, cut)
    )
    where = found.conservation
    # two seconds are forgiven at three of the four ends
    assert where.n_kept == pytest.approx(8400 + 3 * 2 * 10, abs=3)
    assert where.n_outside_time == where.n_read - where.n_kept
    assert where.n_lost == 0
    assert found.ontime == pytest.approx(840.0, abs=1e-3)
    rates = [each.counts_3d.sum() / each.livetime for each in (whole, found)]
    assert rates[1] == pytest.approx(rates[0], rel=0.008)
    assert (whole.clock.is_doubtful, found.clock.is_doubtful) == (False, True)


def test_events_less_than_two_seconds_outside_count(make_run, make_binning):
    run = make_run()
    seconds = np.array([-2.1, -1.9, 1681.9, 1682.1])
    time = run.time_start + seconds / 86400.0
    events = make_events(run, np.zeros(4), np.zeros(4), time=time)
    found = count(run, events, make_mask(run), binning=make_binning())
    assert found.conservation.n_kept == found.conservation.n_outside_time == 2


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_a_run_without_events_in_good_time_is_refused(
    alignment, make_run, make_binning
):
    run = make_run(9)
    time = np.full(3, run.time_start - 40000.0)
    events = make_events(run, np.zeros(3), np.zeros(3), time=time)
    with pytest.raises(InputError, match=r"run 9: none of 3 events .*MJDREFI"):
        count(run, events, make_mask(run), binning=make_binning(), alignment=alignment)


@pytest.mark.parametrize("stop", [0.0, np.nan, -0.01])
def test_a_run_without_ontime_is_refused(stop, make_run, make_binning):
    run = make_run(21)
    gti = np.array([[run.time_start, run.time_start + stop]])
    events = replace(make_events(run, 0, 0), gti=gti)
    with pytest.raises(InputError, match=r"run 21: on-time .*Check its GTI table"):
        count(run, events, make_mask(run), binning=make_binning())


def test_a_run_without_intervals_is_refused(make_run, make_binning):
    run = make_run(22)
    events = replace(make_events(run, 0, 0), gti=np.empty((0, 2)))
    with pytest.raises(InputError, match=r"run 22: on-time is 0.0 s"):
        count(run, events, make_mask(run), binning=make_binning())


@pytest.mark.parametrize("deadc", [np.nan, 0.0])
def test_a_run_without_dead_time_is_refused(deadc, make_run, make_binning):
    run = make_run(23, deadc=deadc)
    with pytest.raises(InputError, match=r"run 23: dead-time .*Add DEADC"):
        count(run, make_events(run, 0, 0), make_mask(run), binning=make_binning())


def test_a_safe_energy_that_is_no_number_is_refused(make_run, make_binning):
    run = make_run(24)
    with pytest.raises(InputError, match=r"run 24: .*Set safe_energy_min"):
        count(
            run,
            make_events(run, 0, 0),
            make_mask(run),
            binning=make_binning(),
            safe=np.nan,
        )


def test_altaz_without_a_place_is_refused(make_run, make_binning):
    run = make_run(25, longitude=np.nan)
    with pytest.raises(InputError, match=r"run 25: .*or use RADEC alignment"):
        count(
            run,
            make_events(run, 0, 0),
            make_mask(run),
            binning=make_binning(),
            alignment="ALTAZ",
        )


@given(
    n_events=st.integers(0, 60),
    safe=st.sampled_from([0.0, 0.1, 0.7, 1000.0]),
    radius=st.floats(0.0, 3.0),
    alignment=st.sampled_from(ALIGNMENTS),
)
def test_nothing_is_lost_whatever_the_run(
    n_events, safe, radius, *, alignment, make_run, make_binning
):
    run = make_run()
    mask = make_mask(run, (0.5, 0.5, radius), nside=256)
    found = count(
        run,
        random_events(run, n_events),
        mask,
        binning=make_binning(),
        alignment=alignment,
        safe=safe,
    )
    assert found.conservation.n_lost == 0
    assert found.counts_3d.sum() == found.counts_2d.sum()
    assert (found.solid_angle_3d >= 0).all()
    assert 0.0 <= found.kept_fraction <= 1.0 + 1e-12
    excluded = mask.excluded_pixels.size * hp.nside2pixarea(256)
    lost = (1 - found.kept_fraction) * ring_solid_angle(0, 2.5)
    assert lost <= excluded * 1.1 + 1e-9


def test_a_real_run(hess_store: Path, make_run, make_binning):
    name = "hess_dl3_dr1_obs_id_023523.fits.gz"
    with fits.open(hess_store / "data" / name) as hdus:
        header, table = hdus["EVENTS"].header, hdus["EVENTS"].data
        mjd = header["MJDREFI"] + header["MJDREFF"]
        gti = np.column_stack([hdus["GTI"].data["START"], hdus["GTI"].data["STOP"]])
        events = Events(
            obs_id=23523,
            ra=table["RA"].astype(float),
            dec=table["DEC"].astype(float),
            energy=table["ENERGY"].astype(float),
            time=mjd + table["TIME"] / 86400.0,
            gti=mjd + gti / 86400.0,
        )
    run = make_run(
        23523, ra=header["RA_PNT"], dec=header["DEC_PNT"], deadc=header["DEADC"]
    )
    crab = 83.633, 22.014
    regions = [
        ExclusionRegion(
            name="Crab", origin="test", ra=crab[0], dec=crab[1], radius=0.35
        )
    ]
    mask = make_exclusion_mask(run, regions, nside=2048, search_radius=4.0)
    for alignment in ALIGNMENTS:
        found = count(
            run, events, mask, binning=make_binning(), alignment=alignment, safe=0.5
        )
        assert found.conservation.n_lost == 0
        assert found.conservation.n_excluded > 100
        lost = (1 - found.kept_fraction) * ring_solid_angle(0, 2.5)
        assert lost == pytest.approx(ring_solid_angle(0, 0.35), rel=0.03)
        assert found.livetime == pytest.approx(header["LIVETIME"], rel=1e-3)
