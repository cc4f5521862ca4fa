from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.datamodel import Binning, Conservation, ControlEvents, RunCounts
from bkgpipe.numerics.points import join_runs
from bkgpipe.numerics.regression import fit_regression
from bkgpipe.numerics.scatter import (
    count_run_terms,
    measure_scatter,
    norm_scatter,
    run_scatters,
)

SETTINGS = {
    "fov_alignment": "ALTAZ",
    "terms": ("zenith",),
    "energy_splines": 3,
    "offset_splines": 4,
    "ridge": 0.01,
}


@pytest.fixture(scope="module")
def runs(make_run):
    """Forty runs of some 1500 events, their norms scattering by a tenth."""
    axes = Binning(
        energy_edges=np.geomspace(0.3, 30.0, 7),
        fov_lon_edges=np.linspace(-2.5, 2.5, 9),
        fov_lat_edges=np.linspace(-2.5, 2.5, 11),
        offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
    )
    rng = np.random.default_rng(9)
    mean = np.array([900.0, 400.0, 150.0, 50.0, 15.0, 5.0])[:, None, None]
    mean = mean * axes.solid_angle_3d / axes.solid_angle_3d.sum()
    return [
        RunCounts(
            run=make_run(number, zenith=float(zenith)),
            binning=axes,
            counts_3d=rng.poisson(mean * np.exp(rng.normal(0, 0.1))),
            counts_2d=np.zeros(axes.shape_2d, dtype=int),
            solid_angle_3d=axes.solid_angle_3d,
            solid_angle_2d=axes.solid_angle_2d,
            is_safe=np.ones(axes.n_energy, dtype=bool),
            safe_energy_min=0.3,
            safe_energy_origin="setting",
            ontime=1600.0,
            livetime=1500.0,
            position_angle=0.0,
            conservation=Conservation(),
            control=ControlEvents(
                counts_outer=0, exposure_outer=0.0, counts_low=0, exposure_low=0.0
            ),
            checksum="",
        )
        for number, zenith in enumerate(np.linspace(5.0, 55.0, 40), start=1)
    ]


def fit_points(runs, point):
    points = join_runs(runs, point, fov_alignment="ALTAZ")
    return fit_regression(points, **SETTINGS)


def test_single_runs_have_the_scatter_of_their_fit(runs):
    fit = fit_points(runs, np.arange(40))
    scatter, low = measure_scatter(fit, iter(runs), binning=runs[0].binning)
    assert scatter == pytest.approx(fit.scatter, rel=1e-6)
    assert low == fit.low_scatter == 0.0
    assert scatter == pytest.approx(0.1, abs=0.03)


def test_joining_runs_does_not_change_their_scatter(runs):
    single = fit_points(runs, np.arange(40)).scatter
    fit = fit_points(runs, np.arange(40) // 4)
    assert np.isnan(fit.scatter)
    scatter, _ = measure_scatter(fit, runs, binning=runs[0].binning)
    assert scatter == pytest.approx(single, rel=0.02)


def test_a_sample_of_the_runs_will_do(runs):
    fit = fit_points(runs, np.arange(40) // 4)
    scatter, _ = measure_scatter(fit, runs[::2], binning=runs[0].binning)
    assert scatter == pytest.approx(0.1, abs=0.04)


def test_events_without_exposure_do_not_scatter(runs):
    fit = fit_points(runs, np.arange(40))
    before = measure_scatter(fit, runs[:1], binning=runs[0].binning)
    blind = runs[0].solid_angle_3d.copy()
    blind[3, 4] = 0.0
    masked = replace(runs[0], solid_angle_3d=blind)
    cleared = runs[0].counts_3d.copy()
    cleared[:, 3, 4] = 0
    results = [
        measure_scatter(fit, [run], binning=runs[0].binning)
        for run in (masked, replace(masked, counts_3d=cleared))
    ]
    assert results[0] == results[1] != before


def test_poisson_noise_is_no_scatter():
    rng = np.random.default_rng(1)
    mean = rng.uniform(500, 3000, 4000)
    assert norm_scatter(rng.poisson(mean), mean, n_runs=4000, n_terms=1) < 0.01
    assert norm_scatter(mean, mean, n_runs=4000, n_terms=1) == 0.0


def test_terms_take_a_part_of_the_scatter():
    rng = np.random.default_rng(1)
    mean = np.full(10, 10_000.0)
    counts = rng.poisson(mean * np.exp(rng.normal(0, 0.1, 10)))
    few, many = (norm_scatter(counts, mean, n_runs=10, n_terms=n) for n in (0, 3))
    assert many > few > 0


def test_long_runs_weigh_no_more_than_others():
    """The fit is pulled to the longest runs: their residuals are too small."""
    rng = np.random.default_rng(2)
    mean = np.repeat([2_000.0, 40_000.0], [180, 20])
    norms = rng.normal(0, np.repeat([0.1, 0.02], [180, 20]))
    scatter = norm_scatter(
        rng.poisson(mean * np.exp(norms)), mean, n_runs=200, n_terms=0
    )
    assert scatter == pytest.approx(0.1 * np.sqrt(0.9), rel=0.1)


def test_scatter_below_the_safe_energy_is_that_of_single_energies():
    """Above, runs scatter as one; below, each energy by itself."""
    rng = np.random.default_rng(3)
    expected = np.tile([900.0, 2000.0, 1500.0, 300.0], (200, 1))
    is_safe = np.arange(4) >= np.repeat([1, 2], 100)[:, None]
    norms = np.where(
        is_safe, rng.normal(0, 0.05, (200, 1)), rng.normal(0, 0.4, (200, 4))
    )
    observed = rng.poisson(expected * np.exp(norms - norms.var() / 2))
    of_runs, low = run_scatters(
        observed, expected, is_safe=is_safe, n_runs=200, n_terms=0
    )
    assert of_runs == pytest.approx(0.05, abs=0.012)
    assert low == pytest.approx(0.42, abs=0.06)


def test_without_low_energies_they_do_not_scatter():
    expected = np.full((6, 3), 100.0)
    found = run_scatters(
        2 * expected, expected, is_safe=expected > 0, n_runs=6, n_terms=0
    )
    assert found[1] == 0.0


def test_terms_across_the_field_take_no_norm():
    assert count_run_terms(("zenith", "muon", "gradient", "quadrupole")) == 2
