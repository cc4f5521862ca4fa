from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.points import join_runs
from bkgpipe.stages.fit.systematics import measure_systematics, run_systematics
from bkgpipe.stages.fit.terms import make_conditions

SETTINGS = {
    "fov_alignment": "ALTAZ",
    "terms": ("zenith",),
    "offset_splines": 4,
    "ridge": 0.01,
}
N_RUNS, N_FIELDS = 40, 10


@pytest.fixture(scope="module")
def runs(make_run):
    """Forty runs of some 1500 events in ten fields; norms scatter by 0.1 and 0.15."""
    axes = Binning(
        energy_edges=np.geomspace(0.3, 30.0, 7),
        fov_lon_edges=np.linspace(-2.5, 2.5, 9),
        fov_lat_edges=np.linspace(-2.5, 2.5, 11),
        offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
    )
    rng = np.random.default_rng(9)
    of_field = rng.normal(0, 0.15, N_FIELDS)
    mean = np.array([900.0, 400.0, 150.0, 50.0, 15.0, 5.0])[:, None, None]
    mean = mean * axes.solid_angle_3d / axes.solid_angle_3d.sum()
    return [
        RunCounts(
            run=make_run(
                number,
                zenith=float(zenith),
                ra=20.0 * (number % N_FIELDS),
                dec=-30.0,
            ),
            binning=axes,
            counts_3d=rng.poisson(
                mean * np.exp(rng.normal(of_field[number % N_FIELDS], 0.1))
            ),
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


def points_of(runs, point=None):
    point = np.arange(len(runs)) if point is None else point
    return join_runs(runs, point, fov_alignment="ALTAZ")


def measure(runs, **changes):
    points = points_of(runs)
    return measure_systematics(fit_regression(points, **(SETTINGS | changes)), points)


@pytest.fixture(scope="module")
def fit(runs):
    return measure(runs)


def systematics_of(fit, run, *, ra, excursion_error=0.0):
    return run_systematics(
        fit,
        make_conditions(run, fov_alignment="ALTAZ"),
        run.binning,
        pointing=(ra, -30.0),
        excursion_error=excursion_error,
    )


def test_scatter_is_that_of_runs_and_of_fields(fit):
    """Of a field whose other runs are in the fit, the fit does not know either."""
    found = fit.systematics
    assert fit.scatter == found.scatter[-1] == pytest.approx(0.18, abs=0.04)
    assert found.field_scatter[-1] >= found.scatter[-1]
    np.testing.assert_allclose(found.edges, [0.3, 1.392, 3.0, 13.92, 30.0], rtol=1e-3)
    assert found.scatter.shape == found.field_scatter.shape == (5,)
    np.testing.assert_allclose(found.scatter[:3], 0.18, atol=0.06)


def test_errors_cover_runs_that_were_not_in_the_fit(runs):
    """Folds of their own: pulls are as wide as they should be."""
    from_fit = []
    for fold in range(4):
        fit = measure([run for run in runs if run.obs_id % 4 != fold])
        from_fit.append(fit.scatter)
    assert np.mean(from_fit) == pytest.approx(0.18, abs=0.04)


def test_poisson_noise_alone_leaves_a_small_error(runs):
    """Twenty runs of noise: SYSERR is not zero, and tells how well zero is known."""
    rng = np.random.default_rng(3)
    mean = np.mean([run.counts_3d for run in runs], axis=0)
    calm = [replace(run, counts_3d=rng.poisson(mean)) for run in runs[:20]]
    fit = measure(calm)
    assert 0.002 < fit.scatter < 0.03
    assert (fit.systematics.scatter > 0).all()
    # hardly any events in the highest band, which borrows from its neighbours
    assert fit.systematics.scatter[-2] < 0.1


@pytest.mark.parametrize("n_runs", [2, 3])
def test_very_few_runs_have_an_error(runs, n_runs):
    fit = measure(runs[:n_runs])
    assert 0 < fit.scatter < 1


def test_one_run_tells_nothing(runs):
    fit = measure(runs[:1])
    assert np.isnan(fit.scatter)
    total, of_energy = systematics_of(fit, runs[0], ra=0.0)
    assert np.isnan(total)
    assert not of_energy.size


def test_fields_that_the_fit_has_not_seen_have_the_error_of_a_field(fit, runs):
    wide = replace(fit.systematics, field_scatter=2 * fit.systematics.scatter)
    fit = replace(fit, systematics=wide)
    (seen, near), (other, far) = (
        systematics_of(fit, runs[0], ra=ra) for ra in (20.3, 30.0)
    )
    assert seen == pytest.approx(fit.scatter)
    assert other == pytest.approx(2 * fit.scatter)
    np.testing.assert_allclose(far, 2 * near)
    assert near.shape == (runs[0].binning.n_energy,)


def test_conditions_beyond_the_fit_add_in_quadrature(fit, runs):
    total, of_energy = systematics_of(fit, runs[0], ra=20.0, excursion_error=0.4)
    plain, before = systematics_of(fit, runs[0], ra=20.0)
    assert total == pytest.approx(np.hypot(plain, 0.4))
    np.testing.assert_allclose(of_energy, np.hypot(before, 0.4))


def test_below_the_safe_energy_the_error_is_that_of_single_energies(fit, runs):
    fit = replace(fit, low_scatter=0.7)
    high = np.arange(runs[0].binning.n_energy) >= 2
    run = replace(
        runs[0], is_safe=high, safe_energy_min=runs[0].binning.energy_edges[2]
    )
    _, of_energy = systematics_of(fit, run, ra=20.0)
    assert of_energy[:2] == pytest.approx(0.7)
    assert (of_energy[2:] < 0.3).all()


def test_the_order_of_points_does_not_matter(fit, runs):
    points = points_of(runs, np.arange(N_RUNS)[::-1])
    found = measure_systematics(fit_regression(points, **SETTINGS), points)
    assert found.systematics.field_scatter == pytest.approx(
        fit.systematics.field_scatter, rel=1e-3
    )


def test_unknown_pointings_leave_nights_out(runs):
    lost = [replace(run, run=replace(run.run, ra=np.nan)) for run in runs]
    found = measure(lost).systematics
    assert not found.pointings.size
    assert (found.field_scatter >= found.scatter).all()


def test_joining_runs_changes_their_scatter_little(fit, runs):
    point = np.arange(N_RUNS) // 2
    points = points_of(runs, point)
    joined = fit_regression(points, **SETTINGS)
    found = measure_systematics(joined, points, runs=runs, point=point)
    assert found.scatter == pytest.approx(fit.scatter, rel=0.15)
    np.testing.assert_array_equal(
        found.systematics.scatter, found.systematics.field_scatter
    )
    some = measure_systematics(joined, points, runs=runs[::2], point=point[::2])
    assert some.scatter == pytest.approx(fit.scatter, rel=0.4)
