from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError, InputError
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.export.interpolation import scale_energies
from bkgpipe.stages.export.norm import (
    Norm,
    apply_norm,
    low_norm,
    no_norm,
    rim_norm,
    rim_start,
    run_energy_norm,
    run_norm,
)
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.stack.data import Conditions

_CONDITIONS = Conditions(
    zenith=20.0, azimuth=10.0, cos_zenith=0.94, deadc=0.9, muon_efficiency=1.0
)


@pytest.fixture
def binning(make_binning):
    return make_binning(energy_edges=np.geomspace(0.1, 10.0, 9))


@pytest.fixture
def model(binning) -> RateModel:
    spectrum = 1e3 * (binning.energy_edges[:-1] / 0.1) ** -1.5
    return RateModel(
        stack_id=1,
        binning=binning,
        method="none",
        rate_3d=np.broadcast_to(spectrum[:, None, None], binning.shape_3d) + 0.0,
        exposure_3d=np.ones(binning.shape_3d),
        rate_2d=np.broadcast_to(spectrum[:, None], binning.shape_2d) + 0.0,
        exposure_2d=np.ones(binning.shape_2d),
        n_runs=3,
        livetime=3e4,
        conditions=_CONDITIONS,
    )


@pytest.fixture
def nodes(binning) -> NodeModel:
    rng = np.random.default_rng(2)
    return NodeModel(
        stack_id=1,
        obs_id=5,
        binning=binning,
        bkg_3d=rng.uniform(1, 2, binning.shape_3d),
        bkg_2d=rng.uniform(1, 2, binning.shape_2d),
        n_filled_3d=0,
        n_filled_2d=0,
        fov_alignment="RADEC",
        n_runs=3,
        livetime=3e4,
        conditions=_CONDITIONS,
        error_3d=rng.uniform(0.1, 0.2, binning.shape_3d),
        systematic=0.3,
    )


@pytest.fixture
def run(binning, make_run) -> RunCounts:
    kept = binning.solid_angle_3d.copy()
    kept[:2] = 0.0
    return RunCounts(
        run=make_run(5),
        binning=binning,
        counts_3d=np.zeros(binning.shape_3d, dtype=np.int64),
        counts_2d=np.zeros(binning.shape_2d, dtype=np.int64),
        solid_angle_3d=kept,
        solid_angle_2d=binning.solid_angle_2d,
        is_safe=np.arange(binning.n_energy) > 0,
        safe_energy_min=0.2,
        safe_energy_origin="table",
        ontime=1.1e6,
        livetime=1e6,
        position_angle=0.0,
        conservation=Conservation(),
        control=ControlEvents(
            counts_outer=0, exposure_outer=1.0, counts_low=0, exposure_low=1.0
        ),
        checksum="",
    )


def _predicted(model: RateModel, run: RunCounts) -> np.ndarray:
    width = run.binning.energy_width[:, None, None]
    return model.rate_3d * run.safe_exposure_3d * width


def _drawn(model: RateModel, run: RunCounts, factor) -> RunCounts:
    factor = np.broadcast_to(factor, run.binning.shape_3d[:1])
    mean = _predicted(model, run) * factor[:, None, None]
    return replace(run, counts_3d=np.random.default_rng(1).poisson(mean))


def test_norm_is_counted_over_predicted_outside_the_mask(model, run):
    counted = _drawn(model, run, 1.3)

    norm = run_norm(model, counted)

    factor, error = norm.factor, norm.error
    assert factor.shape == error.shape == (8,)
    n, m = counted.counts_3d.sum(), _predicted(model, run).sum()
    np.testing.assert_allclose(factor, n / m)
    np.testing.assert_allclose(error, np.sqrt(n) / m)
    assert abs(factor[0] - 1.3) < 4 * error[0]


@pytest.mark.parametrize("find_norm", [run_norm, run_energy_norm])
def test_what_is_below_the_safe_energy_does_not_matter(model, run, find_norm):
    counted = _drawn(model, run, 1.3)
    below = counted.counts_3d.copy()
    below[0] += 1000

    found = find_norm(model, replace(counted, counts_3d=below))

    expected = find_norm(model, counted)
    np.testing.assert_array_equal(found.factor, expected.factor)
    np.testing.assert_array_equal(found.error, expected.error)


def test_bands_that_agree_share_one_factor(model, run):
    mean = np.round(_predicted(model, run)).astype(np.int64)
    counted = replace(run, counts_3d=mean)

    norm, overall = run_energy_norm(model, counted), run_norm(model, counted)

    np.testing.assert_allclose(norm.factor, overall.factor)
    np.testing.assert_allclose(norm.error, overall.error)


def test_bands_that_differ_keep_their_factors_as_far_as_counts_allow(model, run):
    truth = np.repeat([0.8, 0.9, 1.2, 1.4], 2)
    counted = _drawn(model, run, truth)
    n_band = counted.counts_3d.sum(axis=(1, 2)).reshape(4, 2).sum(axis=1)

    norm = run_energy_norm(model, counted)

    factor, error = norm.factor, norm.error
    assert (n_band > 20).all()
    raw = n_band / _predicted(model, run).sum(axis=(1, 2)).reshape(4, 2).sum(axis=1)
    overall = run_norm(model, counted).factor[0]
    shrunk = factor[::2]
    assert (factor[::2] == factor[1::2]).all()
    assert (np.abs(shrunk - overall) <= np.abs(raw - overall) + 1e-12).all()
    assert (np.abs(factor - truth) < 4 * error).all()


def test_a_norm_can_be_undone(nodes):
    factor = np.linspace(0.5, 1.5, 8)
    norm = Norm(factor=factor, error=factor / 10, binning=nodes.binning)

    scaled = apply_norm(nodes, norm)

    edges = nodes.binning.energy_edges
    for name in ("bkg_3d", "bkg_2d"):
        back = scale_energies(getattr(scaled, name), edges, 1 / scaled.norm)
        np.testing.assert_allclose(back, getattr(nodes, name), rtol=1e-4)
    np.testing.assert_array_equal(scaled.norm_error, factor / 10)
    np.testing.assert_array_equal(scaled.error_3d, nodes.error_3d)
    with pytest.raises(BinningMismatchError, match="norm: shape is"):
        replace(nodes, norm=np.ones(3))


def test_the_error_of_the_norm_replaces_the_scatter_of_the_runs(nodes):
    one, many = (
        Norm(factor=factor, error=np.full(8, 0.06), binning=nodes.binning)
        for factor in (np.full(8, 1.2), np.linspace(0.5, 1.5, 8))
    )

    assert apply_norm(nodes, one).systematic == pytest.approx(0.05)
    assert np.isnan(apply_norm(nodes, many).systematic)


def test_a_model_of_fewer_energies_takes_its_part_of_the_norm(nodes):
    part = slice(2, 7)
    cut = replace(
        nodes,
        binning=nodes.binning.cut(part),
        bkg_3d=nodes.bkg_3d[part],
        bkg_2d=nodes.bkg_2d[part],
        error_3d=nodes.error_3d[part],
    )
    factor = np.arange(8.0) + 1
    norm = Norm(factor=factor, error=factor / 9, binning=nodes.binning)

    scaled = apply_norm(cut, norm)

    np.testing.assert_array_equal(scaled.norm, factor[part])


def test_energies_that_are_scaled_have_the_error_of_their_factor(nodes):
    scatter = np.linspace(0.1, 0.8, 8)
    low = replace(
        nodes, systematic_energy=scatter, safe_energy=nodes.binning.energy_edges[2]
    )
    factor, error = np.ones(8), np.zeros(8)
    factor[:2], error[:2] = [0.5, 2.0], [0.02, 0.1]

    scaled = apply_norm(low, Norm(factor=factor, error=error, binning=nodes.binning))

    np.testing.assert_allclose(scaled.systematic_energy[:2], [0.04, 0.05])
    np.testing.assert_array_equal(scaled.systematic_energy[2:], scatter[2:])
    assert scaled.systematic == nodes.systematic


def test_without_a_norm_nothing_changes(model, run, nodes):
    assert apply_norm(nodes, no_norm(model, run)) is nodes


def test_energies_below_the_safe_one_follow_the_run(model, run):
    high = _drawn(model, run, 1.0).counts_3d
    width = run.binning.energy_width[0]
    predicted = (model.rate_3d[0] * run.exposure_3d[0]).sum() * width
    high[0, 2:] = 0
    high[0, 4, 5] = 40
    counted = replace(run, counts_3d=high)
    sure = replace(model, low_scatter=0.0)
    free = replace(model, low_scatter=10.0)

    for norm in (no_norm(model, counted), run_norm(model, counted)):
        found = low_norm(norm, free, counted)
        assert found.factor[0] == pytest.approx(40 / predicted, rel=1e-2)
        assert found.error[0] == pytest.approx(np.sqrt(40) / predicted, rel=1e-2)
        np.testing.assert_array_equal(found.factor[1:], norm.factor[1:])
        np.testing.assert_array_equal(found.error[1:], norm.error[1:])
        held = low_norm(norm, sure, counted)
        expected = (40 + 1e4) / (predicted + 1e4 / norm.factor[1])
        assert held.factor[0] == pytest.approx(expected)


def test_energies_safe_for_no_run_of_the_fit_follow_the_run(model, run):
    counted = _drawn(model, run, 1.5)
    has_safe_runs = np.arange(8) >= 3
    lonely = replace(model, has_safe_runs=has_safe_runs, low_scatter=10.0)

    factor = low_norm(no_norm(lonely, counted), lonely, counted).factor

    assert (np.abs(factor[1:3] - 1.5) < 0.2).all()
    np.testing.assert_array_equal(factor[3:], 1.0)


def test_events_near_the_pointing_do_not_count_for_the_norm(model, run):
    counted = _drawn(model, run, 1.3)
    lon, lat = run.binning.fov_lon_edges, run.binning.fov_lat_edges
    offset = np.hypot((lon[1:] + lon[:-1])[:, None] / 2, (lat[1:] + lat[:-1]) / 2)
    limit = float(np.median(offset))
    wild = np.where(offset < limit, 7777, counted.counts_3d)
    alike = np.where(offset < limit, 0, counted.counts_3d)

    for find_norm in (run_norm, run_energy_norm):
        norms = [
            find_norm(model, replace(run, counts_3d=counts), min_offset=limit)
            for counts in (wild, alike)
        ]
        np.testing.assert_array_equal(norms[0].factor, norms[1].factor)
    assert abs(norms[0].factor[3] - 1.3) < 0.1


@pytest.mark.parametrize("is_fitted", [[True] * 8, [False] * 1 + [True] * 7])
def test_energies_without_events_have_no_norm_of_their_own(model, run, is_fitted):
    counted = _drawn(model, run, 1.0)
    fitted = replace(model, is_fitted=np.array(is_fitted), low_scatter=0.5)

    factor = low_norm(no_norm(fitted, counted), fitted, counted).factor

    assert (factor[0] != 1.0) == is_fitted[0]


@pytest.mark.parametrize("norm", [run_norm, run_energy_norm])
def test_a_run_without_events_has_no_norm(model, run, norm):
    with pytest.raises(InputError, match=r"run 5: 0 events are kept.*norm = none"):
        norm(model, run)


def test_another_binning_is_refused(model, run, make_binning):
    other = make_binning(energy_edges=np.geomspace(0.2, 10.0, 9))

    with pytest.raises(BinningMismatchError, match="run 5: energy_edges differ"):
        run_norm(replace(model, binning=other), run)


def _with_annuli(model, run, factor):
    """Give the run as many events in each annulus as the model predicts, times that."""
    mean = model.rate_2d * run.exposure_2d * run.binning.energy_width[:, np.newaxis]
    return replace(run, counts_2d=np.round(factor * mean).astype(np.int64))


def test_the_norm_of_the_rim_looks_at_safe_energies_of_the_rim_alone(model, run):
    counted = _with_annuli(model, run, 1.2)
    is_rim = run.binning.offset_edges[:-1] >= rim_start(run.binning)
    assert 0 < is_rim.sum() < is_rim.size
    other = counted.counts_2d.copy()
    other[:, ~is_rim] += 1000
    other[0] += 1000

    found, expected = (
        rim_norm(model, one) for one in (replace(counted, counts_2d=other), counted)
    )

    np.testing.assert_array_equal(found.factor, expected.factor)
    assert np.ptp(found.factor) == 0.0


@pytest.mark.parametrize(("livetime", "factor"), [(1e-9, 1.0), (1e12, 1.2)])
def test_few_events_at_the_rim_tell_nothing_and_many_all(model, run, livetime, factor):
    exposed = replace(run, livetime=livetime)
    norm = rim_norm(model, _with_annuli(model, exposed, 1.2))
    np.testing.assert_allclose(norm.factor, factor, rtol=1e-4)


def test_the_norm_of_the_rim_leaves_the_error_of_the_model(model, run):
    sure = rim_norm(replace(model, systematic=float("nan")), run)
    unsure = rim_norm(replace(model, systematic=0.3), run)
    np.testing.assert_allclose(unsure.error / unsure.factor, 0.3)
    assert 0 < sure.error[0] < unsure.error[0]


def test_the_rim_is_a_fifth_of_the_radius_at_most(binning):
    start = rim_start(binning)
    assert start in binning.offset_edges[:-1]
    assert start == binning.offset_edges[-2] or start >= 0.8 * binning.offset_max
