from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from bkgpipe.tools.monitor.data import Change, MonitorBins, RunRates, SearchLimits
from bkgpipe.tools.monitor.data import ZenithLaw as Law
from bkgpipe.tools.monitor.scan import (
    find_changes,
    li_ma,
    make_curve,
    trial_p_value,
    windows,
)

MakeRates = Callable[..., RunRates]
Find = Callable[..., tuple[Change, ...]]

_RATE = 5.0  # events per second of live time, as of H.E.S.S.
_BANDS = np.array([[0.3, 0.25, 0.1], [0.15, 0.12, 0.08]])


@pytest.fixture
def find(monitor_bins: MonitorBins, no_law: Law) -> Find:
    def call(rates: RunRates, law: Law = no_law, **limits: float) -> tuple[Change, ...]:
        return find_changes(
            rates, law, bins=monitor_bins, limits=SearchLimits(**limits)
        )

    return call


def _draw(
    make: MakeRates,
    rng: np.random.Generator,
    factor: np.ndarray,
    *,
    livetime: float = 108.0,
) -> RunRates:
    mean = _RATE * livetime * factor[:, np.newaxis, np.newaxis] * _BANDS
    return make(rng.poisson(mean), livetime=np.full(factor.size, livetime))


def _minutes(factor: float, first: int, last: int, *, n_time: int = 25) -> np.ndarray:
    factors = np.ones(n_time)
    factors[first:last] = factor
    return factors


def test_a_cloud_is_found_where_and_as_large_as_it_is(
    make_run_rates: MakeRates, find: Find
) -> None:
    """A drop by 40 % for 5 of 25 minutes."""
    rng = np.random.default_rng(1)
    factors = _minutes(0.6, 8, 13)
    pulls, n_exact = [], 0
    for _ in range(100):
        rates = _draw(make_run_rates, rng, factors, livetime=54.0)
        changes = find(replace(rates, time_edges=53000 + np.arange(26) / 1440))
        (cloud,) = [change for change in changes if change.significance > 6]
        assert cloud.kind == "drop"
        assert cloud.start_minute == pytest.approx(8, abs=1.01)
        assert cloud.stop_minute == pytest.approx(13, abs=1.01)
        assert cloud.p_value < 1e-6
        n_exact += (round(cloud.start_minute), round(cloud.stop_minute)) == (8, 13)
        pulls.append((cloud.change + 0.4) / cloud.error)
    assert n_exact > 90
    assert abs(np.mean(pulls)) < 0.3
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)


def test_a_burst_is_found(make_run_rates: MakeRates, find: Find) -> None:
    rng = np.random.default_rng(2)
    (burst,) = find(_draw(make_run_rates, rng, _minutes(1.5, 3, 5, n_time=14)))
    assert burst.kind == "burst"
    assert (burst.start_minute, burst.stop_minute) == pytest.approx((6, 10), abs=1e-5)
    assert burst.change == pytest.approx(0.5, abs=3 * burst.error)
    assert burst.start == pytest.approx(53343.9 + 6 / 1440, abs=1e-9)


def test_two_changes_do_not_hide_each_other(
    make_run_rates: MakeRates, find: Find
) -> None:
    rng = np.random.default_rng(3)
    factors = _minutes(0.5, 2, 5) * _minutes(1.6, 15, 18)
    found = find(_draw(make_run_rates, rng, factors))
    assert [change.kind for change in found] == ["drop", "burst"]
    assert found[0].change == pytest.approx(-0.5, abs=3 * found[0].error)
    assert found[1].change == pytest.approx(0.6, abs=3 * found[1].error)


def test_a_time_without_any_event_drops_by_all(
    make_run_rates: MakeRates, find: Find
) -> None:
    rng = np.random.default_rng(14)
    (drop,) = find(_draw(make_run_rates, rng, _minutes(0.0, 0, 3)))
    assert drop.change == -1.0
    assert 0 < drop.error < 0.01
    assert drop.band == ""


def test_dead_and_good_time_are_no_change(
    make_run_rates: MakeRates, find: Find
) -> None:
    rng = np.random.default_rng(5)
    livetime = np.tile([108.0, 20.0, 0.0, 60.0], 5)
    mean = _RATE * livetime[:, np.newaxis, np.newaxis] * _BANDS
    rates = make_run_rates(rng.poisson(mean), livetime=livetime)
    assert find(rates) == ()


def test_the_change_of_the_zenith_angle_is_no_change(
    make_run_rates: MakeRates, find: Find
) -> None:
    rng = np.random.default_rng(6)
    zenith = np.linspace(40.0, 55.0, 14)
    law = Law(
        coefficients=np.array([[3.0, 0.0]] * 3), errors=np.zeros((3, 2)), n_runs=9
    )
    factors = np.cos(np.radians(zenith)) ** 3
    rates = replace(_draw(make_run_rates, rng, factors), zenith=zenith)
    assert find(rates, law) == ()
    assert len(find(rates)) > 0


def test_the_band_that_changes_most_is_told(
    make_run_rates: MakeRates, find: Find
) -> None:
    rng = np.random.default_rng(7)
    mean = np.broadcast_to(_RATE * 108.0 * _BANDS, (14, 2, 3)).copy()
    mean[4:7, :, 0] *= 2.0
    (burst,) = find(make_run_rates(rng.poisson(mean)))
    assert burst.band == "0 to 1 deg"
    assert burst.band_change == pytest.approx(1.0, abs=3 * burst.band_error)
    mean[4:7, :, 0] /= 2.0
    mean[4:7, 0] *= 0.4
    (drop,) = find(make_run_rates(rng.poisson(mean)))
    assert drop.band == "0.01 to 0.5 TeV"
    assert drop.band_change == pytest.approx(-0.6, abs=3 * drop.band_error)


def test_all_bands_of_a_grey_cloud_are_alike(
    make_run_rates: MakeRates, find: Find
) -> None:
    rng = np.random.default_rng(8)
    (drop,) = find(_draw(make_run_rates, rng, _minutes(0.6, 3, 6, n_time=14)))
    assert drop.band == ""
    assert np.isnan([drop.band_change, drop.band_error]).all()


@pytest.mark.parametrize(("alarm_rate", "n_events"), [(0.05, 8000), (0.05, 300)])
def test_quiet_runs_raise_as_many_alarms_as_asked_for(
    make_run_rates: MakeRates, find: Find, alarm_rate: float, n_events: int
) -> None:
    rng = np.random.default_rng(9)
    n_runs = 1000
    n_alarms = 0
    for _ in range(n_runs):
        counts = rng.poisson(n_events / 84, (14, 2, 3))
        n_alarms += bool(
            find(make_run_rates(counts), alarm_rate=alarm_rate, min_change=0.0)
        )
    error = np.sqrt(n_runs * alarm_rate)
    assert n_alarms == pytest.approx(n_runs * alarm_rate, abs=3 * error)


def test_small_changes_are_not_told(make_run_rates: MakeRates, find: Find) -> None:
    counts = np.full((14, 2, 3), 10_000)
    counts[3:6] = 9_500
    assert find(make_run_rates(counts)) == ()
    (drop,) = find(make_run_rates(counts), min_change=0.01)
    assert drop.change == pytest.approx(-0.05, abs=1e-3)


def test_gaps_are_changes(make_run_rates: MakeRates, find: Find) -> None:
    start = 53343.9 + 4 / 1440
    rates = make_run_rates(
        gaps=np.array([[start, start + 1 / 1440]]), gap_log_p=np.array([-2000.0])
    )
    (gap,) = find(rates)
    assert (gap.kind, gap.change) == ("gap", -1.0)
    assert (gap.start_minute, gap.stop_minute) == pytest.approx((4, 5), abs=1e-5)
    assert gap.p_value == 0.0
    # exp(-2000) is no number of the computer, but 63 standard deviations are
    assert gap.significance == pytest.approx(63, abs=1)


@pytest.mark.parametrize("n_time", [1, 2])
def test_runs_of_hardly_any_bins_are_quiet(
    make_run_rates: MakeRates, find: Find, n_time: int
) -> None:
    assert find(make_run_rates(np.full((n_time, 2, 3), 50))) == ()


def test_a_curve_is_scaled_to_the_quiet_part(
    make_run_rates: MakeRates, find: Find, no_law: Law
) -> None:
    counts = np.full((14, 2, 3), 100)
    counts[3:6] = 50
    rates = make_run_rates(counts)
    curve = make_curve(rates, no_law, find(rates))
    np.testing.assert_allclose(curve.expected, 600.0)
    np.testing.assert_allclose(curve.expected_bands, 100.0)
    assert len(curve.changes) == 1


def test_windows_are_intervals_up_to_half_of_the_run() -> None:
    first, last = windows(14)
    assert (first >= 0).all()
    assert (last <= 14).all()
    assert set(last - first) == set(range(1, 8))
    assert len(set(zip(first, last, strict=True))) == first.size == 77
    assert windows(1)[0].size == 0
    first, last = windows(2000)
    # short ones all, long ones in steps: their number grows as the run does
    assert first.size < 45 * 2000
    assert (last - first).max() == 1000


def test_significance_is_that_of_li_and_ma() -> None:
    # alpha 0.2, as in many observations of the Crab
    found = li_ma(np.array([150.0, 100.0, 0.0]), np.array([500.0] * 3), np.full(3, 0.2))
    on, off, alpha = 150.0, 500.0, 0.2
    first = on * np.log((1 + alpha) / alpha * on / (on + off))
    second = off * np.log((1 + alpha) * off / (on + off))
    assert found[0] == pytest.approx(np.sqrt(2 * (first + second)))
    assert found[1] == pytest.approx(0.0, abs=1e-6)
    assert found[2] == pytest.approx(-np.sqrt(2 * 500 * np.log(1.2)))


def test_trials_are_counted() -> None:
    assert trial_p_value(9.0, 1) == 1.0
    # two bins are one comparison
    assert trial_p_value(2.0, 2) == pytest.approx(2 * norm.sf(2.0), rel=0.05)
    values = [trial_p_value(x, 14) for x in np.linspace(0, 8, 60)]
    assert (np.diff(values) <= 0).all()
    assert values[0] == 1.0
    assert values[-1] == pytest.approx(77 * 2 * norm.sf(8.0))
    assert trial_p_value(3.5, 56) > trial_p_value(3.5, 14) > trial_p_value(3.5, 5)
