from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.tools.monitor.data import RunRates, SearchLimits, ZenithLaw
from bkgpipe.tools.monitor.law import compare_runs, expected_counts, fit_zenith_law

MakeRates = Callable[..., RunRates]

_SHARE = np.array([[0.2, 0.3, 0.1], [0.1, 0.2, 0.1]])


def _moving(
    make: MakeRates, rng: np.random.Generator, *, exponents: tuple[float, float]
) -> RunRates:
    """Draw a run that moves by several degrees; each energy has its own exponent."""
    start = rng.uniform(5.0, 50.0)
    zenith = np.linspace(start, start + rng.uniform(-7.0, 7.0), 14).clip(0.0)
    cosine = np.cos(np.radians(zenith))[:, np.newaxis]
    rate = rng.uniform(300.0, 900.0) * cosine ** np.array(exponents)
    counts = rng.poisson(rate[:, :, np.newaxis] * _SHARE)
    return make(counts, zenith=zenith)


def test_the_law_of_each_energy_is_found(make_run_rates: MakeRates) -> None:
    rng = np.random.default_rng(1)
    runs = [_moving(make_run_rates, rng, exponents=(3.0, -2.0)) for _ in range(300)]
    law = fit_zenith_law(runs)
    assert law.coefficients.shape == (3, 2)
    assert law.n_runs > 290
    # a and b are known apart badly, the exponent where the runs are is known well
    assert law.exponents(35.0)[1:] == pytest.approx([3.0, -2.0], abs=0.3)
    assert (np.abs(law.coefficients[1:, 1]) < 4 * law.errors[1:, 1]).all()


def test_runs_with_clouds_do_not_bend_the_law(make_run_rates: MakeRates) -> None:
    rng = np.random.default_rng(2)
    runs = [_moving(make_run_rates, rng, exponents=(2.0, 2.0)) for _ in range(100)]
    cloudy = []
    for run in runs[:30]:
        # thicker where the telescopes look lower, so that it looks like the zenith
        low = np.argsort(run.zenith)[-5:]
        counts = run.counts.copy()
        counts[low] //= 2
        cloudy.append(make_run_rates(counts, zenith=run.zenith))
    law = fit_zenith_law([*cloudy, *runs[30:]])
    assert law.n_runs <= 75
    assert law.exponents(35.0)[0] == pytest.approx(2.0, abs=0.6)


def test_runs_that_stand_still_tell_no_law(make_run_rates: MakeRates) -> None:
    law = fit_zenith_law([make_run_rates(), make_run_rates()])
    np.testing.assert_allclose(law.coefficients, 0.0, atol=1e-9)
    assert law.n_runs == 2


def test_a_run_of_a_single_bin_is_no_obstacle(make_run_rates: MakeRates) -> None:
    single = make_run_rates(np.full((1, 2, 3), 9), zenith=np.array([30.0]))
    law = fit_zenith_law([single, make_run_rates()])
    assert np.isfinite(law.coefficients).all()


def test_expected_counts_have_the_sum_of_those_counted(
    make_run_rates: MakeRates,
) -> None:
    rng = np.random.default_rng(3)
    livetime = np.linspace(0.0, 100.0, 14)
    counts = rng.poisson(50, (14, 2, 3)) * (livetime > 0)[:, None, None]
    rates = make_run_rates(counts, livetime=livetime, zenith=np.linspace(20, 27, 14))
    law = ZenithLaw(
        coefficients=np.array([[1.0, 0.5], [3.0, 0.0], [-2.0, 1.0]]),
        errors=np.zeros((3, 2)),
        n_runs=1,
    )
    expected, bands = expected_counts(rates, law)
    assert expected.sum() == pytest.approx(counts.sum())
    np.testing.assert_allclose(bands.sum(axis=0), counts.sum(axis=0))
    assert expected[0] == 0
    assert not bands[0].any()
    cosine = np.cos(np.radians(rates.zenith))
    ratio = bands[5, 0, 1] / bands[9, 0, 1]
    live = livetime[5] / livetime[9]
    assert ratio == pytest.approx(live * (cosine[5] / cosine[9]) ** 3)


def _archive(make: MakeRates, n_runs: int = 120) -> list[RunRates]:
    """Runs of two seasons, the second dimmer by a third, with 5 % of scatter."""
    rng = np.random.default_rng(5)
    runs = []
    for i in range(n_runs):
        zenith = rng.uniform(5.0, 50.0)
        level = (1.0 if i < n_runs // 2 else 2 / 3) * np.exp(rng.normal(0, 0.05))
        mean = 100.0 * level * np.cos(np.radians(zenith)) ** 1.5
        counts = rng.poisson(mean, (14, 2, 3))
        if i in (30, 90):
            counts = counts // 2
        runs.append(
            make(
                counts,
                obs_id=i,
                zenith=np.full(14, zenith),
                time_edges=53000.0 + i + np.arange(15) / 720.0,
            )
        )
    return runs


def test_a_run_under_a_cloud_is_told_in_any_season(make_run_rates: MakeRates) -> None:
    runs = _archive(make_run_rates)
    levels, exponent, scatter = compare_runs(runs[::-1], SearchLimits())
    assert [level.obs_id for level in levels] == list(range(120))
    assert [level.obs_id for level in levels if level.is_outlier] == [30, 90]
    assert levels[30].change == pytest.approx(-0.5, abs=0.1)
    assert levels[30].significance < -5
    assert exponent == pytest.approx(1.5, abs=0.2)
    assert scatter == pytest.approx(0.05, abs=0.02)
    assert levels[10].rate == pytest.approx(runs[10].n_events / (14 * 108.0))


def test_small_deviations_of_runs_are_not_told(make_run_rates: MakeRates) -> None:
    limits = SearchLimits(min_change=0.9)
    levels, _, _ = compare_runs(_archive(make_run_rates), limits)
    assert not any(level.is_outlier for level in levels)


def test_counts_are_an_error_where_runs_do_not_scatter(
    make_run_rates: MakeRates,
) -> None:
    runs = [make_run_rates(obs_id=i) for i in range(6)]
    levels, exponent, scatter = compare_runs(runs, SearchLimits())
    assert (exponent, scatter) == pytest.approx((0.0, 0.0))
    assert levels[0].error == pytest.approx(8400**-0.5)
    assert not any(level.is_outlier for level in levels)


def test_few_runs_are_not_compared(make_run_rates: MakeRates) -> None:
    unknown = [make_run_rates(zenith=np.full(14, np.nan)) for _ in range(9)]
    known = [make_run_rates() for _ in range(4)]
    levels, exponent, scatter = compare_runs([*unknown, *known], SearchLimits())
    assert levels == ()
    assert np.isnan([exponent, scatter]).all()
