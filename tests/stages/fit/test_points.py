from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError, NoRunsError
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.fit.data import RunConditions, RunHead
from bkgpipe.stages.fit.points import find_points, join_runs, make_head

LIVETIME = 1500.0
TERMS = ("zenith", "azimuth", "muon")


@pytest.fixture
def make_counts(make_run, make_binning):
    """Runs of random counts; one in three is safe from a higher energy on."""

    def make(obs_id, *, zenith=30.0, binning=None):
        axes = binning or make_binning()
        rng = np.random.default_rng(obs_id)
        kept = axes.solid_angle_3d * (rng.random(axes.shape_3d[1:]) > 0.1)
        safe = np.arange(axes.n_energy) >= 1 + (obs_id % 3 == 0)
        counts = rng.poisson(3.0, axes.shape_3d) * (kept > 0)
        return RunCounts(
            run=make_run(obs_id, zenith=zenith, muon_efficiency=0.9),
            binning=axes,
            counts_3d=counts,
            counts_2d=rng.poisson(9.0, axes.shape_2d),
            solid_angle_3d=kept,
            solid_angle_2d=axes.solid_angle_2d,
            is_safe=safe,
            safe_energy_min=float(axes.energy_edges[:-1][safe][0]),
            safe_energy_origin="setting",
            ontime=LIVETIME / 0.9,
            livetime=LIVETIME + obs_id,
            position_angle=40.0,
            conservation=Conservation(),
            control=ControlEvents(
                counts_outer=0, exposure_outer=0.0, counts_low=0, exposure_low=0.0
            ),
            checksum="",
        )

    return make


@pytest.fixture(scope="module")
def heads():
    """Two hundred runs without control events, of which one lacks the muons."""
    rng = np.random.default_rng(2)
    found = []
    for obs_id in range(1, 201):
        conditions = RunConditions(
            cos_zenith=rng.uniform(0.5, 1.0),
            azimuth=rng.uniform(0, 360),
            position_angle=rng.uniform(-180, 180),
            muon_efficiency=float("nan") if obs_id == 77 else rng.uniform(0.7, 1.0),
            deadc=0.9,
            time=53000.0 + obs_id,
            control_outer=float("nan"),
            control_low=float("nan"),
            safe_energy=rng.uniform(0.2, 0.6),
        )
        found.append(
            RunHead(
                obs_id=obs_id,
                conditions=conditions,
                n_events=int(rng.integers(0, 3000)),
            )
        )
    return found


def test_a_head_knows_the_run_without_its_cubes(make_counts):
    run = make_counts(6, zenith=60.0)
    empty = replace(run, counts_3d=np.broadcast_to(0, run.binning.shape_3d))
    head = make_head(empty, fov_alignment="ALTAZ")
    assert head.obs_id == 6
    assert head.n_events == run.safe_counts_2d.sum()
    assert head.conditions.cos_zenith == pytest.approx(0.5)
    assert head.conditions.position_angle == 0.0
    assert head.conditions.safe_energy == run.binning.energy_edges[2]


def test_few_runs_are_points_themselves(heads):
    np.testing.assert_array_equal(
        find_points(heads, TERMS, max_points=200), np.arange(200)
    )


@pytest.mark.parametrize("max_points", [1, 10, 63, 199])
def test_there_are_as_many_points_as_may_be(heads, max_points):
    point = find_points(heads, TERMS, max_points=max_points)
    assert np.bincount(point).min() >= 1
    assert point.max() + 1 == max_points


def test_points_do_not_depend_on_the_order_of_runs(heads):
    point = find_points(heads, TERMS, max_points=30)
    order = np.random.default_rng(3).permutation(len(heads))
    other = find_points([heads[i] for i in order], TERMS, max_points=30)
    np.testing.assert_array_equal(other, point[order])


def test_runs_all_alike_part_by_their_numbers(heads):
    alike = [replace(heads[0], obs_id=head.obs_id) for head in heads]
    point = find_points(alike, TERMS, max_points=150)
    assert np.all(np.diff(point) >= 0)
    assert len(np.unique(point)) == 150


def test_runs_of_a_point_are_alike(heads):
    zenith = np.array([head.conditions.cos_zenith for head in heads])
    point = find_points(heads, TERMS, max_points=40)
    n_runs = np.bincount(point)
    mean = np.bincount(point, zenith) / n_runs
    within = np.sqrt(np.mean((zenith - mean[point]) ** 2))
    assert within < zenith.std() / 4


def test_runs_with_more_events_are_kept_closer(heads):
    heavy = [
        replace(head, n_events=100_000 if head.conditions.cos_zenith > 0.75 else 10)
        for head in heads
    ]
    point = find_points(heavy, TERMS, max_points=40)
    is_heavy = np.array([head.n_events > 10 for head in heavy])
    assert len(set(point[is_heavy])) > 30


def test_counts_and_exposure_are_conserved(make_counts):
    runs = [make_counts(i) for i in range(1, 8)]
    point = np.array([0, 1, 0, 2, 1, 0, 0])
    points = join_runs(iter(runs), point, fov_alignment="RADEC")
    assert points.n_points == 3
    assert points.n_runs == 7
    for number in range(3):
        mine = [run for run, one in zip(runs, point, strict=True) if one == number]
        np.testing.assert_array_equal(
            points.counts[number], sum(run.counts_3d for run in mine)
        )
        np.testing.assert_allclose(
            points.exposure[number], sum(run.exposure_3d for run in mine)
        )
    assert points.livetime.sum() == pytest.approx(7 * LIVETIME + 28)


def test_events_without_exposure_do_not_count(make_counts):
    run = make_counts(1)
    everywhere = replace(run, counts_3d=np.ones(run.binning.shape_3d, dtype=int))
    points = join_runs([everywhere], np.zeros(1, dtype=int), fov_alignment="RADEC")
    assert points.counts.sum() == np.count_nonzero(run.exposure_3d)


def test_shares_of_a_point_sum_to_one(make_counts):
    runs = [make_counts(i) for i in range(1, 8)]
    runs[6] = replace(runs[6], solid_angle_3d=np.zeros_like(runs[6].solid_angle_3d))
    point = np.array([0, 1, 0, 2, 1, 0, 3])
    points = join_runs(runs, point, fov_alignment="RADEC")
    np.testing.assert_allclose(np.bincount(point, points.share), 1.0)
    assert points.share[[3, 6]].tolist() == [1.0, 1.0]


def test_shares_keep_the_mean_of_exponentials(make_counts):
    """To second order in their spread, where exposure alone is off by a half of it."""
    slope = 3.0
    base = replace(
        make_counts(1),
        solid_angle_3d=make_counts(1).binning.solid_angle_3d,
        livetime=LIVETIME,
    )
    zeniths = np.array([20.0, 30.0, 38.0, 45.0])
    exponent = slope * np.cos(np.radians(zeniths))
    runs = [
        replace(
            base,
            run=replace(base.run, zenith=zenith, obs_id=number),
            counts_3d=np.round(1e6 * np.exp(one) * base.exposure_3d),
        )
        for number, (zenith, one) in enumerate(zip(zeniths, exponent, strict=True))
    ]
    points = join_runs(runs, np.zeros(4, dtype=int), fov_alignment="RADEC")
    exact = np.log(np.mean(np.exp(exponent)))
    assert points.share @ exponent == pytest.approx(exact, abs=0.003)
    assert abs(exponent.mean() - exact) > 0.02


def test_no_runs_are_refused():
    with pytest.raises(NoRunsError, match=r"regression.*Select more runs"):
        join_runs([], np.zeros(0, dtype=int), fov_alignment="RADEC")


def test_other_axes_are_refused(make_counts, make_binning):
    other = make_counts(77, binning=make_binning(energy_edges=np.geomspace(1, 9, 5)))
    with pytest.raises(BinningMismatchError, match=r"run 77.*Count both again"):
        join_runs([make_counts(1), other], np.arange(2), fov_alignment="RADEC")
