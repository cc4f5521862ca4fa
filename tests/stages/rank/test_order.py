from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.criteria import MimicLimits, RankCriteria
from bkgpipe.errors import BinningMismatchError, NoRunsError
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts, RunShape
from bkgpipe.stages.rank.data import REASONS
from bkgpipe.stages.rank.divergence import kl_divergence, make_shapes
from bkgpipe.stages.rank.order import join_bins, mean_exposure, rank_runs, scaled_counts
from bkgpipe.stages.stack.groups import stack_runs
from bkgpipe.stages.stack.scaled import stack_scaled

N_ENERGY, N_OFFSET = 4, 5
CRITERIA = RankCriteria(hours=1.0)
SPECTRUM = np.outer([400.0, 100.0, 20.0, 3.0], [1.0, 0.9, 0.7, 0.4, 0.1])


def control(counts):
    return ControlEvents(
        counts_outer=counts, exposure_outer=10.0, counts_low=0, exposure_low=0.0
    )


@pytest.fixture(scope="session")
def make_shape(make_run):
    def make(obs_id=1, *, counts=SPECTRUM, exposure=10.0, livetime=1800.0, **changes):
        counts = np.asarray(counts)
        return RunShape(
            run=make_run(obs_id, **changes),
            counts_2d=counts,
            exposure_2d=np.broadcast_to(exposure, counts.shape),
            livetime=livetime,
            kept_fraction=1.0,
        )

    return make


@pytest.fixture(scope="session")
def random_shapes(make_shape):
    def make(n_runs):
        rng = np.random.default_rng(n_runs)
        shapes = []
        for obs_id in range(1, n_runs + 1):
            exposure = rng.uniform(5.0, 20.0) * rng.uniform(0.5, 1.0, SPECTRUM.shape)
            exposure[: rng.integers(0, 2)] = 0.0
            exposure[:, rng.integers(0, N_OFFSET)] *= rng.integers(0, 2)
            counts = rng.poisson(SPECTRUM * exposure / 10.0)
            shapes.append(make_shape(obs_id, counts=counts, exposure=exposure))
        return shapes

    return make


@pytest.fixture(scope="session")
def make_counts(make_run, make_binning):
    def make(obs_id):
        binning = make_binning()
        rng = np.random.default_rng(obs_id)
        return RunCounts(
            run=make_run(obs_id),
            binning=binning,
            counts_3d=rng.poisson(2.0, binning.shape_3d),
            counts_2d=rng.poisson(2.0, binning.shape_2d),
            solid_angle_3d=binning.solid_angle_3d * rng.uniform(size=(6, 8)),
            solid_angle_2d=binning.solid_angle_2d * rng.uniform(size=5),
            is_safe=np.array([False, True, True, True]),
            safe_energy_min=0.5,
            safe_energy_origin="setting",
            ontime=1680.0 + obs_id,
            livetime=1512.0 + obs_id,
            position_angle=0.0,
            conservation=Conservation(),
            control=control(500),
            checksum="",
        )

    return make


def reasons(ranking):
    names = [REASONS[position] for position in ranking.reason]
    return dict(zip(ranking.obs_ids.tolist(), names, strict=True))


def shapes_of(runs):
    counts, exposure = join_bins(runs, energy_bins=N_ENERGY, offset_bins=N_OFFSET)
    return make_shapes(scaled_counts(counts, exposure, mean_exposure(exposure)))


def test_pseudo_count_scales_with_exposure(make_shape):
    one = make_shape(1)
    thrice = make_shape(2, counts=3 * SPECTRUM, exposure=30.0)
    other = make_shape(3, counts=SPECTRUM[:, ::-1])
    shapes = shapes_of([one, thrice, other])

    divergence, _ = kl_divergence(shapes, shapes)

    assert divergence[0, 1] == divergence[1, 0] == 0.0
    assert divergence[0, 2] > 0.1
    assert (np.diag(divergence) == 0.0).all()


def test_divergence_is_finite_on_empty_bins(make_shape):
    empty = make_shape(1, counts=np.zeros((N_ENERGY, N_OFFSET)))
    shapes = shapes_of([empty, make_shape(2)])

    divergence, _ = kl_divergence(shapes, shapes)

    assert np.isfinite(divergence).all()
    assert divergence[0, 1] > 0


def test_mean_exposure_is_over_the_runs_that_see_the_bin():
    mean = mean_exposure(np.array([[0.0, 4.0, 4.0], [0.0, 0.0, 8.0]]))

    np.testing.assert_array_equal(mean, [0.0, 4.0, 6.0])


def test_joined_bins_keep_what_is_seen_as_a_whole(make_shape):
    exposure = np.full((N_ENERGY, N_OFFSET), 2.0)
    exposure[0] = 0.0
    counts = np.arange(20.0).reshape(N_ENERGY, N_OFFSET)

    joined, time = join_bins(
        [make_shape(counts=counts, exposure=exposure)], energy_bins=2, offset_bins=3
    )

    # energies 0-1 and 2-3; offsets 0-1, 2-3 and 4
    assert joined.shape == time.shape == (1, 6)
    np.testing.assert_array_equal(joined[0, :3], 0.0)
    np.testing.assert_array_equal(time[0], [0, 0, 0, 8, 8, 4])
    assert joined[0, 3:].sum() == counts[2:].sum()
    assert joined[0, 5] == counts[2:, 4].sum()


def test_more_bins_than_there_are_change_nothing(make_shape):
    joined, _ = join_bins([make_shape()], energy_bins=99, offset_bins=98)

    np.testing.assert_array_equal(joined[0], SPECTRUM.ravel())


def test_the_most_alike_are_taken_until_the_hours_are_reached(random_shapes):
    runs = random_shapes(30)

    criteria = replace(CRITERIA, hours=1.3, min_overlap=0.0)
    ranking = rank_runs(runs[:1], runs, criteria=criteria)[0]

    assert (np.diff(ranking.divergence) >= 0).all()
    assert ranking.is_taken.sum() == 3  # half an hour each, the last one whole
    assert ranking.is_taken[:3].all()
    assert ranking.obs_ids.size == 13
    assert not ranking.is_short
    assert 1 not in ranking.obs_ids
    np.testing.assert_array_equal(ranking.taken, ranking.obs_ids[:3])


def test_hours_that_are_just_reached_need_no_further_run(make_shape):
    runs = [make_shape(obs_id) for obs_id in (5, 3, 4, 9)]

    ranking = rank_runs([make_shape(1)], runs, criteria=CRITERIA)[0]

    np.testing.assert_array_equal(ranking.taken, [3, 4])  # ties by obs_id
    np.testing.assert_array_equal(ranking.obs_ids, [3, 4, 5, 9])
    assert not ranking.is_short


def test_too_few_hours_are_short(make_shape):
    ranking = rank_runs([make_shape(1)], [make_shape(2)], criteria=CRITERIA)[0]

    assert ranking.is_short
    assert ranking.is_taken.all()
    assert ranking.livetime.sum() == 1800.0


def test_own_run_is_its_own_best_candidate_when_allowed(random_shapes):
    runs = random_shapes(5)

    ranking = rank_runs(runs[2:3], runs, criteria=replace(CRITERIA, own=True))[0]

    assert ranking.obs_ids[0] == ranking.obs_id == 3
    assert ranking.divergence[0] == 0.0


def test_other_targets_do_not_change_a_ranking(random_shapes):
    runs = random_shapes(12)

    together = rank_runs(runs, runs, criteria=CRITERIA)
    alone = rank_runs(runs[4:5], runs[::-1], criteria=CRITERIA)[0]

    np.testing.assert_array_equal(together[4].obs_ids, alone.obs_ids)
    np.testing.assert_allclose(together[4].divergence, alone.divergence, atol=1e-11)


def test_blocks_of_targets_do_not_change_a_ranking(random_shapes, monkeypatch):
    runs = random_shapes(11)
    whole = rank_runs(runs, runs, criteria=CRITERIA)

    monkeypatch.setattr("bkgpipe.stages.rank.order._BLOCK", 4)
    blocks = rank_runs(runs, runs, criteria=CRITERIA)

    assert [ranking.obs_id for ranking in blocks] == list(range(1, 12))
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(one.obs_ids, other.obs_ids)


def test_candidate_that_sees_too_little_is_refused(make_shape):
    exposure = np.zeros((N_ENERGY, N_OFFSET))
    exposure[-1] = 10.0  # the highest energy alone
    runs = [make_shape(2, exposure=exposure), make_shape(3)]

    ranking = rank_runs([make_shape(1)], runs, criteria=CRITERIA)[0]

    np.testing.assert_array_equal(ranking.obs_ids, [3])
    assert ranking.counted == {"taken": 1, "overlap": 1}


def test_fully_masked_runs_are_refused_and_find_nobody(make_shape):
    masked = make_shape(2, counts=np.zeros((N_ENERGY, N_OFFSET)), exposure=0.0)

    as_candidate = rank_runs([make_shape(1)], [masked], criteria=CRITERIA)[0]
    as_target = rank_runs([masked], [make_shape(1)], criteria=CRITERIA)[0]

    for ranking in (as_candidate, as_target):
        assert ranking.obs_ids.size == 0
        assert ranking.counted == {"overlap": 1}
        assert ranking.is_short


def test_no_candidates_is_short(make_shape):
    limits = MimicLimits(same_telescopes=True)

    (ranking,) = rank_runs(
        [make_shape(1)], [], criteria=replace(CRITERIA, limits=limits)
    )

    assert ranking.obs_ids.size == ranking.taken.size == 0
    assert ranking.is_short
    assert ranking.counted == {}


def test_no_targets_give_no_rankings(make_shape):
    assert rank_runs([], [make_shape(1)], criteria=CRITERIA) == []
    assert rank_runs([], [], criteria=CRITERIA) == []


def test_runs_with_other_bins_are_refused_by_name(make_shape):
    other = make_shape(17, counts=np.ones((N_ENERGY, N_OFFSET + 1)))

    with pytest.raises(BinningMismatchError, match=r"run 17.*\[binning\] settings"):
        rank_runs([make_shape(1)], [make_shape(2), other], criteria=CRITERIA)


def test_a_single_bin_is_like_any_other(make_shape):
    one, other = (make_shape(i, counts=[[10.0 * i]]) for i in (1, 2))

    (ranking,) = rank_runs([one], [other], criteria=CRITERIA)

    np.testing.assert_array_equal(ranking.divergence, [0.0])


def test_each_candidate_has_one_reason(make_shape):
    one = make_shape(1, zenith=20.0)
    far = make_shape(2, zenith=50.0, muon_efficiency=0.1)
    masked = make_shape(3, exposure=0.0, zenith=50.0)
    failed = make_shape(4, zenith=20.0)
    like = [make_shape(obs_id, zenith=21.0) for obs_id in (5, 6, 7)]
    limits = MimicLimits(zenith=5.0, muon_efficiency=0.1)
    criteria = replace(CRITERIA, limits=limits)

    (ranking,) = rank_runs(
        [one],
        [one, far, masked, failed, *like],
        criteria=criteria,
        unfit={4, 99},
        list_all=True,
    )

    assert reasons(ranking) == {
        5: "taken",
        6: "taken",
        7: "beyond the hours",
        1: "own run",
        2: "zenith",
        3: "overlap",
        4: "unfit",
    }
    assert ranking.obs_ids.tolist()[:3] == [5, 6, 7]
    assert ranking.n_by_reason.sum() == 7
    assert ranking.counted["taken"] == 2
    assert ranking.widened == 1.0


def test_unfit_runs_do_not_touch_the_pseudo_count(random_shapes):
    runs = random_shapes(9)
    failed = replace(runs[0], exposure_2d=1e9 * runs[1].exposure_2d)

    (alone,) = rank_runs(runs[1:2], runs[2:], criteria=CRITERIA)
    (beside,) = rank_runs(
        runs[1:2], [failed, *runs[2:]], criteria=CRITERIA, unfit=[failed.obs_id]
    )

    np.testing.assert_array_equal(alone.obs_ids, beside.obs_ids)
    np.testing.assert_array_equal(alone.divergence, beside.divergence)


def test_limits_are_widened_as_little_as_reaches_the_hours(make_shape):
    zeniths = {2: 22.0, 3: 29.0, 4: 35.0, 5: 60.0}
    runs = [make_shape(i, zenith=zenith) for i, zenith in zeniths.items()]
    criteria = replace(CRITERIA, limits=MimicLimits(zenith=3.0))

    (wide,) = rank_runs([make_shape(1, zenith=20.0)], runs, criteria=criteria)
    (strict,) = rank_runs(
        [make_shape(1, zenith=20.0)], runs, criteria=replace(criteria, widen=False)
    )

    np.testing.assert_array_equal(wide.taken, [2, 3])
    assert wide.widened == pytest.approx(3.0)
    assert not wide.is_short
    assert wide.counted == {"taken": 2, "zenith": 2}
    np.testing.assert_array_equal(strict.taken, [2])
    assert strict.is_short
    assert strict.widened == 1.0


def test_limits_of_telescopes_are_not_widened(make_shape):
    other = make_shape(2, telescopes="1,2,3")
    limits = MimicLimits(same_telescopes=True)

    (ranking,) = rank_runs(
        [make_shape(1)], [other], criteria=replace(CRITERIA, limits=limits)
    )

    assert ranking.counted == {"telescopes": 1}
    assert ranking.is_short


def test_ranking_by_hand_of_many_candidates(random_shapes):
    runs = random_shapes(300)  # more than are sorted at first

    (ranking,) = rank_runs(
        runs[:1], runs, criteria=replace(CRITERIA, hours=60.0, min_overlap=0.0)
    )
    (whole,) = rank_runs(
        runs[:1],
        runs,
        criteria=replace(CRITERIA, hours=60.0, min_overlap=0.0),
        list_all=True,
    )

    assert ranking.is_taken.sum() == 120
    np.testing.assert_array_equal(ranking.obs_ids, whole.obs_ids[:130])
    assert (np.diff(whole.divergence[:-1]) >= 0).all()
    np.testing.assert_array_equal(ranking.n_by_reason, whole.n_by_reason)


def test_jensen_shannon_is_a_choice(random_shapes):
    runs = random_shapes(7)

    (ranking,) = rank_runs(
        runs[:1], runs, criteria=replace(CRITERIA, divergence="jensen_shannon")
    )

    assert (ranking.divergence <= np.log(2)).all()
    assert (np.diff(ranking.divergence) >= 0).all()


def test_scale_is_the_ratio_of_control_rates(make_shape):
    one, twice, few = (
        replace(make_shape(i), control=control(n), lowest_energy=0.5)
        for i, n in ((1, 500), (2, 1000), (3, 20))
    )

    (scaled,) = rank_runs([one], [twice, few], criteria=CRITERIA)
    (plain,) = rank_runs([one], [twice, few], criteria=replace(CRITERIA, scale="none"))

    assert scaled.scales == {2: pytest.approx(2.0), 3: 1.0}
    assert plain.scales == {2: 1.0, 3: 1.0}


def test_scaled_sum_has_the_rate_of_the_target(make_counts):
    first, second = make_counts(1), make_counts(2)

    plain = stack_runs([first, second], stack_id=7)
    scaled = stack_scaled([first, second], scale={1: 1.0, 2: 2.0}, stack_id=7)

    np.testing.assert_array_equal(scaled.counts_3d, plain.counts_3d)
    np.testing.assert_allclose(
        scaled.exposure_3d, first.exposure_3d + 2 * second.exposure_3d
    )
    np.testing.assert_allclose(
        scaled.exposure_2d, first.exposure_2d + 2 * second.exposure_2d
    )
    assert (scaled.livetime, scaled.ontime) == (plain.livetime, plain.ontime)


def test_scale_of_one_changes_nothing(make_counts):
    runs = [make_counts(1), make_counts(2)]

    plain = stack_runs(runs, stack_id=7)
    scaled = stack_scaled(runs, scale={1: 1.0, 2: 1.0}, stack_id=7)

    for name in ("exposure_3d", "exposure_2d", "livetime", "ontime"):
        np.testing.assert_array_equal(getattr(scaled, name), getattr(plain, name))


def test_scaled_sum_of_nothing_is_refused():
    with pytest.raises(NoRunsError, match=r"stack 7: .*Loosen the cuts"):
        stack_scaled([], scale={}, stack_id=7)
