from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.run import Events
from bkgpipe.geometry.frames import from_fov, offset_angle, to_fov, unit_vectors
from bkgpipe.simulate.archive.data import PointSource
from bkgpipe.simulate.archive.draw import draw_background, run_generator, simulate_run
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.overlay.data import OverlayTarget
from bkgpipe.simulate.overlay.field import (
    find_cells,
    make_exposure,
    make_grid,
    position_angles,
)
from bkgpipe.simulate.overlay.move import locate_events, overlay_piece
from bkgpipe.simulate.overlay.pool import OffPool
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import is_kept, make_exclusion_mask

_TRUTH = Truth(
    norm=900.0, gradient_lon=0.2, offset_max=2.0, fov_alignment="ALTAZ", energy_min=0.1
)
_GRID = make_grid(nside=512, offset_max=2.0)
_N_TARGETS = 7
_PLACES = [(0.5, 0.3), (-0.6, 0.2), (0.1, -0.8), (-0.3, -0.4), (0.9, 0.9), (0.0, 0.1)]


def _gti(run):
    return np.array([[run.time_start, run.time_stop]])


def _mask(run, place):
    ra, dec = from_fov(*np.array(place)[:, np.newaxis], pointing=(run.ra, run.dec))
    region = ExclusionRegion(
        name="source", origin="test", ra=ra.item(), dec=dec.item(), radius=0.4
    )
    return make_exclusion_mask(run, [region], nside=2048, search_radius=3.0)


class _Off:
    """One OFF run with a bright source that its mask covers."""

    def __init__(self, run, place, *, alignment="ALTAZ", seed=1):
        source = PointSource(fov_lon=place[0], fov_lat=place[1], rate=2.0)
        self.run = run
        self.events = simulate_run(
            run_generator(seed, run.obs_id), _TRUTH, run, sources=(source,)
        ).events
        self.mask = _mask(run, place)
        self.exposure = make_exposure(
            run, _gti(run), self.mask, grid=_GRID, alignment=alignment
        )
        self.located = locate_events(
            run,
            self.events,
            self.mask,
            exposure=self.exposure,
            grid=_GRID,
            alignment=alignment,
        )


@pytest.fixture(scope="module")
def off_runs(make_run):
    places = [*_PLACES, *reversed(_PLACES)]
    return {
        i: _Off(
            _moved(make_run(i), i),
            place,
        )
        for i, place in enumerate(places, start=1)
    }


def _moved(run, i):
    start = 53343.9 + i / 40
    length = run.time_stop - run.time_start
    return replace(
        run,
        ra=(83.0 + 9 * i) % 360,
        dec=-50.0 + 3 * i,
        time_start=start,
        time_stop=start + length,
    )


def _target(make_run, *, deadc=0.8):
    run = make_run(99, ra=200.0, dec=-30.0, deadc=deadc)
    start = 53500.1
    gti = np.array([[start, start + 0.008], [start + 0.01, start + 0.02]])
    return OverlayTarget(run=run, gti=gti, safe_energy=0.3)


def _overlay(off_runs, target, *, threshold=0.0, factor=1.0, pool=None):
    pool = pool or OffPool({i: off.exposure for i, off in off_runs.items()})
    pieces, lacking = pool.serve(
        target.livetime, list(off_runs), factors=[factor] * len(off_runs), reuse=False
    )
    assert lacking.max() < 1e-6
    return [
        overlay_piece(
            off_runs[piece.off_id].located,
            piece,
            exposure=off_runs[piece.off_id].exposure,
            target=target,
            grid=_GRID,
            alignment="ALTAZ",
            threshold=threshold,
        )
        for piece in pieces
    ]


def _field(target, events):
    angle = position_angles(target.run, events.time, fov_alignment="ALTAZ")
    return to_fov(
        events.ra,
        events.dec,
        pointing=(target.run.ra, target.run.dec),
        position_angle=angle,
    )


def test_targets_get_the_true_rate_everywhere_and_poisson_noise(off_runs, make_run):
    rng = np.random.default_rng(5)
    _, lon, lat = draw_background(rng, _TRUTH, livetime=3e4)
    coarse = make_grid(nside=128, offset_max=2.0)
    true = np.bincount(find_cells(coarse, unit_vectors(lon, lat))) / 3e4
    pool = OffPool({i: off.exposure for i, off in off_runs.items()})
    target = _target(make_run)
    counts, rings = [], []
    for _ in range(_N_TARGETS):
        parts = _overlay(off_runs, target, pool=pool)
        fields = np.hstack([_field(target, events) for events, _ in parts])
        vectors = unit_vectors(*fields)
        found = find_cells(coarse, vectors)
        counts.append(np.bincount(found, minlength=coarse.n_cells))
        rings.append(np.histogram(offset_angle(vectors), [0, 0.5, 1, 1.5, 2.0])[0])

    expected = true * target.livetime
    many = expected > 3
    chi = (np.array(counts)[:, many] - expected[many]) ** 2 / expected[many]
    assert chi.mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / chi.size))
    offset = offset_angle(unit_vectors(lon, lat))
    wanted = (
        np.histogram(offset, [0, 0.5, 1, 1.5, 2.0])[0]
        / 3e4
        * target.livetime
        * _N_TARGETS
    )
    pulls = (np.sum(rings, axis=0) - wanted) / np.sqrt(wanted)
    assert np.abs(pulls).max() < 4


def test_no_event_of_an_excluded_region_is_copied(off_runs):
    for off in off_runs.values():
        located = off.located
        kept = is_kept(off.mask, off.events.ra, off.events.dec)
        assert located.energy.size <= kept.sum()
        # the source has 3000 events in its region
        assert located.excluded_at.size > 2500
        assert (
            located.energy.size
            + located.excluded_at.size
            + located.outside_at.size
            + located.n_invalid
            == located.n_read
            == off.events.n_events
        )


def test_each_kept_event_is_given_once(off_runs, make_run):
    pool = OffPool({i: off.exposure for i, off in off_runs.items()})
    target = _target(make_run)

    parts = [
        part
        for _ in range(_N_TARGETS)
        for part in _overlay(off_runs, target, pool=pool)
    ]

    energies = np.concatenate([events.energy for events, _ in parts])
    assert np.unique(energies).size == energies.size
    first = off_runs[1].located.energy
    assert np.isin(first, energies).all()
    assert sum(tally.n_reused for _, tally in parts) == 0


def test_times_are_in_the_intervals_and_as_dense_in_each(off_runs, make_run):
    target = _target(make_run)
    parts = _overlay(off_runs, target)

    time = np.concatenate([events.time for events, _ in parts])

    inside = [(time >= start) & (time <= stop) for start, stop in target.gti]
    numbers = [int(found.sum()) for found in inside]
    assert sum(numbers) == time.size
    assert numbers[0] / time.size == pytest.approx(8 / 18, abs=4 * 0.5 / time.size**0.5)


def test_an_event_keeps_its_place_energy_and_kind(off_runs, make_run):
    target = _target(make_run)
    events, _ = _overlay(off_runs, target)[0]
    lon, lat = _field(target, events)
    located = off_runs[1].located
    same = np.searchsorted(np.sort(located.energy), events.energy)
    order = np.argsort(located.energy)[same]

    np.testing.assert_allclose(lon, located.fov_lon[order], atol=1e-7)
    np.testing.assert_allclose(lat, located.fov_lat[order], atol=1e-7)
    assert set(events.bkg_type.tolist()) == {99}


def test_events_below_the_threshold_are_told(off_runs, make_run):
    target = _target(make_run)
    all_parts = _overlay(off_runs, target)

    parts = _overlay(off_runs, target, threshold=0.5)

    for (low, before), (events, tally) in zip(all_parts, parts, strict=True):
        assert events.energy.min(initial=1.0) >= 0.5
        assert tally.n_low == np.count_nonzero(low.energy < 0.5)
        assert tally.n_drawn + tally.n_low == before.n_drawn


def test_expected_is_the_rate_of_the_run_times_what_is_taken(off_runs, make_run):
    parts = _overlay(off_runs, _target(make_run))

    expected = sum(tally.expected for _, tally in parts)
    drawn = sum(tally.n_drawn for _, tally in parts)

    assert drawn == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_a_brighter_target_gets_more_events_in_the_same_time(off_runs, make_run):
    target = _target(make_run)
    one = sum(tally.n_drawn for _, tally in _overlay(off_runs, target))

    double = sum(tally.n_drawn for _, tally in _overlay(off_runs, target, factor=2.0))

    assert double == pytest.approx(2 * one, abs=5 * np.sqrt(2 * one))


def test_lost_events_are_counted_once_over_all_targets(off_runs, make_run):
    pool = OffPool({i: off.exposure for i, off in off_runs.items()})
    target = _target(make_run)
    n_lost = 0
    for _ in range(_N_TARGETS):
        n_lost += sum(
            tally.n_excluded for _, tally in _overlay(off_runs, target, pool=pool)
        )

    offered = sum(off.located.excluded_at.size for off in off_runs.values())
    assert 0.4 * offered < n_lost <= offered


def test_events_that_are_none_are_counted(make_run):
    run = make_run(1)
    middle = (run.time_start + run.time_stop) / 2
    events = Events(
        obs_id=1,
        ra=np.array([run.ra, np.nan, run.ra, run.ra, run.ra, run.ra + 50]),
        dec=np.full(6, run.dec),
        energy=np.array([1.0, 1.0, 0.0, np.nan, 1.0, 1.0]),
        time=np.array([middle] * 4 + [run.time_start - 1.0, middle]),
        gti=_gti(run),
    )
    mask = make_exclusion_mask(run, [], nside=2048, search_radius=3.0)
    exposure = make_exposure(run, events.gti, mask, grid=_GRID, alignment="RADEC")

    located = locate_events(
        run, events, mask, exposure=exposure, grid=_GRID, alignment="RADEC"
    )

    assert located.energy.tolist() == [1.0]
    assert located.n_invalid == 4
    assert located.outside_at.size == 1
    assert located.fov_lon[0] == pytest.approx(0.0, abs=1e-9)


def test_a_run_without_events_gives_none(make_run):
    run = make_run(1)
    nothing = np.empty(0)
    events = Events(
        obs_id=1, ra=nothing, dec=nothing, energy=nothing, time=nothing, gti=_gti(run)
    )
    mask = make_exclusion_mask(run, [], nside=2048, search_radius=3.0)
    exposure = make_exposure(run, events.gti, mask, grid=_GRID, alignment="ALTAZ")
    located = locate_events(
        run, events, mask, exposure=exposure, grid=_GRID, alignment="ALTAZ"
    )
    target = _target(make_run)
    pieces, _ = OffPool({1: exposure}).serve(
        target.livetime / 2, [1], factors=[1.0], reuse=False
    )

    drawn, tally = overlay_piece(
        located,
        pieces[0],
        exposure=exposure,
        target=target,
        grid=_GRID,
        alignment="ALTAZ",
        threshold=0.0,
    )

    assert drawn.n_events == 0
    assert tally.expected == 0.0


def test_events_that_come_again_are_counted(off_runs, make_run):
    target = _target(make_run)
    off = off_runs[12]
    pool = OffPool({12: off.exposure})
    pieces, _ = pool.serve(3 * off.exposure.livetime, [12], factors=[1.0], reuse=True)

    found = [
        overlay_piece(
            off.located,
            piece,
            exposure=off.exposure,
            target=replace(target, gti=np.array([[53500.0, 53501.0]])),
            grid=_GRID,
            alignment="RADEC",
            threshold=0.0,
        )
        for piece in pieces
    ]

    first, *others = [tally for _, tally in found]
    assert first.n_reused == 0
    assert first.n_drawn == off.located.energy.size
    for again, tally in zip([events for events, _ in found[1:]], others, strict=True):
        assert tally.n_reused == tally.n_drawn == again.n_events
    assert sum(t.n_drawn for t in others) == pytest.approx(2 * first.n_drawn, rel=0.05)


def test_what_is_drawn_is_low_or_high(off_runs, make_run):
    """No energy is lost between two thresholds, and none is given twice."""
    target = _target(make_run)
    all_events = [events.n_events for events, _ in _overlay(off_runs, target)]

    for threshold in (0.15, 1.0, 1e9):
        tallies = [t for _, t in _overlay(off_runs, target, threshold=threshold)]
        assert [t.n_drawn + t.n_low for t in tallies] == all_events
    assert sum(t.n_drawn for t in tallies) == 0
    assert sum(t.expected for t in tallies) == 0.0
