from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr

from bkgpipe.datamodel import MimicLimits, RunShape
from bkgpipe.errors import BinningMismatchError
from bkgpipe.numerics.rank import (
    is_mimic,
    kl_divergence,
    mean_exposure,
    rank_runs,
    scaled_counts,
)

N_ENERGY, N_OFFSET = 4, 5
SETTINGS = {"limits": MimicLimits(), "hours": 1.0, "own": False, "min_overlap": 0.5}
SPECTRUM = np.outer([400.0, 100.0, 20.0, 3.0], [1.0, 0.9, 0.7, 0.4, 0.1])


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


def divergence_by_hand(target, candidate):
    common = (target > 0) & (candidate > 0)
    if not common.any():
        return np.inf
    p = target[common] / target[common].sum()
    q = candidate[common] / candidate[common].sum()
    return rel_entr(p, q).sum()


def test_divergence_is_that_of_a_double_loop(random_shapes):
    targets, candidates = random_shapes(6), random_shapes(9)
    exposure = mean_exposure(candidates)
    p, q = scaled_counts(targets, exposure), scaled_counts(candidates, exposure)

    divergence, overlap = kl_divergence(p, q)

    expected = [[divergence_by_hand(one, other) for other in q] for one in p]
    share = [[one[other > 0].sum() / one.sum() for other in q] for one in p]
    assert divergence.shape == (6, 9)
    np.testing.assert_allclose(divergence, expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(overlap, share, rtol=1e-12)


def test_pseudo_count_scales_with_exposure(make_shape):
    one = make_shape(1)
    thrice = make_shape(2, counts=3 * SPECTRUM, exposure=30.0)
    other = make_shape(3, counts=SPECTRUM[:, ::-1])
    exposure = mean_exposure([one, thrice, other])
    shapes = scaled_counts([one, thrice, other], exposure)

    divergence, _ = kl_divergence(shapes, shapes)

    assert divergence[0, 1] == divergence[1, 0] == 0.0
    assert divergence[0, 2] > 0.1
    assert (np.diag(divergence) == 0.0).all()


def test_divergence_is_finite_on_empty_bins(make_shape):
    empty = make_shape(1, counts=np.zeros((N_ENERGY, N_OFFSET)))
    full = make_shape(2)
    exposure = mean_exposure([empty, full])
    shapes = scaled_counts([empty, full], exposure)

    divergence, _ = kl_divergence(shapes, shapes)

    assert np.isfinite(divergence).all()
    assert divergence[0, 1] > 0


def test_without_common_bins_divergence_is_infinite():
    divergence, overlap = kl_divergence(
        np.array([[1.0, 2.0, 0.0]]), np.array([[0.0, 0.0, 4.0], [1.0, 2.0, 0.0]])
    )

    np.testing.assert_array_equal(divergence, [[np.inf, 0.0]])
    np.testing.assert_array_equal(overlap, [[0.0, 1.0]])


def test_divergence_of_all_but_disjoint_shapes_is_finite():
    p = np.array([[2.3e-308, 1.0, 1.0], [0.5, 1.0, 1.0]])
    q = np.array([[1.0, 0.0, 0.0]])

    divergence, _ = kl_divergence(p, q)

    np.testing.assert_allclose(divergence, 0.0, atol=1e-9)


@given(
    arrays(float, (3, 7), elements=st.floats(0, 1e6)),
    arrays(float, (2, 7), elements=st.floats(0, 1e6)),
)
def test_divergence_is_never_negative(p, q):
    divergence, overlap = kl_divergence(p, q)

    assert (divergence >= 0).all()
    assert ((overlap >= 0) & (overlap <= 1 + 1e-12)).all()


def test_mean_exposure_is_over_the_runs_that_see_the_bin(make_shape):
    low = np.full((N_ENERGY, N_OFFSET), 4.0)
    low[0] = 0.0
    high = np.full((N_ENERGY, N_OFFSET), 8.0)
    high[:2] = 0.0

    mean = mean_exposure([make_shape(1, exposure=low), make_shape(2, exposure=high)])

    rows = mean.reshape(N_ENERGY, N_OFFSET)
    np.testing.assert_array_equal(rows[:, 0], [0.0, 4.0, 6.0, 6.0])


def test_the_most_alike_are_taken_until_the_hours_are_reached(random_shapes):
    runs = random_shapes(30)

    settings = SETTINGS | {"hours": 1.3, "min_overlap": 0.0}
    ranking = rank_runs(runs[:1], runs, **settings)[0]

    assert (np.diff(ranking.divergence) >= 0).all()
    assert ranking.is_taken.sum() == 3  # half an hour each, the last one whole
    assert ranking.is_taken[:3].all()
    assert ranking.obs_ids.size == 13
    assert not ranking.is_short
    assert 1 not in ranking.obs_ids
    np.testing.assert_array_equal(ranking.taken, ranking.obs_ids[:3])


def test_hours_that_are_just_reached_need_no_further_run(make_shape):
    runs = [make_shape(obs_id) for obs_id in (5, 3, 4, 9)]

    ranking = rank_runs([make_shape(1)], runs, **SETTINGS)[0]

    np.testing.assert_array_equal(ranking.taken, [3, 4])  # ties by obs_id
    np.testing.assert_array_equal(ranking.obs_ids, [3, 4, 5, 9])
    assert not ranking.is_short


def test_too_few_hours_are_short(make_shape):
    ranking = rank_runs([make_shape(1)], [make_shape(2)], **SETTINGS)[0]

    assert ranking.is_short
    assert ranking.is_taken.all()
    assert ranking.livetime.sum() == 1800.0


def test_own_run_is_its_own_best_candidate_when_allowed(random_shapes):
    runs = random_shapes(5)

    ranking = rank_runs(runs[2:3], runs, **SETTINGS | {"own": True})[0]

    assert ranking.obs_ids[0] == ranking.obs_id == 3
    assert ranking.divergence[0] == 0.0


def test_other_targets_do_not_change_a_ranking(random_shapes):
    runs = random_shapes(12)

    together = rank_runs(runs, runs, **SETTINGS)
    alone = rank_runs(runs[4:5], runs[::-1], **SETTINGS)[0]

    np.testing.assert_array_equal(together[4].obs_ids, alone.obs_ids)
    np.testing.assert_allclose(together[4].divergence, alone.divergence, atol=1e-11)


def test_blocks_of_targets_do_not_change_a_ranking(random_shapes, monkeypatch):
    runs = random_shapes(11)
    whole = rank_runs(runs, runs, **SETTINGS)

    monkeypatch.setattr("bkgpipe.numerics.rank._BLOCK", 4)
    blocks = rank_runs(runs, runs, **SETTINGS)

    assert [ranking.obs_id for ranking in blocks] == list(range(1, 12))
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(one.obs_ids, other.obs_ids)


def test_candidate_that_sees_too_little_is_refused(make_shape):
    exposure = np.zeros((N_ENERGY, N_OFFSET))
    exposure[-1] = 10.0  # the highest energy alone
    runs = [make_shape(2, exposure=exposure), make_shape(3)]

    ranking = rank_runs([make_shape(1)], runs, **SETTINGS)[0]

    np.testing.assert_array_equal(ranking.obs_ids, [3])
    assert ranking.n_refused == 1


def test_fully_masked_runs_are_refused_and_find_nobody(make_shape):
    masked = make_shape(2, counts=np.zeros((N_ENERGY, N_OFFSET)), exposure=0.0)

    as_candidate = rank_runs([make_shape(1)], [masked], **SETTINGS)[0]
    as_target = rank_runs([masked], [make_shape(1)], **SETTINGS)[0]

    for ranking in (as_candidate, as_target):
        assert ranking.obs_ids.size == 0
        assert ranking.n_refused == 1
        assert ranking.is_short


def test_no_candidates_is_short(make_shape):
    limits = MimicLimits(same_telescopes=True)

    (ranking,) = rank_runs([make_shape(1)], [], **SETTINGS | {"limits": limits})

    assert ranking.obs_ids.size == ranking.taken.size == 0
    assert ranking.is_short
    assert ranking.n_refused == 0


def test_no_targets_give_no_rankings(make_shape):
    assert rank_runs([], [make_shape(1)], **SETTINGS) == []
    assert rank_runs([], [], **SETTINGS) == []


@pytest.mark.parametrize(
    ("limit", "change", "passes"),
    [
        ({"zenith": 5.0}, {"zenith": 44.0}, True),
        ({"zenith": 5.0}, {"zenith": 52.0}, False),
        ({"zenith": 5.0}, {"zenith": np.nan}, True),
        ({"azimuth": 30.0}, {"azimuth": 355.0}, True),
        ({"azimuth": 30.0}, {"azimuth": 330.0}, False),
        ({"azimuth": 30.0}, {"azimuth": 22.6 - 720.0}, True),
        ({"time": 10.0}, {"time_start": 53350.0}, True),
        ({"time": 10.0}, {"time_start": 53400.0}, False),
        ({"muon_efficiency": 0.1}, {"muon_efficiency": 0.7}, False),
        ({"muon_efficiency": 0.1}, {"muon_efficiency": np.nan}, True),
        ({"nsb": 0.5}, {"nsb": 1.4}, True),
        ({"nsb": 0.5}, {"nsb": 1.6}, False),
        ({"same_telescopes": True}, {"telescopes": "1,2,3"}, False),
        ({"same_telescopes": True}, {"telescopes": ""}, True),
        ({}, {"telescopes": "1,2,3", "zenith": 0.0, "azimuth": 180.0}, True),
    ],
)
def test_mimic_limits(make_shape, limit, change, passes):
    conditions = {"zenith": 46.9, "azimuth": 22.6, "time_start": 53344.0, "nsb": 1.0}
    one = make_shape(1, **conditions, muon_efficiency=0.9)
    other = make_shape(2, **conditions | {"muon_efficiency": 0.9} | change)
    limits = MimicLimits(**limit)

    found = is_mimic([one], [other, one], limits=limits)
    swapped = is_mimic([other], [one], limits=limits)

    np.testing.assert_array_equal(found, [[passes, True]])
    assert swapped[0, 0] == passes


def test_runs_with_other_bins_are_refused_by_name(make_shape):
    other = make_shape(17, counts=np.ones((N_ENERGY, N_OFFSET + 1)))

    with pytest.raises(BinningMismatchError, match=r"run 17.*\[binning\] settings"):
        rank_runs([make_shape(1)], [make_shape(2), other], **SETTINGS)


def test_a_single_bin_is_like_any_other(make_shape):
    one, other = (make_shape(i, counts=[[10.0 * i]]) for i in (1, 2))

    (ranking,) = rank_runs([one], [other], **SETTINGS)

    np.testing.assert_array_equal(ranking.divergence, [0.0])
