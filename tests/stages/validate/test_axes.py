from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.run import Events, Run
from bkgpipe.geometry.frames import from_fov
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask
from bkgpipe.stages.validate.axes import (
    add_steps,
    axis_pixels,
    count_zones,
    fine_axis,
    make_axes,
    match_axis,
    score_axis,
)
from bkgpipe.stages.validate.axes_data import (
    INSIDE_OFFSET,
    RANGES,
    AxisScore,
    EnergyAxis,
    RunOnAxis,
)

MakeRun = Callable[..., Run]
ABOVE, BELOW = RANGES
AXIS = EnergyAxis(name="4", energy_edges=0.1 * 10 ** (np.arange(7) / 4))
# of a safe energy of 0.35 TeV: wholly above 0.56, below 0.18
LOW = np.array([False, True, True, False, False, False])
SAFE = np.array([False, False, False, True, True, True])
MEAN = np.array([0.0, 900.0, 700.0, 5000.0, 800.0, 60.0])


def _run(counts: np.ndarray, predicted: np.ndarray, obs_id: int = 1) -> RunOnAxis:
    return RunOnAxis(
        obs_id=obs_id,
        counts=counts,
        predicted=predicted,
        exact=predicted,
        is_safe=SAFE,
        is_low=LOW,
        is_covered=np.ones(SAFE.shape, dtype=bool),
    )


def _score(runs: list[RunOnAxis], energies: str) -> AxisScore:
    found = score_axis(AXIS, runs, energies=energies)
    assert found is not None
    return found


def test_axes_are_those_of_an_analyst() -> None:
    axes = {axis.name: axis for axis in make_axes(0.1, 50.0)}
    assert list(axes) == [
        *("4", "5", "8", "10", "16", "32", "8 + half a bin"),
        *("8, oversampling 4", "8, oversampling 10"),
    ]
    assert axes["4"].energy_edges[[0, -1]] == pytest.approx([0.1, 31.6], rel=1e-3)
    shifted = axes["8 + half a bin"].energy_edges
    plain = axes["8"].energy_edges
    np.testing.assert_allclose(shifted, plain * 10 ** (1 / 16))
    assert axes["8, oversampling 10"].oversampling == 10
    assert axes["32"].n_energy == 86


def test_an_axis_ends_at_the_last_edge_of_a_range() -> None:
    assert make_axes(0.1, 100.0)[0].energy_edges[-1] == pytest.approx(100.0)


def test_fine_bins_add_up_to_those_of_every_axis() -> None:
    axes = make_axes(0.1457, 99.24)
    steps = fine_axis(axes)
    fine = np.diff(np.log(steps.energy_edges))[:, np.newaxis] * np.array([1.0, 3.0])
    for axis in axes:
        width = np.diff(np.log(axis.energy_edges))[:, np.newaxis]
        added = add_steps(fine, steps, axis)
        np.testing.assert_allclose(added, width * np.array([1.0, 3.0]))


def test_zones_are_cut_by_offset_and_mask(make_run: MakeRun) -> None:
    run = make_run(dec=40.0)
    lon = np.array([0.2, 1.0, 1.2, 1.3, 1.9, 2.1])
    ra, dec = from_fov(lon, np.zeros(6), pointing=(run.ra, run.dec))
    events = Events(
        obs_id=1,
        ra=ra,
        dec=dec,
        energy=np.arange(1.0, 7.0),
        time=np.full(6, run.time_start),
        gti=np.array([[run.time_start, run.time_stop]]),
    )
    disc = ExclusionRegion(name="x", origin="x", ra=run.ra, dec=run.dec, radius=0.5)
    mask = make_exclusion_mask(run, (disc,), nside=2048, search_radius=4.0)
    zones = count_zones(run, events, mask, offset_max=2.0, safe_energy_min=0.3)
    assert zones.inside.tolist() == [2.0, 3.0]
    assert zones.all_offsets.tolist() == [2.0, 3.0, 4.0, 5.0]
    pixel = axis_pixels(AXIS, offset_max=2.0).fine_pixel
    area = zones.kept_share.sum(axis=(1, 2)) * pixel**2
    expected = np.pi * (np.array([INSIDE_OFFSET, 2.0]) ** 2 - 0.5**2)
    np.testing.assert_allclose(area, expected, rtol=5e-3)
    # below the safe energy the inner zone is judged, above both
    found = match_axis(
        zones,
        np.ones((6, 40, 40)) * pixel**2,
        AXIS,
        exact=np.full((6, 40, 40), 2.0) * pixel**2,
        energy_range=(0.17, 10.0),
    )
    np.testing.assert_allclose(found.predicted, area[[0, 0, 1, 1, 1, 1]])
    np.testing.assert_allclose(found.exact, 2 * found.predicted)
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 2]
    assert found.is_safe.tolist() == [False, False, True, True, True, True]
    assert found.is_low.tolist() == [False, True, False, False, False, False]
    assert found.is_covered.tolist() == [False, True, True, True, True, True]


def test_events_outside_good_time_are_in_no_zone(make_run: MakeRun) -> None:
    run = make_run()
    seconds = np.array([-3.0, -1.0, 10.0, np.nan])
    events = Events(
        obs_id=1,
        ra=np.full(4, run.ra),
        dec=np.full(4, run.dec),
        energy=np.arange(1.0, 5.0),
        time=run.time_start + seconds / 86400.0,
        gti=np.array([[run.time_start, run.time_stop]]),
    )
    mask = make_exclusion_mask(run, (), nside=64, search_radius=4.0)
    zones = count_zones(run, events, mask, offset_max=2.0, safe_energy_min=0.3)
    assert zones.inside.tolist() == zones.all_offsets.tolist() == [2.0, 3.0]


def test_a_field_within_the_inner_zone_is_judged_in_all_of_it(
    make_run: MakeRun,
) -> None:
    run = make_run()
    none = np.zeros(0)
    gti = np.array([[run.time_start, run.time_stop]])
    events = Events(obs_id=1, ra=none, dec=none, energy=none, time=none, gti=gti)
    mask = make_exclusion_mask(run, (), nside=512, search_radius=4.0)
    zones = count_zones(run, events, mask, offset_max=1.0, safe_energy_min=0.3)
    assert zones.kept_share.shape == (2, 20, 20)
    np.testing.assert_array_equal(*zones.kept_share)


def test_a_norm_of_runs_is_not_shape() -> None:
    runs = [_run(MEAN, MEAN * factor) for factor in (0.8, 1.5)]
    for energies, first in ((ABOVE, 3), (BELOW, 1)):
        score = _score(runs, energies)
        assert score.total == pytest.approx(2.3 / 2)
        np.testing.assert_allclose(score.deviation[first:], 0.0, atol=1e-12)
        assert score.chi2 == pytest.approx(0.0, abs=1e-12)
        assert score.counts.sum() == 2 * MEAN[first:].sum()


def test_a_ringing_model_is_told_by_its_shape() -> None:
    ringing = MEAN * np.array([1, 1, 1, 1.1, 0.8, 1.1])
    score = _score([_run(MEAN, ringing)], ABOVE)
    norm = MEAN[3:].sum() / ringing[3:].sum()
    fitted = ringing[3:] * norm
    assert score.is_judged.tolist() == SAFE.tolist()
    np.testing.assert_allclose(score.deviation[3:], MEAN[3:] / fitted - 1.0)
    assert score.chi2 == pytest.approx((((MEAN[3:] - fitted) ** 2) / fitted).sum())


def test_an_exact_model_has_the_floor_that_is_told() -> None:
    # what gammapy's power law across a wide bin makes of a rate that is right
    integral = np.array([1.0, 1.3, 1.1, 1.04, 0.97, 1.01])
    counts = [MEAN * factor for factor in (0.9, 1.2)]
    runs = [replace(_run(n, MEAN * integral), exact=MEAN) for n in counts]
    for energies in (ABOVE, BELOW):
        score = _score(runs, energies)
        assert score.floor_total == pytest.approx(score.total * 2.1 / 2)
        n_bins = score.is_judged.sum()
        # a norm of all counts for that of all that is predicted: 2.1 of 2 runs
        assert score.floor_chi2 - n_bins == pytest.approx(score.chi2 * 2 / 2.1)
        assert score.chi2 > 2 * n_bins


def test_without_an_error_of_integrals_the_floor_is_noise() -> None:
    score = _score([_run(MEAN * np.linspace(0.8, 1.2, 6), MEAN)], BELOW)
    assert score.floor_total == pytest.approx(1.0)
    assert score.floor_chi2 == pytest.approx(score.is_judged.sum())


def test_below_the_safe_energy_the_norm_is_that_from_above() -> None:
    wrong = np.where(LOW, 10.0, 1.0) * MEAN * 0.5
    score = _score([_run(MEAN, wrong)], BELOW)
    np.testing.assert_allclose(score.scaled[1:3], 10.0 * MEAN[1:3])
    np.testing.assert_allclose(score.ratio[3:], 1.0)


def test_events_without_a_prediction_have_a_finite_deviation() -> None:
    score = _score([_run(MEAN, MEAN * ~LOW)], BELOW)
    assert np.isfinite(score.chi2)
    assert score.deviation[1] > 100


def test_energies_above_the_last_events_are_left_out() -> None:
    counts = MEAN.copy()
    counts[-1] = 3.0
    predicted = MEAN.copy()
    predicted[-1] = 1e9
    score = _score([_run(counts, predicted)], ABOVE)
    assert score.total == pytest.approx(1.0)
    assert score.counts[-1] == 0


def test_events_beyond_a_model_are_counted() -> None:
    is_covered = np.array([False, False, True, True, True, True])
    run = replace(_run(MEAN, MEAN), is_covered=is_covered)
    score = _score([run], BELOW)
    assert score.n_uncovered == 900
    assert score.total == pytest.approx(1.0)


@pytest.mark.parametrize("true", [0.0, 0.2])
def test_scatter_is_that_beyond_counting(true: float) -> None:
    rng = np.random.default_rng(3)
    runs = []
    for i in range(300):
        factors = np.where(LOW, np.exp(rng.normal(0.0, true, MEAN.size)), 1.0)
        runs.append(_run(rng.poisson(MEAN * factors / 20), 2.0 * MEAN, obs_id=i))
    scatter = _score(runs, BELOW).scatter
    np.testing.assert_allclose(scatter[1:3], true, atol=0.03)
    np.testing.assert_allclose(scatter[3:5], 0.0, atol=0.04)
    # with three events a run, counting alone would make as much
    assert np.isnan(scatter[[0, 5]]).all()


def test_scatter_of_two_runs_is_not_halved() -> None:
    factors = np.where(LOW, 0.2, 0.0)
    runs = [_run(MEAN * (1 + s * factors), MEAN, obs_id=s) for s in (-1, 1)]
    scatter = _score(runs, BELOW).scatter
    # a standard deviation of 0.2 sqrt(2), less what counting makes
    np.testing.assert_allclose(scatter[1:3], 0.28, atol=0.01)


def test_one_run_has_no_scatter() -> None:
    assert np.isnan(_score([_run(MEAN, MEAN)], BELOW).scatter).all()


def test_runs_that_have_no_norm_are_left_out() -> None:
    nothing = _run(np.zeros(6), MEAN)
    assert _score([_run(MEAN, MEAN), nothing], ABOVE).n_runs == 1
    assert score_axis(AXIS, [nothing], energies=ABOVE) is None
    assert score_axis(AXIS, [], energies=ABOVE) is None


def test_without_a_safe_energy_there_is_one_range() -> None:
    everywhere = np.ones(6, dtype=bool)
    run = replace(_run(MEAN, MEAN), is_safe=everywhere, is_low=~everywhere)
    assert _score([run], ABOVE).counts.sum() == MEAN.sum()
    assert score_axis(AXIS, [run], energies=BELOW) is None
