from __future__ import annotations

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import angular_separation
from gammapy.irf import Background2D, Background3D
from gammapy.maps import MapAxis

from bkgpipe.errors import BinningMismatchError, NoRunsError
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.tools.compare.common_grid import CommonGrid, common_grid
from bkgpipe.tools.compare.data import BinRates, Comparison, FileModel
from bkgpipe.tools.compare.score import (
    compare_rates,
    frame_of_truth,
    mean_comparison,
    model_rates,
    summarise,
    truth_rates,
)

ENERGY = np.geomspace(0.1, 30.0, 8)
LON, LAT = np.linspace(-2.0, 2.0, 6), np.linspace(-2.5, 2.5, 7)
OFFSET = np.array([0.0, 0.7, 1.3, 2.0])


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(np.random.default_rng(3).normal(0.0, 0.3, shape))


def _image(**changes: object) -> FileModel:
    energy = np.sqrt(ENERGY[1:] * ENERGY[:-1])
    rate = energy[:, np.newaxis, np.newaxis] ** -2.7 * _noise((7, 5, 6))
    model = FileModel(energy_edges=ENERGY, field_edges=(LON, LAT), rate=rate)
    return replace(model, **changes)


def _rings(**changes: object) -> FileModel:
    energy = np.sqrt(ENERGY[1:] * ENERGY[:-1])
    rate = energy[:, np.newaxis] ** -2.7 * _noise((7, 3))
    model = FileModel(energy_edges=ENERGY, field_edges=(OFFSET,), rate=rate)
    return replace(model, **changes)


def _irf(model: FileModel) -> Background2D | Background3D:
    energy = MapAxis.from_energy_edges(model.energy_edges * u.TeV)
    names = ("fov_lon", "fov_lat") if model.is_3d else ("offset",)
    field = [
        MapAxis.from_edges(edges, unit="deg", name=name)
        for edges, name in zip(model.field_edges, names, strict=True)
    ]
    kind = Background3D if model.is_3d else Background2D
    return kind(axes=[energy, *field], data=model.rate, unit="s-1 TeV-1 sr-1")


def _by_gammapy(model: FileModel, grid: CommonGrid) -> np.ndarray:
    """Evaluate and integrate with gammapy, at the points of the grid."""
    lon, lat = grid.points
    # gammapy takes the last edge for outside
    energy = np.clip(grid.fine_energy, None, model.energy_edges[-1] * (1 - 1e-9))
    places = {"fov_lon": lon * u.deg, "fov_lat": lat * u.deg}
    if not model.is_3d:
        offset = angular_separation(0 * u.deg, 0 * u.deg, lon * u.deg, lat * u.deg)
        places = {"offset": offset.to("deg")}
    integral = _irf(model).integrate_log_log(
        axis_name="energy", energy=energy[:, np.newaxis, np.newaxis] * u.TeV, **places
    )
    in_bins = (integral.to_value("s-1 sr-1") * grid.weights).sum(axis=-1)
    n_energy = grid.binning.n_energy
    summed = in_bins.reshape(n_energy, 4, -1).sum(axis=1)
    rate: np.ndarray = summed / grid.binning.energy_width[:, np.newaxis]
    return rate.reshape(n_energy, *grid.solid_angle.shape)


@pytest.mark.parametrize("make", [_image, _rings])
@pytest.mark.parametrize("as_2d", [False, True])
def test_rates_are_those_of_gammapy(make, as_2d) -> None:  # type: ignore[no-untyped-def]
    model = make()
    other = _image(energy_edges=np.geomspace(0.2, 20.0, 8))
    grid = common_grid([model, other], as_2d=as_2d)
    expected = _by_gammapy(model, grid)[:, grid.is_inside]
    found = model_rates(model, grid).rate[:, grid.is_inside]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_power_law_has_its_exact_mean() -> None:
    energy = np.sqrt(ENERGY[1:] * ENERGY[:-1])
    rate = energy[:, np.newaxis] ** -2.0 * np.ones(3)
    found = model_rates(_rings(rate=rate), common_grid([_rings()], as_2d=True)).rate
    mean = (1 / ENERGY[:-1] - 1 / ENERGY[1:]) / np.diff(ENERGY)
    np.testing.assert_allclose(found, mean[:, np.newaxis] * np.ones(3), rtol=1e-9)


def test_bins_that_a_zero_reaches_are_not_defined() -> None:
    rate = _rings().rate.copy()
    rate[5:, 2] = 0.0
    found = model_rates(_rings(rate=rate), common_grid([_rings()], as_2d=True)).rate
    assert np.isnan(found[5:, 2]).all()
    assert np.isnan(found[4:, 1:]).all()
    assert np.isfinite(found[:4]).all()
    assert np.isfinite(found[:, 0]).all()


def test_a_single_ring_is_the_same_everywhere() -> None:
    model = FileModel(
        energy_edges=np.array([1.0, 10.0]),
        field_edges=(np.array([0.0, 2.0]),),
        rate=np.array([[3.0]]),
    )
    found = model_rates(model, common_grid([model], as_2d=True))
    np.testing.assert_allclose(found.rate, 3.0)


def test_stated_errors_are_averaged_over_the_bins() -> None:
    error = np.full((7, 5, 6), 0.1)
    error[:, :, 3:] = 0.3
    model = _image(error=error, systematic=0.05)
    found = model_rates(model, common_grid([model], as_2d=False))
    assert found.error_source == "as stated, with that of the norm"
    assert found.systematic == 0.05
    # the common field is square, and reaches to 2 deg
    np.testing.assert_allclose(found.error[:, :, 0], 0.1)
    np.testing.assert_allclose(found.error[:, :, -1], 0.3)
    rings = model_rates(model, common_grid([model], as_2d=True))
    assert rings.error[0, 0] == pytest.approx(0.2, abs=0.01)


def test_without_errors_the_hours_tell_them() -> None:
    model = _rings(ontime=3600.0)
    grid = common_grid([model], as_2d=True)
    found = model_rates(model, grid)
    assert found.error_source.startswith("Poisson")
    size = grid.binning.energy_width[:, np.newaxis] * grid.solid_angle
    np.testing.assert_allclose(found.error**-2, found.rate * size * 3600.0)


def test_without_anything_there_are_none() -> None:
    grid = common_grid([_rings()], as_2d=True)
    found = model_rates(_rings(), grid)
    assert (found.error_source, found.error.size) == ("none", 0)
    alone = model_rates(_rings(systematic=0.1), grid)
    assert alone.error_source == "that of the norm alone"
    np.testing.assert_allclose(alone.sigma, 0.1 * alone.rate)


@pytest.mark.parametrize("as_2d", [False, True])
def test_a_truth_is_its_own_mean_times_the_factor(as_2d: bool) -> None:
    truth = Truth()
    grid = common_grid([_image()], as_2d=as_2d)
    found = truth_rates(truth, grid, factor=1.5)
    mean = (mean_rate_2d if as_2d else mean_rate_3d)(truth, grid.binning)
    np.testing.assert_allclose(found.rate[mean > 0], 1.5 * mean[mean > 0])
    assert np.isnan(found.rate[mean == 0]).all()
    assert not found.sigma[mean > 0].any()


def test_only_gradients_give_a_truth_a_frame() -> None:
    assert frame_of_truth(Truth(fov_alignment="ALTAZ")) == ""
    tilted = Truth(fov_alignment="ALTAZ", gradient_lat=0.1)
    assert frame_of_truth(tilted) == "ALTAZ"


def _pair(
    scale: float = 1.1, *, energy_min: float = 0.0, systematic: float = 0.0
) -> Comparison:
    model = _rings(error=np.full((7, 3), 0.05), systematic=systematic)
    grid = common_grid([model], as_2d=True)
    b = model_rates(model, grid)
    return compare_rates(b.scaled(scale), b, grid, energy_min=energy_min)


def test_a_scaled_model_differs_by_its_scale() -> None:
    pair = _pair()
    run = summarise(pair, obs_id=7, ontime=60.0)
    assert (run.obs_id, run.ontime, run.n_bins) == (7, 60.0, 21)
    assert run.ratio == pytest.approx(1.1)
    assert run.rms == pytest.approx(0.0, abs=1e-12)
    expected = 0.1 / (0.05 * np.hypot(1.1, 1.0))
    assert run.pull_mean == pytest.approx(expected)
    assert run.pull_width == pytest.approx(0.0, abs=1e-12)


def test_energies_that_are_not_safe_are_left_out() -> None:
    pair = _pair(energy_min=ENERGY[3])
    assert not pair.is_used[:3].any()
    assert pair.is_used[3:].all()


def test_models_that_are_nowhere_positive_together_are_refused() -> None:
    with pytest.raises(BinningMismatchError, match=r"compare: .*bkgpipe show"):
        _pair(energy_min=100.0)


def test_without_errors_there_are_no_pulls() -> None:
    model, grid = _rings(), common_grid([_rings()], as_2d=True)
    rates = model_rates(model, grid)
    run = summarise(compare_rates(rates, rates, grid), obs_id=-1, ontime=1.0)
    assert np.isnan([run.pull_mean, run.pull_width]).all()


def test_the_mean_is_weighted_with_time() -> None:
    mean = mean_comparison([(_pair(1.0), 300.0), (_pair(1.4), 100.0)])
    np.testing.assert_allclose(mean.ratio, 1.1)
    # the same events are behind all runs
    np.testing.assert_allclose(mean.a.error, 0.05)
    assert mean.a.error_source == "as stated, with that of the norm"


def test_errors_of_norms_average_out() -> None:
    pairs = [(_pair(1.0, systematic=0.2), 50.0)] * 4
    assert mean_comparison(pairs).a.systematic == pytest.approx(0.1)


def test_a_bin_is_averaged_over_the_runs_that_use_it() -> None:
    mean = mean_comparison([(_pair(1.0), 1.0), (_pair(2.0, energy_min=ENERGY[4]), 1.0)])
    np.testing.assert_allclose(mean.ratio[:4], 1.0)
    np.testing.assert_allclose(mean.ratio[4:], 1.5)


def test_one_run_without_errors_leaves_the_mean_without() -> None:
    pair = _pair()
    bare = replace(pair, a=replace(pair.a, error=np.empty(0), error_source="none"))
    mean = mean_comparison([(pair, 1.0), (bare, 1.0), (pair, 1.0)])
    assert not mean.a.error.size
    assert mean.a.error_source == "as stated, with that of the norm, or none"
    assert mean.b.error.size


def test_nothing_has_no_mean() -> None:
    with pytest.raises(NoRunsError, match=r"compare: .*runs in common"):
        mean_comparison([])


def test_a_scaled_rate_keeps_its_relative_errors() -> None:
    rates = BinRates(
        rate=np.array([2.0, 4.0]),
        error=np.array([0.1, 0.2]),
        systematic=0.0,
        error_source="x",
    )
    np.testing.assert_allclose(rates.scaled(0.5).sigma, [0.1, 0.4])
