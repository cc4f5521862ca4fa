from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.errors import BinningMismatchError, InputError, NoRunsError, SettingsError
from bkgpipe.geometry.sampling import field_solid_angles
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts, RunShape
from bkgpipe.stages.stack.groups import find_group, make_groups, refusal, stack_runs

ZENITHS = np.array([0.0, 20.0, 40.0, 60.0])
ALL_AROUND = np.array([0.0, 360.0])
NORTH_SOUTH = np.array([90.0, 270.0, 450.0])


@pytest.fixture(scope="session")
def make_shape(make_run) -> Callable[..., RunShape]:
    def make(obs_id=1, *, counts=100, livetime=3600.0, kept_fraction=1.0, **changes):
        counts_2d = np.zeros((4, 5), dtype=np.int64)
        counts_2d[1, 2] = counts
        return RunShape(
            run=make_run(obs_id, **changes),
            counts_2d=counts_2d,
            exposure_2d=np.full((4, 5), livetime * 1e-3),
            livetime=livetime,
            kept_fraction=kept_fraction,
        )

    return make


@pytest.fixture(scope="session")
def make_counts(make_run, make_binning) -> Callable[..., RunCounts]:
    def make(obs_id=1, *, livetime=1512.0, binning=None, is_safe=None, **changes):
        binning = binning or make_binning()
        rng = np.random.default_rng(obs_id)
        return RunCounts(
            run=make_run(obs_id, **changes),
            binning=binning,
            counts_3d=rng.poisson(2.0, binning.shape_3d),
            counts_2d=rng.poisson(2.0, binning.shape_2d),
            solid_angle_3d=binning.solid_angle_3d * rng.uniform(size=(6, 8)),
            solid_angle_2d=binning.solid_angle_2d * rng.uniform(size=5),
            is_safe=np.array([False, True, True, True]) if is_safe is None else is_safe,
            safe_energy_min=0.5,
            safe_energy_origin="setting",
            ontime=1680.0,
            livetime=livetime,
            position_angle=0.0,
            conservation=Conservation(),
            control=ControlEvents(
                counts_outer=0, exposure_outer=0.0, counts_low=0, exposure_low=0.0
            ),
            checksum="",
        )

    return make


def group(shapes, *, azimuths=ALL_AROUND, hours=0.0, counts=0, zeniths=ZENITHS):
    return make_groups(
        shapes,
        zenith_edges=zeniths,
        azimuth_edges=azimuths,
        min_hours=hours,
        min_counts=counts,
    )


def members(groups):
    return [found.obs_ids.tolist() for found in groups]


def test_stack_is_the_sum_of_the_runs(make_counts):
    runs = [make_counts(obs_id) for obs_id in (5, 2, 9)]

    stack = stack_runs(iter(runs), stack_id=7)

    assert stack.stack_id == 7
    assert stack.counts_3d.dtype == stack.counts_2d.dtype == np.int64
    is_safe = runs[0].is_safe
    assert 0 < is_safe.sum() < is_safe.size
    for name in ("counts_3d", "counts_2d", "exposure_3d", "exposure_2d"):
        total = sum(getattr(run, name) for run in runs)
        np.testing.assert_allclose(getattr(stack, name), total, rtol=1e-13)
    np.testing.assert_array_equal(stack.obs_ids, [2, 5, 9])
    assert stack.livetime == 3 * 1512.0
    assert stack.ontime == 3 * 1680.0


def test_energies_safe_for_some_runs_are_those_of_these_alone(make_counts):
    safe = np.array([[False, True, True, True], [False, False, True, True]])
    runs = [make_counts(i, is_safe=safe[i - 1]) for i in (1, 2)]

    stack = stack_runs(runs, stack_id=1)

    for name in ("counts_3d", "counts_2d", "exposure_3d", "exposure_2d"):
        first, second = (getattr(run, name) for run in runs)
        found = getattr(stack, name)
        np.testing.assert_allclose(found[1], first[1])
        for energy in (0, 2, 3):
            np.testing.assert_allclose(found[energy], first[energy] + second[energy])


@given(st.permutations(range(1, 8)))
def test_order_of_the_runs_does_not_matter(make_counts, order):
    def changed(obs_id):
        return make_counts(obs_id, livetime=1000.0 / obs_id, zenith=5.0 * obs_id)

    expected = stack_runs(map(changed, range(1, 8)), stack_id=1)

    stack = stack_runs(map(changed, order), stack_id=1)

    np.testing.assert_array_equal(stack.counts_3d, expected.counts_3d)
    np.testing.assert_array_equal(stack.counts_2d, expected.counts_2d)
    np.testing.assert_allclose(stack.exposure_3d, expected.exposure_3d, rtol=1e-12)
    np.testing.assert_allclose(stack.exposure_2d, expected.exposure_2d, rtol=1e-12)
    assert stack.conditions.zenith == pytest.approx(expected.conditions.zenith, 1e-12)
    assert stack.livetime == expected.livetime


def test_stack_of_stacks_is_the_stack(make_counts):
    first = stack_runs([make_counts(1), make_counts(2)], stack_id=1)
    second = stack_runs([make_counts(3)], stack_id=2)
    both = stack_runs([make_counts(i) for i in (1, 2, 3)], stack_id=3)

    np.testing.assert_array_equal(both.counts_3d, first.counts_3d + second.counts_3d)
    np.testing.assert_allclose(
        both.exposure_3d, first.exposure_3d + second.exposure_3d, rtol=1e-13
    )


def test_scatter_of_the_runs_is_found(make_counts):
    rng = np.random.default_rng(3)
    runs = []
    for obs_id in range(1, 301):
        run = make_counts(obs_id, livetime=rng.uniform(500.0, 2000.0))
        norm = rng.gamma(1 / 0.2**2, 0.2**2)
        runs.append((run, norm * 1e5 * run.exposure_2d))

    def stacked(number):
        noisy = (replace(r, counts_2d=rng.poisson(m)) for r, m in runs[:number])
        return stack_runs(noisy, stack_id=1).systematic

    n_events = np.mean([mean.sum() for _, mean in runs])
    assert n_events > 100
    assert stacked(300) == pytest.approx(0.2, abs=0.03)
    assert np.isnan(stacked(1))


def test_runs_that_differ_by_noise_alone_have_next_to_no_scatter(make_counts):
    rng = np.random.default_rng(4)
    runs = [make_counts(obs_id) for obs_id in range(1, 201)]
    drawn = [replace(r, counts_2d=rng.poisson(1e5 * r.exposure_2d)) for r in runs]

    assert stack_runs(drawn, stack_id=1).systematic < 0.03


def test_conditions_are_weighted_by_exposure(make_counts):
    one = make_counts(1, livetime=1000.0, zenith=20.0, azimuth=350.0, deadc=0.9)
    other = make_counts(
        2, livetime=3000.0, zenith=40.0, azimuth=30.0, deadc=0.8, muon_efficiency=np.nan
    )
    weight = np.array([one.exposure_2d.sum(), other.exposure_2d.sum()])

    found = stack_runs([one, other], stack_id=1).conditions

    assert found.zenith == pytest.approx(np.average([20.0, 40.0], weights=weight))
    assert found.deadc == pytest.approx(np.average([0.9, 0.8], weights=weight))
    cosines = np.cos(np.radians([20.0, 40.0]))
    assert found.cos_zenith == pytest.approx(np.average(cosines, weights=weight))
    assert found.muon_efficiency == 0.9  # of the one that has it
    turns = np.exp(1j * np.radians([350.0, 30.0]))
    mean = np.degrees(np.angle((weight * turns).sum()))
    assert found.azimuth == pytest.approx(mean % 360)


def test_conditions_fall_back_to_livetime_and_to_nan(make_counts):
    unsafe = np.zeros(4, dtype=bool)
    runs = [
        make_counts(
            1, livetime=1.0, zenith=10.0, is_safe=unsafe, muon_efficiency=np.nan
        ),
        make_counts(
            2, livetime=3.0, zenith=30.0, is_safe=unsafe, muon_efficiency=np.nan
        ),
    ]

    stack = stack_runs(runs, stack_id=1)

    assert stack.conditions.zenith == 25.0
    assert np.isnan(stack.conditions.muon_efficiency)
    np.testing.assert_array_equal(
        stack.counts_3d, runs[0].counts_3d + runs[1].counts_3d
    )


def test_runs_without_livetime_have_equal_weights(make_counts):
    runs = [make_counts(i, livetime=0.0, zenith=10.0 * i) for i in (1, 3)]

    assert stack_runs(runs, stack_id=1).conditions.zenith == 20.0


def test_michi_adds_the_live_time_of_safe_bins(make_counts):
    binning = make_counts(1).binning
    safe = np.array([[False, True, True, True], [False, False, True, True]])
    runs = [
        make_counts(1, livetime=1000.0, is_safe=safe[0]),
        make_counts(2, livetime=600.0, is_safe=safe[1]),
    ]

    stack = stack_runs(runs, stack_id=1, method="michi")

    field_3d, field_2d = field_solid_angles(binning)
    # no run is safe at the first energy, so all are taken
    time = np.array([1600.0, 1000.0, 1600.0, 1600.0])
    np.testing.assert_allclose(stack.exposure_2d, np.multiply.outer(time, field_2d))
    np.testing.assert_allclose(stack.exposure_3d, np.multiply.outer(time, field_3d))
    summed = stack_runs(runs, stack_id=1)
    np.testing.assert_array_equal(stack.counts_3d, summed.counts_3d)
    np.testing.assert_array_equal(stack.counts_2d, summed.counts_2d)
    assert (stack.exposure_2d >= summed.exposure_2d).all()
    assert stack.livetime == summed.livetime == 1600.0


def test_michi_is_the_sum_where_nothing_is_masked(make_counts):
    run = make_counts(3)
    field_3d, field_2d = field_solid_angles(run.binning)
    runs = [
        replace(make_counts(i), solid_angle_3d=field_3d, solid_angle_2d=field_2d)
        for i in (3, 4)
    ]

    michi, summed = (
        stack_runs(runs, stack_id=1, method=name) for name in ("michi", "sum")
    )

    np.testing.assert_allclose(michi.exposure_3d, summed.exposure_3d, rtol=1e-12)
    np.testing.assert_allclose(michi.exposure_2d, summed.exposure_2d, rtol=1e-12)
    assert repr(michi.conditions) == repr(summed.conditions)


def test_unknown_method_is_refused(make_counts):
    with pytest.raises(SettingsError, match=r"'mean'.*Choose one of sum, michi"):
        stack_runs([make_counts(1)], stack_id=1, method="mean")


def test_no_runs_cannot_be_stacked():
    with pytest.raises(NoRunsError, match=r"stack 4: .*Loosen the cuts in \[select\]"):
        stack_runs(iter(()), stack_id=4)


def test_other_bins_cannot_be_stacked(make_counts, make_binning):
    other = make_binning(energy_edges=np.geomspace(0.2, 100.0, 5))

    with pytest.raises(BinningMismatchError, match=r"run 2: energy_edges.*Count both"):
        stack_runs([make_counts(1), make_counts(2, binning=other)], stack_id=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"livetime": 0.0}, "live time is 0 s"),
        ({"livetime": np.nan}, "live time is nan s"),
        ({"kept_fraction": 0.25}, "keeps 0.250 of the field, less than 0.3"),
        ({"kept_fraction": 0.3}, ""),
        ({"counts": 0}, "no events are kept"),
    ],
)
def test_refusal_says_why(make_shape, changes, reason):
    found = refusal(make_shape(**changes), min_kept_fraction=0.3)

    assert reason in found
    assert bool(reason) == bool(found)


def test_run_without_a_safe_energy_is_refused(make_counts):
    unsafe = make_counts(1, is_safe=np.zeros(4, dtype=bool)).shape

    assert "no energy bin is safe" in refusal(unsafe, min_kept_fraction=0.0)


def test_groups_are_cells_with_runs_in_order(make_shape):
    shapes = [
        make_shape(4, zenith=50.0, azimuth=10.0),
        make_shape(1, zenith=5.0, azimuth=200.0),
        make_shape(3, zenith=10.0, azimuth=0.0),
        make_shape(2, zenith=15.0, azimuth=100.0),
    ]

    groups = group(shapes, azimuths=NORTH_SOUTH)

    assert [found.group_id for found in groups] == [1, 2, 3]
    assert members(groups) == [[1, 2], [3], [4]]
    np.testing.assert_array_equal(groups[0].cells, [[0.0, 20.0, 90.0, 270.0]])
    np.testing.assert_array_equal(groups[1].cells, [[0.0, 20.0, 270.0, 450.0]])
    assert groups[0].zenith == 10.0
    assert groups[0].livetime == 7200.0
    assert groups[0].n_events == 200
    assert all(found.merged == () for found in groups)


def test_means_of_a_group_are_weighted_by_livetime(make_shape):
    shapes = [
        make_shape(1, zenith=10.0, azimuth=350.0, livetime=3000.0),
        make_shape(2, zenith=18.0, azimuth=10.0, livetime=1000.0),
    ]

    (found,) = group(shapes)

    assert found.zenith == 12.0
    assert found.azimuth == pytest.approx(355.0, abs=0.1)


def test_poor_group_joins_its_nearest_neighbour(make_shape):
    shapes = [
        *(make_shape(i, zenith=10.0) for i in range(1, 4)),
        make_shape(4, zenith=21.0),
        *(make_shape(i, zenith=50.0) for i in range(5, 8)),
    ]

    groups = group(shapes, hours=2.0)

    assert members(groups) == [[1, 2, 3, 4], [5, 6, 7]]
    assert groups[0].merged == ("zenith 20-40 azimuth 0-360",)
    np.testing.assert_array_equal(
        groups[0].cells, [[0.0, 20.0, 0.0, 360.0], [20.0, 40.0, 0.0, 360.0]]
    )
    assert groups[0].livetime == 4 * 3600.0
    assert groups[1].merged == ()


def test_neighbour_is_near_on_the_sky_not_in_angles(make_shape):
    # near the zenith, opposite azimuths are a few degrees apart
    shapes = [
        make_shape(1, zenith=3.0, azimuth=0.0, livetime=60.0),
        make_shape(2, zenith=3.0, azimuth=180.0),
        make_shape(3, zenith=25.0, azimuth=0.0),
    ]

    groups = group(shapes, azimuths=NORTH_SOUTH, hours=0.5)

    assert members(groups) == [[1, 2], [3]]


def test_zenith_counts_for_more_than_azimuth(make_shape):
    shapes = [
        make_shape(1, zenith=55.0, azimuth=300.0, livetime=60.0),
        make_shape(2, zenith=45.0, azimuth=80.0),
        make_shape(3, zenith=30.0, azimuth=300.0),
    ]

    groups = group(shapes, hours=0.5)

    assert members(groups) == [[3], [1, 2]]


def test_too_few_counts_are_poor_as_well(make_shape):
    shapes = [make_shape(1, zenith=10.0, counts=5), make_shape(2, zenith=30.0)]

    assert members(group(shapes, counts=50)) == [[1, 2]]
    assert members(group(shapes, counts=5)) == [[1], [2]]


def test_the_last_group_may_be_poor(make_shape):
    shapes = [make_shape(i, zenith=15.0 * i, livetime=60.0) for i in (1, 2, 3)]

    (found,) = group(shapes, hours=100.0)

    np.testing.assert_array_equal(found.obs_ids, [1, 2, 3])
    assert len(found.merged) == 2


@given(
    st.lists(
        st.tuples(st.floats(0, 59), st.floats(-720, 720), st.floats(1, 7200)),
        min_size=1,
        max_size=15,
    ),
    st.floats(0, 5),
)
def test_each_run_is_in_one_group(make_shape, runs, hours):
    shapes = [
        make_shape(i, zenith=zenith, azimuth=azimuth, livetime=livetime)
        for i, (zenith, azimuth, livetime) in enumerate(runs)
    ]

    groups = group(shapes, azimuths=NORTH_SOUTH, hours=hours)

    grouped = np.concatenate([found.obs_ids for found in groups])
    np.testing.assert_array_equal(np.sort(grouped), np.arange(len(runs)))
    rich = [found.livetime >= hours * 3600.0 for found in groups]
    assert all(rich) or len(groups) == 1
    for shape in shapes:
        assert shape.obs_id in find_group(shape.run, groups).obs_ids


def test_runs_outside_all_cells_are_in_no_group(make_shape):
    shapes = [
        make_shape(1, zenith=65.0),
        make_shape(2, zenith=np.nan),
        make_shape(3, azimuth=np.nan),
        make_shape(4),
    ]

    assert members(group(shapes)) == [[4]]
    assert group(shapes[:1]) == ()


def test_azimuth_a_rounding_error_below_the_first_edge_is_inside(make_shape):
    assert members(group([make_shape(1, azimuth=-1e-17)])) == [[1]]


def test_find_group_by_cell_then_by_distance(make_shape, make_run):
    groups = group([make_shape(1, zenith=1.0), make_shape(2, zenith=45.0)])

    assert find_group(make_run(9, zenith=19.9), groups).group_id == 1
    assert find_group(make_run(9, zenith=41.0, azimuth=180.0), groups).group_id == 2
    # the cell from 20 to 40 is empty, above 60 there is none
    assert find_group(make_run(9, zenith=22.0), groups).group_id == 1
    assert find_group(make_run(9, zenith=39.0), groups).group_id == 2
    assert find_group(make_run(9, zenith=70.0), groups).group_id == 2


def test_find_group_knows_merged_cells(make_shape, make_run):
    shapes = [
        make_shape(1, zenith=10.0),
        make_shape(2, zenith=21.0, livetime=60.0),
        make_shape(3, zenith=41.0),
    ]
    groups = group(shapes, hours=0.5)

    # by distance alone it would be the group at 41 deg
    assert find_group(make_run(9, zenith=39.0), groups).group_id == 1


def test_find_group_needs_groups_and_a_pointing(make_shape, make_run):
    with pytest.raises(NoRunsError, match=r"run 9: .*Widen zenith_edges"):
        find_group(make_run(9), ())
    with pytest.raises(InputError, match=r"run 9: zenith is nan.*Give ZEN_PNT"):
        find_group(make_run(9, zenith=np.nan), group([make_shape(1)]))
