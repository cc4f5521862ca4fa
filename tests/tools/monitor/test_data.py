from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.tools.monitor.data import (
    Change,
    Monitor,
    MonitorBins,
    RunCurve,
    RunLevel,
    RunRates,
    SearchLimits,
    ZenithLaw,
)

MakeRates = Callable[..., RunRates]


def _change(**changes: object) -> Change:
    given = {
        "obs_id": 7,
        "target": "Crab",
        "kind": "drop",
        "start": 53343.9,
        "stop": 53343.91,
        "start_minute": 0.0,
        "stop_minute": 14.4,
        "change": -0.4,
        "error": 0.03,
        "significance": 9.0,
        "p_value": 1e-9,
    }
    return Change(**(given | changes))


def _level(**changes: object) -> RunLevel:
    given = {
        "obs_id": 7,
        "target": "Crab",
        "time": 53343.9,
        "zenith": 20.0,
        "rate": 4.0,
        "expected": 5.0,
        "error": 0.1,
        "is_outlier": False,
    }
    return RunLevel(**(given | changes))


def test_edges_must_increase() -> None:
    with pytest.raises(BinningMismatchError, match="energy_edges"):
        MonitorBins(
            time_bin=60.0,
            energy_edges=np.array([1.0, 0.5]),
            offset_edges=np.array([0.0, 1.0]),
        )


def test_bins_have_a_shape(monitor_bins: MonitorBins) -> None:
    assert monitor_bins.shape == (2, 3)


@pytest.mark.parametrize("name", ["livetime", "zenith"])
def test_rates_of_another_length_are_refused(
    make_run_rates: MakeRates, name: str
) -> None:
    with pytest.raises(BinningMismatchError, match=name):
        make_run_rates(**{name: np.ones(13)})


def test_each_gap_has_a_probability(make_run_rates: MakeRates) -> None:
    with pytest.raises(BinningMismatchError, match="gap_log_p"):
        make_run_rates(gap_log_p=np.zeros(1))


def test_rates_know_their_sums_and_times(make_run_rates: MakeRates) -> None:
    livetime = np.full(14, 108.0)
    livetime[3] = 0.0
    rates = make_run_rates(livetime=livetime)
    assert rates.n_events == 14 * 2 * 3 * 100
    assert rates.is_live.sum() == 13
    assert not rates.is_live[3]
    np.testing.assert_allclose(rates.minutes, 2.0 * np.arange(15), atol=1e-6)


def test_a_zenith_angle_that_is_not_known_changes_nothing(
    make_run_rates: MakeRates,
) -> None:
    rates = make_run_rates(zenith=np.full(14, np.nan))
    np.testing.assert_array_equal(rates.log_cos_zenith, 0.0)
    below = make_run_rates(zenith=np.full(14, 95.0))
    assert np.isfinite(below.log_cos_zenith).all()


def test_a_law_is_a_power_of_the_cosine() -> None:
    law = ZenithLaw(
        coefficients=np.array([[1.5, 0.0], [2.0, 0.0], [-3.0, 1.0]]),
        errors=np.zeros((3, 2)),
        n_runs=4,
    )
    cosine = np.array([1.0, 0.9, 0.7, 0.5])
    factors = law.factors(np.log(cosine))
    np.testing.assert_allclose(factors[:, 0], cosine**1.5)
    np.testing.assert_allclose(factors[:, 1], cosine**2)
    slope = -3.0 + 2 * np.log(np.cos(np.radians(45.0)))
    np.testing.assert_allclose(law.exponents(45.0), [1.5, 2.0, slope])
    np.testing.assert_allclose(law.exponents(0.0), [1.5, 2.0, -3.0])


def test_a_law_without_both_coefficients_is_refused() -> None:
    with pytest.raises(BinningMismatchError, match="coefficients"):
        ZenithLaw(coefficients=np.zeros((3, 1)), errors=np.zeros((3, 1)), n_runs=1)


def test_a_curve_has_the_shape_of_its_counts(make_run_rates: MakeRates) -> None:
    with pytest.raises(BinningMismatchError, match="expected_bands"):
        RunCurve(
            rates=make_run_rates(),
            expected=np.zeros(14),
            expected_bands=np.zeros((14, 3, 2)),
            changes=(),
        )


def test_a_level_tells_its_change() -> None:
    level = _level()
    assert level.change == pytest.approx(-0.2)
    assert level.significance == pytest.approx(np.log(0.8) / 0.1)


def test_a_monitor_gathers_changes_and_outliers(
    make_run_rates: MakeRates, monitor_bins: MonitorBins, no_law: ZenithLaw
) -> None:
    rates = make_run_rates()
    parts = [(_change(),), (_change(obs_id=8), _change(obs_id=8, kind="burst"))]
    curves = tuple(
        RunCurve(
            rates=rates,
            expected=np.zeros(14),
            expected_bands=np.zeros((14, 2, 3)),
            changes=part,
        )
        for part in parts
    )
    monitor = Monitor(
        bins=monitor_bins,
        limits=SearchLimits(),
        rates=(rates,),
        law=no_law,
        curves=curves,
        levels=(_level(), _level(obs_id=9, is_outlier=True)),
        level_exponent=1.0,
        scatter=0.1,
        left_out={},
    )
    assert [change.obs_id for change in monitor.changes] == [7, 8, 8]
    assert [level.obs_id for level in monitor.outliers] == [9]
