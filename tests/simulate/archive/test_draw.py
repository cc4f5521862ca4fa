from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import to_fov, zenith_position_angle
from bkgpipe.simulate.archive.data import Distribution, PointSource, Simulation
from bkgpipe.simulate.archive.draw import (
    add_source_events,
    draw_background,
    draw_source,
    make_run_truth,
    run_generator,
    simulate_run,
    source_regions,
)
from bkgpipe.simulate.archive.pointings import make_runs
from bkgpipe.simulate.archive.truth import expected_counts_2d, expected_counts_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.tools.closure.pulls import make_closure

_AWAY = Distribution(law="sky", values=(10.0, 50.0))
GRADIENTS = Truth(gradient_lon=0.12, gradient_lat=-0.2)


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def _counts_3d(
    binning: Binning, energy: np.ndarray, lon: np.ndarray, lat: np.ndarray
) -> np.ndarray:
    cosine = np.cos(np.radians(lon)) * np.cos(np.radians(lat))
    inside = np.degrees(np.arccos(cosine)) <= binning.offset_max
    edges = (binning.energy_edges, binning.fov_lon_edges, binning.fov_lat_edges)
    events = np.column_stack([energy, lon, lat])[inside]
    return np.histogramdd(events, edges)[0]


@pytest.mark.parametrize("truth", [Truth(), GRADIENTS, Truth(offset_max=2.2)])
def test_drawn_events_follow_the_truth(
    make_binning: Callable[..., Binning], truth: Truth
) -> None:
    binning, livetime = make_binning(), 2e5
    energy, lon, lat = draw_background(_rng(), truth, livetime=livetime)
    counts = _counts_3d(binning, energy, lon, lat)
    expected = expected_counts_3d(truth, binning, livetime=livetime)
    closure = make_closure(counts, expected)
    # A million events: the mean of the pulls is good to 0.08, a bin to 0.1 % and less
    assert abs(closure.pull_mean) < 0.3
    assert closure.pull_width == pytest.approx(1.0, abs=0.2)
    assert closure.n_recovered == pytest.approx(closure.n_expected, rel=4e-3)


def test_drawn_energies_follow_the_threshold() -> None:
    truth, livetime = Truth(), 2e5
    binning = Binning(
        energy_edges=np.geomspace(0.05, 100.0, 34),
        fov_lon_edges=np.array([-4.0, 0.0, 4.0]),
        fov_lat_edges=np.array([-4.0, 4.0]),
        offset_edges=np.array([0.0, 4.0]),
    )
    energy, _, _ = draw_background(_rng(2), truth, livetime=livetime)
    counts = np.histogram(energy, binning.energy_edges)[0]
    expected = expected_counts_2d(truth, binning, livetime=livetime)[:, 0]
    closure = make_closure(counts, expected)
    assert abs(closure.pull_mean) < 0.6
    assert closure.pull_width == pytest.approx(1.0, abs=0.35)


def test_no_events_without_live_time() -> None:
    energy, lon, lat = draw_background(_rng(), Truth(), livetime=0.0)
    assert energy.size == lon.size == lat.size == 0


def test_source_is_round_and_in_its_place() -> None:
    source = PointSource(fov_lon=1.5, fov_lat=-1.0, rate=2.0, width=0.07)
    energy, lon, lat = draw_source(_rng(), Truth(), source, livetime=1e4)
    assert energy.size == pytest.approx(2e4, abs=5 * np.sqrt(2e4))
    assert lon.mean() == pytest.approx(1.5, abs=0.003)
    assert lat.mean() == pytest.approx(-1.0, abs=0.003)
    assert lon.std() == pytest.approx(0.07, rel=0.05)
    assert lat.std() == pytest.approx(0.07, rel=0.05)
    assert energy.min() >= Truth().energy_min


def test_simulated_events_are_those_of_the_run(make_run: Callable[..., Run]) -> None:
    run = make_run(7)
    events = simulate_run(_rng(), GRADIENTS, run).events
    assert events.obs_id == 7
    assert events.ontime == pytest.approx(run.ontime, rel=1e-6)
    assert (np.diff(events.time) >= 0).all()
    assert run.time_start <= events.time[0] < events.time[-1] <= run.time_stop
    lon, lat = to_fov(events.ra, events.dec, pointing=(run.ra, run.dec))
    assert np.hypot(lon, lat).max() < 4.01


def test_factor_scales_the_background_alone(make_run: Callable[..., Run]) -> None:
    run = make_run()
    source = PointSource(fov_lon=0.0, fov_lat=0.5, rate=1.0)
    simulated = simulate_run(_rng(), Truth(), run, factor=0.0, sources=(source,))
    events = simulated.events
    assert not simulated.bkg_type.any()
    assert events.n_events == pytest.approx(run.livetime, abs=5 * run.livetime**0.5)
    lon, lat = to_fov(events.ra, events.dec, pointing=(run.ra, run.dec))
    assert np.hypot(lon, lat - 0.5).max() < 0.5


@pytest.mark.parametrize("alignment", ["RADEC", "ALTAZ"])
def test_gradient_is_seen_in_its_own_frame(
    make_run: Callable[..., Run], alignment: str
) -> None:
    run = replace(make_run(), ontime=7200.0, livetime=7000.0)
    run = replace(run, time_stop=run.time_start + 7200.0 / 86400.0)
    truth = Truth(gradient_lat=0.3, fov_alignment=alignment)
    events = simulate_run(_rng(), truth, run).events
    sky, pointing = (events.ra, events.dec), (run.ra, run.dec)
    angle = zenith_position_angle(run, events.time)
    means = {
        "RADEC": np.mean(to_fov(*sky, pointing=pointing), axis=1),
        "ALTAZ": np.mean(to_fov(*sky, pointing=pointing, position_angle=angle), axis=1),
    }
    assert means[alignment][1] > 0.2
    assert abs(means[alignment][0]) < 0.05
    other = means[{"RADEC": "ALTAZ", "ALTAZ": "RADEC"}[alignment]]
    assert other[1] < means[alignment][1]


def test_altaz_needs_the_place_of_the_observatory(
    make_run: Callable[..., Run],
) -> None:
    run = make_run(5, longitude=float("nan"))
    with pytest.raises(InputError, match=r"run 5: .*GEOLON"):
        simulate_run(_rng(), Truth(fov_alignment="ALTAZ"), run)


def test_equal_seeds_give_equal_archives() -> None:
    simulation = Simulation(n_runs=3)
    first, second = (make_runs(_rng(4), simulation) for _ in range(2))
    assert [run.ra for run in first] == [run.ra for run in second]
    drawn = [
        simulate_run(run_generator(4, 1001), Truth(), first[0]).events for _ in range(2)
    ]
    np.testing.assert_array_equal(drawn[0].ra, drawn[1].ra)
    other = simulate_run(run_generator(4, 1002), Truth(), first[0]).events
    assert other.n_events != drawn[0].n_events or other.ra[0] != drawn[0].ra[0]


def test_scatter_has_a_mean_of_one() -> None:
    runs = make_runs(_rng(), Simulation(n_runs=1, zenith=_AWAY)) * 20_000
    truth = Truth(run_scatter=0.2, zenith_slope=-2.0)
    run_truth = make_run_truth(_rng(), truth, runs)
    law = np.exp(-2.0 * (np.cos(np.radians(runs[0].zenith)) - 1.0))
    assert run_truth.factor.mean() == pytest.approx(law, rel=0.01)
    assert np.log(run_truth.factor).std() == pytest.approx(0.2, rel=0.03)


def test_default_truth_is_the_same_for_all_runs() -> None:
    runs = make_runs(_rng(), Simulation(n_runs=4))
    np.testing.assert_array_equal(make_run_truth(_rng(), Truth(), runs).factor, 1.0)


def test_sources_are_listed_for_each_field(make_run: Callable[..., Run]) -> None:
    runs = (make_run(1), make_run(2, ra=10.0, dec=-40.0))
    sources = (
        PointSource(fov_lon=0.5, fov_lat=0.0, rate=1.0),
        PointSource(fov_lon=0.0, fov_lat=-0.5, rate=1.0),
        PointSource(fov_lon=0.0, fov_lat=1.0, rate=1.0),
    )
    regions = source_regions(runs, sources)
    assert len(regions) == 6
    assert regions[0].ra < runs[0].ra  # fov_lon grows with decreasing right ascension
    assert regions[4].name == "SIM 2-2"
    assert (regions[4].ra, regions[4].dec) == pytest.approx((10.0, -40.5))
    assert np.isnan(regions[4].radius)


def test_events_know_what_they_are_and_stay_in_their_intervals(
    make_run: Callable[..., Run],
) -> None:
    run = replace(make_run(), livetime=400.0)
    start, step = run.time_start, 100.0 / 86400.0
    gti = np.array([[start, start + step], [start + 3 * step, start + 5 * step]])
    source = PointSource(fov_lon=0.0, fov_lat=0.5, rate=1.0)
    simulated = simulate_run(_rng(), Truth(), run, sources=(source,), gti=gti)
    time, is_source = simulated.events.time, simulated.bkg_type == 0
    assert simulated.events.gti is gti
    assert simulated.bkg_type.dtype == np.int16
    assert is_source.sum() == pytest.approx(400, abs=5 * 20)
    in_first = (time >= gti[0, 0]) & (time <= gti[0, 1])
    in_second = (time >= gti[1, 0]) & (time <= gti[1, 1])
    assert (in_first | in_second).all()
    assert (np.diff(time) >= 0).all()
    for is_part in (is_source, ~is_source):
        share = in_first[is_part].sum() / is_part.sum()
        assert share == pytest.approx(1 / 3, abs=5 * 0.5 / np.sqrt(is_part.sum()))


def test_added_events_are_sorted_in_and_cut_like_the_others(
    make_run: Callable[..., Run],
) -> None:
    run, truth = make_run(), Truth(energy_min=0.3, energy_max=9.0, offset_max=2.0)
    simulated = simulate_run(_rng(), truth, run)
    ra = np.full(4, run.ra)
    dec = run.dec + np.array([0.1, 2.1, 0.2, 1.9])
    energy = np.array([1.0, 1.0, 0.2, 2.0])
    middle = (run.time_start + run.time_stop) / 2
    added = (ra, dec, energy, np.full(4, middle))
    result = add_source_events(simulated, run, truth, added)
    assert result.events.n_events == simulated.events.n_events + 2
    assert (np.diff(result.events.time) >= 0).all()
    is_source = result.bkg_type == 0
    np.testing.assert_array_equal(result.events.energy[is_source], [1.0, 2.0])
    np.testing.assert_array_equal(
        np.sort(result.events.ra[~is_source]), np.sort(simulated.events.ra)
    )
