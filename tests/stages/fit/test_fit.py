from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import NoEventsError, SettingsError
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.points import find_points, join_runs, make_head
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.terms import make_conditions

LIVETIME = 1500.0
SLOPE = -4.0
GRADIENT = (0.08, -0.05)
SMALL = {"energy_splines": 3, "offset_splines": 4, "ridge": 0.01}
TERMS = ("zenith", "gradient")


def true_rate(binning, zenith):
    """Power law in a Gaussian field with gradients and a zenith law."""
    energy = np.sqrt(binning.energy_edges[:-1] * binning.energy_edges[1:])
    lon, lat = (
        (edges[:-1] + edges[1:]) / 2
        for edges in (binning.fov_lon_edges, binning.fov_lat_edges)
    )
    space = -(lon[:, None] ** 2 + lat**2) / 4
    space += GRADIENT[0] * lon[:, None] + GRADIENT[1] * lat
    law = SLOPE * (np.cos(np.radians(zenith)) - 0.8)
    return 300.0 * energy[:, None, None] ** -2.5 * np.exp(space + law)


@pytest.fixture(scope="module")
def binning():
    return Binning(
        energy_edges=np.geomspace(0.3, 30.0, 9),
        fov_lon_edges=np.linspace(-2.5, 2.5, 11),
        fov_lat_edges=np.linspace(-2.5, 2.5, 13),
        offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
    )


@pytest.fixture(scope="module")
def make_counts(make_run, binning):
    def make(obs_id, *, zenith=30.0, noise=True, control=700, n_unsafe=1, axes=binning):
        run = make_run(obs_id, zenith=zenith, muon_efficiency=0.9)
        safe = np.arange(axes.n_energy) >= n_unsafe
        mean = true_rate(axes, zenith) * axes.energy_width[:, None, None]
        mean *= LIVETIME * axes.solid_angle_3d * safe[:, None, None]
        counts = np.random.default_rng(obs_id).poisson(mean) if noise else mean
        return RunCounts(
            run=run,
            binning=axes,
            counts_3d=counts,
            counts_2d=np.zeros(axes.shape_2d, dtype=int),
            solid_angle_3d=axes.solid_angle_3d,
            solid_angle_2d=axes.solid_angle_2d,
            is_safe=safe,
            safe_energy_min=float(axes.energy_edges[n_unsafe]),
            safe_energy_origin="setting",
            ontime=LIVETIME / 0.9,
            livetime=LIVETIME,
            position_angle=40.0,
            conservation=Conservation(),
            control=ControlEvents(
                counts_outer=control, exposure_outer=9.0, counts_low=0, exposure_low=0.0
            ),
            checksum="",
        )

    return make


@pytest.fixture(scope="module")
def archive(make_counts):
    zeniths = np.linspace(5.0, 55.0, 12)
    return [make_counts(i, zenith=z) for i, z in enumerate(zeniths, start=1)]


@pytest.fixture(scope="module")
def archive_fit(archive):
    return fit_runs(archive, fov_alignment="RADEC", terms=TERMS, **SMALL)


def fit_runs(runs, *, fov_alignment, **settings):
    points = join_runs(runs, np.arange(len(runs)), fov_alignment=fov_alignment)
    return fit_regression(points, fov_alignment=fov_alignment, **settings)


def columns_of(fit, name):
    return fit.coefficients[:, [column == name for column in fit.columns]]


def test_the_gradients_are_recovered(archive_fit):
    gradients = columns_of(archive_fit, "gradient")[1:-1]
    np.testing.assert_allclose(gradients.mean(axis=0), GRADIENT, atol=0.02)


def test_the_zenith_law_is_recovered(archive_fit, make_counts, binning):
    expected = []
    for zenith in (12.0, 48.0):
        run = make_counts(99, zenith=zenith)
        conditions = make_conditions(run, fov_alignment="RADEC")
        rate = predict(archive_fit, conditions, binning).rate_3d * run.exposure_3d
        expected.append((rate * binning.energy_width[:, None, None]).sum())
    step = np.diff(np.cos(np.radians([12.0, 48.0])))[0]
    slope = np.log(expected[1] / expected[0]) / step
    assert slope == pytest.approx(SLOPE, abs=0.15)


@pytest.mark.parametrize("zenith", [12.0, 40.0])
def test_a_new_run_is_predicted_within_the_errors(
    archive_fit, make_counts, binning, zenith
):
    conditions = make_conditions(make_counts(99, zenith=zenith), fov_alignment="RADEC")
    rate = predict(archive_fit, conditions, binning)
    # A bin at the rim is the mean of what is inside: compare the others
    inside = np.s_[1:6, 3:7, 3:9]
    pull = np.log(rate.rate_3d / true_rate(binning, zenith))[inside]
    pull /= rate.error_3d[inside]
    assert abs(pull.mean()) < 1.5
    assert 0.4 < np.sqrt(np.mean(pull**2)) < 2.0


def test_errors_cover_the_truth(make_counts, binning):
    inside = []
    for seed in range(6):
        runs = [
            make_counts(100 * seed + i, zenith=z)
            for i, z in enumerate([10.0, 25.0, 40.0, 50.0])
        ]
        fit = fit_runs(runs, fov_alignment="RADEC", terms=TERMS, **SMALL)
        conditions = make_conditions(runs[1], fov_alignment="RADEC")
        rate = predict(fit, conditions, binning)
        pull = np.log(rate.rate_3d / true_rate(binning, 25.0)) / rate.error_3d
        inside.append(np.abs(pull[1:5, 3:7, 3:9]) < 1)
    assert 0.5 < np.mean(inside) < 0.85


def test_counts_of_each_energy_are_conserved(archive, binning):
    fit = fit_runs(
        archive, fov_alignment="RADEC", terms=TERMS, energy_splines=5, offset_splines=4
    )
    expected, observed = np.zeros(8), np.zeros(8)
    for run in archive:
        conditions = make_conditions(run, fov_alignment="RADEC")
        rate = predict(fit, conditions, binning).rate_3d * run.safe_exposure_3d
        expected += rate.sum(axis=(1, 2)) * binning.energy_width
        observed += run.counts_3d.sum(axis=(1, 2))
    np.testing.assert_allclose(expected.sum(), observed.sum(), rtol=1e-3)
    np.testing.assert_allclose(expected[1:5], observed[1:5], rtol=0.03)


def test_the_fit_tells_how_good_it_is(archive_fit):
    assert archive_fit.n_runs == 12
    assert archive_fit.livetime == 12 * LIVETIME
    assert archive_fit.n_steps <= 8
    assert 10 < archive_fit.edf < archive_fit.coefficients.size
    assert np.isnan(archive_fit.scatter)
    assert np.isfinite(archive_fit.covariance).all()


def test_terms_without_their_condition_drop_out(archive):
    fit = fit_runs(
        archive,
        fov_alignment="RADEC",
        terms=("zenith", "muon", "control_low", "control_outer"),
        **SMALL,
    )
    assert fit.terms == ("zenith",)
    assert [reason.split(":")[0] for reason in fit.dropped] == [
        "muon",
        "control_low",
        "control_outer",
    ]


def test_a_single_run_needs_no_conditions(archive, binning):
    fit = fit_runs(
        archive[:1], fov_alignment="ALTAZ", terms=(*TERMS, "gradient_zenith"), **SMALL
    )
    assert fit.terms == ("gradient", "gradient_zenith")
    conditions = make_conditions(archive[0], fov_alignment="ALTAZ")
    rate = predict(fit, conditions, binning)
    assert np.isfinite(rate.rate_3d).all()
    observed = archive[0].counts_3d.sum()
    expected = (
        rate.rate_3d * archive[0].safe_exposure_3d * binning.energy_width[:, None, None]
    )
    assert expected.sum() == pytest.approx(observed, rel=1e-3)


def test_an_empty_run_pulls_the_others_down_a_little(archive):
    empty = replace(archive[3], counts_3d=np.zeros_like(archive[3].counts_3d))
    fit = fit_runs([*archive, empty], fov_alignment="RADEC", terms=TERMS, **SMALL)
    assert np.isfinite(fit.coefficients).all()


def test_a_masked_run_counts_for_nothing(archive):
    masked = replace(
        archive[3],
        counts_3d=np.zeros_like(archive[3].counts_3d),
        solid_angle_3d=np.zeros_like(archive[3].solid_angle_3d),
    )
    fit = fit_runs(
        [*archive, masked], fov_alignment="RADEC", terms=("gradient",), **SMALL
    )
    without = fit_runs(archive, fov_alignment="RADEC", terms=("gradient",), **SMALL)
    np.testing.assert_allclose(fit.coefficients, without.coefficients, atol=1e-6)


def test_a_single_energy_is_enough(make_counts, binning):
    axes = Binning(
        energy_edges=np.array([1.0, 2.0]),
        fov_lon_edges=binning.fov_lon_edges,
        fov_lat_edges=binning.fov_lat_edges,
        offset_edges=binning.offset_edges,
    )
    run = make_counts(5, n_unsafe=0, axes=axes)
    fit = fit_runs([run], fov_alignment="RADEC", terms=TERMS, **SMALL)
    rate = predict(fit, make_conditions(run, fov_alignment="RADEC"), axes)
    expected = rate.rate_3d * run.exposure_3d * axes.energy_width
    assert expected.sum() == pytest.approx(run.counts_3d.sum(), rel=0.01)


def test_an_unknown_term_is_refused(archive):
    with pytest.raises(SettingsError, match=r"section \[fit\].*moon.*Choose among"):
        fit_runs(archive, fov_alignment="RADEC", terms=("moon",), **SMALL)


def test_a_negative_penalty_is_refused(archive):
    with pytest.raises(SettingsError, match=r"penalties.*Make them zero or more"):
        fit_runs(archive, fov_alignment="RADEC", terms=TERMS, penalty=-1.0, **SMALL)


def test_no_events_are_refused(archive):
    empty = replace(archive[3], counts_3d=np.zeros_like(archive[3].counts_3d))
    with pytest.raises(NoEventsError, match=r"regression of 1 runs.*Select more"):
        fit_runs([empty], fov_alignment="RADEC", terms=TERMS, **SMALL)


def test_the_order_of_points_does_not_matter(archive, archive_fit):
    point = np.arange(len(archive))[::-1]
    points = join_runs(archive, point, fov_alignment="RADEC")
    fit = fit_regression(points, fov_alignment="RADEC", terms=TERMS, **SMALL)
    np.testing.assert_allclose(fit.coefficients, archive_fit.coefficients, atol=1e-10)


def test_runs_of_equal_conditions_may_as_well_be_joined(make_counts):
    zeniths = np.repeat([10.0, 30.0, 45.0, 55.0], 3)
    runs = [make_counts(i, zenith=z) for i, z in enumerate(zeniths, start=1)]
    whole = fit_runs(runs, fov_alignment="RADEC", terms=TERMS, **SMALL)
    heads = [make_head(run, fov_alignment="RADEC") for run in runs]
    point = find_points(heads, TERMS, max_points=4)
    points = join_runs(runs, point, fov_alignment="RADEC")
    fit = fit_regression(points, fov_alignment="RADEC", terms=TERMS, **SMALL)
    np.testing.assert_allclose(fit.coefficients, whole.coefficients, atol=1e-5)
    np.testing.assert_array_equal(fit.condition_high, whole.condition_high)
    assert (fit.n_runs, fit.livetime) == (12, 12 * LIVETIME)


def test_joined_runs_give_the_rates_of_single_ones(make_counts, binning):
    zeniths = np.random.default_rng(5).uniform(5.0, 55.0, 60)
    runs = [make_counts(i, zenith=z) for i, z in enumerate(zeniths, start=1)]
    whole = fit_runs(runs, fov_alignment="RADEC", terms=TERMS, **SMALL)
    heads = [make_head(run, fov_alignment="RADEC") for run in runs]
    point = find_points(heads, TERMS, max_points=10)
    points = join_runs(runs, point, fov_alignment="RADEC")
    fit = fit_regression(points, fov_alignment="RADEC", terms=TERMS, **SMALL)
    conditions = make_conditions(make_counts(99, zenith=35.0), fov_alignment="RADEC")
    ratio = (
        predict(fit, conditions, binning).rate_3d
        / predict(whole, conditions, binning).rate_3d
    )
    np.testing.assert_allclose(ratio[1:5], 1.0, atol=0.01)


def test_scatter_of_joined_runs_is_left_open(archive):
    points = join_runs(archive, np.arange(12) // 2, fov_alignment="RADEC")
    fit = fit_regression(points, fov_alignment="RADEC", terms=TERMS, **SMALL)
    assert np.isnan(fit.scatter)
