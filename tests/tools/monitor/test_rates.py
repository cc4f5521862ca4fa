from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bkgpipe.core.run import Events, Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import zenith_angle
from bkgpipe.tools.monitor.data import MonitorBins, RunRates
from bkgpipe.tools.monitor.rates import make_rates

MakeRun = Callable[..., Run]

_DAY = 86400.0
_START = 53343.92


def _gti(*seconds: tuple[float, float]) -> np.ndarray:
    return _START + np.array(seconds) / _DAY


def _events(seconds: np.ndarray, gti: np.ndarray, **changes: Any) -> Events:
    """Events at the pointing of the run, of 1 TeV."""
    given = {
        "obs_id": 1,
        "ra": np.full(seconds.shape, 83.63),
        "dec": np.full(seconds.shape, 22.51),
        "energy": np.ones(seconds.shape),
        "time": _START + seconds / _DAY,
        "gti": gti,
    }
    return Events(**(given | changes))


def _even(start: float, stop: float, rate: float = 5.0) -> np.ndarray:
    return np.arange(start + 0.5 / rate, stop, 1 / rate)


def _rates(
    run: Run, events: Events, bins: MonitorBins, *, min_gap: float = 5.0
) -> RunRates:
    return make_rates(run, events, bins=bins, min_gap=min_gap)


def test_every_event_is_in_one_place(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    seconds = _even(0, 1680)
    energy, dec = np.ones(seconds.size), np.full(seconds.size, 22.51)
    energy[:4] = np.nan, 0.0, -1.0, 1000.0
    dec[4:7] = 26.0
    dec[7] = np.nan
    time = _START + seconds / _DAY
    time[8:11] = _START + np.array([-3.0, 1700.0, -1.0]) / _DAY
    events = _events(seconds, _gti((0, 1680)), energy=energy, dec=dec, time=time)
    rates = _rates(make_run(), events, monitor_bins)
    assert rates.n_invalid == 4
    assert rates.n_outside_gti == 2
    assert rates.n_outside_bins == 4
    lost = rates.n_invalid + rates.n_outside_gti + rates.n_outside_bins
    assert rates.n_events + lost == rates.n_read == events.n_events


def test_events_are_counted_by_time_energy_and_offset(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    seconds = np.array([10.0, 130.0, 130.0, 1679.0])
    events = _events(
        seconds,
        _gti((0, 1680)),
        energy=np.array([0.1, 1.0, 1.0, 0.5]),
        dec=22.51 + np.array([0.0, 1.2, 1.2, -2.0]),
    )
    counts = _rates(make_run(), events, monitor_bins, min_gap=1e4).counts
    assert counts.shape == (14, 2, 3)
    found = {tuple(index): int(counts[tuple(index)]) for index in np.argwhere(counts)}
    assert found == {(0, 0, 0): 1, (1, 1, 1): 2, (13, 1, 2): 1}


def test_live_time_is_good_time_less_dead_time(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    # the second interval begins in the middle of a bin, in the first table row
    gti = _gti((420, 1200), (0, 180))
    seconds = np.concatenate([_even(0, 180), _even(420, 1200)])
    rates = _rates(make_run(deadc=0.8), _events(seconds, gti), monitor_bins)
    expected = 0.8 * np.array([120, 60, 0, 60, 120, 120, 120, 120, 120, 120])
    np.testing.assert_allclose(rates.livetime, expected, atol=1e-3)
    assert rates.livetime.sum() == pytest.approx(0.8 * 960.0)
    np.testing.assert_array_equal(rates.is_live, expected > 0)
    # where there is no good time, no event is missing
    assert len(rates.gaps) == 0
    counts = rates.counts.sum(axis=(1, 2))
    np.testing.assert_allclose(counts / 5.0 * 0.8, expected, atol=1.0)


def test_time_bins_divide_the_run_evenly(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    rates = _rates(make_run(), _events(_even(0, 1000), _gti((0, 1000))), monitor_bins)
    np.testing.assert_allclose(np.diff(rates.time_edges) * _DAY, 125.0, atol=1e-3)
    short = _rates(make_run(), _events(_even(0, 20), _gti((0, 20))), monitor_bins)
    assert short.counts.shape == (1, 2, 3)


def test_a_gap_is_found_and_has_no_live_time(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    seconds = np.concatenate([_even(0, 300), _even(450, 1400)])
    rates = _rates(make_run(deadc=1.0), _events(seconds, _gti((0, 1680))), monitor_bins)
    found = (rates.gaps - _START) * _DAY
    np.testing.assert_allclose(found, [[300, 450], [1400, 1680]], atol=0.2)
    assert (rates.gap_log_p < -100).all()
    assert rates.livetime.sum() == pytest.approx(1250.0, abs=0.5)
    assert not rates.is_live[-2:].any()


def test_a_gap_may_reach_over_a_pause(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    seconds = np.concatenate([_even(0, 800), _even(1020, 1680)])
    gti = _gti((0, 820), (1000, 1680))
    rates = _rates(make_run(deadc=1.0), _events(seconds, gti), monitor_bins)
    ((start, stop),) = (rates.gaps - _START) * _DAY
    assert (start, stop) == pytest.approx((800, 1020), abs=0.2)
    assert rates.livetime.sum() == pytest.approx(1460.0, abs=0.5)


def test_chance_makes_no_gap(make_run: MakeRun, monitor_bins: MonitorBins) -> None:
    rng = np.random.default_rng(3)
    gaps = [
        len(_rates(make_run(), _events(seconds, gti), monitor_bins, min_gap=0.1).gaps)
        for gti in (_gti((0, 1680)),)
        for seconds in (rng.uniform(0, 1680, size) for size in [8000] * 200)
    ]
    assert sum(gaps) == 0


def test_a_cloud_is_no_row_of_gaps(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    rng = np.random.default_rng(4)
    parts = (0, 800, 5.0), (800, 1200, 0.3), (1200, 1680, 5.0)
    seconds = np.concatenate(
        [rng.uniform(a, b, rng.poisson(rate * (b - a))) for a, b, rate in parts]
    )
    rates = _rates(make_run(), _events(seconds, _gti((0, 1680))), monitor_bins)
    assert len(rates.gaps) == 0


def test_the_zenith_angle_follows_place_and_time(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    run = make_run()
    events = _events(_even(0, 1680), _gti((0, 1680)))
    track = zenith_angle(run, _START + np.array([60.0, 1620.0]) / _DAY)
    run = make_run(zenith=float(track.mean()))
    rates = _rates(run, events, monitor_bins)
    assert rates.is_tracked
    assert rates.zenith[[0, -1]] == pytest.approx(track, abs=1e-6)
    # the Crab moves by some degrees, but never by more than the sky does
    assert 1.0 < abs(track[1] - track[0]) < 15.041 * 26 / 60


@pytest.mark.parametrize(
    "changes", [{"zenith": 5.0}, {"longitude": float("nan"), "zenith": 5.0}]
)
def test_a_zenith_angle_of_the_table_stays(
    make_run: MakeRun, monitor_bins: MonitorBins, changes: dict[str, float]
) -> None:
    events = _events(_even(0, 1680), _gti((0, 1680)))
    rates = _rates(make_run(**changes), events, monitor_bins)
    assert not rates.is_tracked
    np.testing.assert_array_equal(rates.zenith, 5.0)


def test_without_a_zenith_angle_in_the_table_the_track_is_taken(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    events = _events(_even(0, 1680), _gti((0, 1680)))
    assert _rates(make_run(zenith=float("nan")), events, monitor_bins).is_tracked


@pytest.mark.parametrize(
    ("changes", "gti", "what", "fix"),
    [
        ({}, _gti((0, 0)), "on-time is 0", "GTI"),
        ({"deadc": float("nan")}, _gti((0, 1680)), "dead-time", "DEADC"),
        ({"ra": float("nan")}, _gti((0, 1680)), "pointing", "RA_PNT"),
        ({"dec": -22.51}, _gti((0, 1680)), "no event in the bins", "other energies"),
        ({}, _gti((0, 80000), (650000, 700000)), "time bins", "longer time bins"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    make_run: MakeRun,
    monitor_bins: MonitorBins,
    *,
    changes: dict[str, float],
    gti: np.ndarray,
    what: str,
    fix: str,
) -> None:
    events = _events(_even(0, 1680), gti)
    with pytest.raises(InputError, match=what) as caught:
        _rates(make_run(**changes), events, monitor_bins)
    assert caught.value.where == "run 1"
    assert fix in caught.value.fix


def test_a_run_without_events_is_refused(
    make_run: MakeRun, monitor_bins: MonitorBins
) -> None:
    with pytest.raises(InputError, match="of 0 in the file"):
        _rates(make_run(), _events(np.empty(0), _gti((0, 1680))), monitor_bins)
