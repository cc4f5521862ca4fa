from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.criteria import RankCriteria
from bkgpipe.stages.count.data import ControlEvents, RunShape
from bkgpipe.stages.rank.candidates import (
    join_shapes,
    pack_candidates,
    unpack_candidates,
)
from bkgpipe.stages.rank.order import rank_runs

CRITERIA = RankCriteria(hours=1.0, energy_bins=3, offset_bins=2)
N_ENERGY, N_OFFSET = 6, 5


@pytest.fixture
def shapes(make_run):
    rng = np.random.default_rng(3)
    found = []
    for obs_id in range(1, 9):
        exposure = rng.uniform(5.0, 20.0, (N_ENERGY, N_OFFSET))
        exposure[: obs_id % 3] = 0.0
        control = ControlEvents(
            counts_outer=100 * obs_id,
            exposure_outer=10.0,
            counts_low=obs_id,
            exposure_low=2.0,
            counts_rim=10 * obs_id,
            exposure_rim=3.0,
        )
        found.append(
            RunShape(
                run=make_run(obs_id),
                counts_2d=rng.poisson(5 * exposure),
                exposure_2d=exposure,
                livetime=1500.0 + obs_id,
                kept_fraction=0.9,
                control=control,
                lowest_energy=0.1 * obs_id,
            )
        )
    return found


def test_joined_runs_see_whole_bins_alone(shapes):
    joined = join_shapes(shapes, criteria=CRITERIA)

    assert [each.obs_id for each in joined] == [each.obs_id for each in shapes]
    assert joined[0].counts_2d.shape == (3, 2)
    # run 1 does not see the first of two bins that are joined
    assert not joined[0].counts_2d[0].any()
    assert not joined[0].exposure_2d[0].any()
    whole = shapes[0].counts_2d[2:4, :3].sum()
    assert joined[0].counts_2d[1, 0] == whole
    assert join_shapes([], criteria=CRITERIA) == []


def test_to_join_again_changes_nothing(shapes):
    once = join_shapes(shapes, criteria=CRITERIA)

    for one, two in zip(once, join_shapes(once, criteria=CRITERIA), strict=True):
        np.testing.assert_array_equal(one.counts_2d, two.counts_2d)
        np.testing.assert_array_equal(one.exposure_2d, two.exposure_2d)


def test_more_bins_than_there_are(shapes):
    criteria = replace(CRITERIA, energy_bins=99, offset_bins=2)

    assert join_shapes(shapes, criteria=criteria)[0].counts_2d.shape == (N_ENERGY, 2)


def test_runs_come_out_of_their_arrays(shapes):
    joined = join_shapes(shapes, criteria=CRITERIA)
    candidates = pack_candidates(joined, unfit=[4, 7])

    found = unpack_candidates(candidates, {run.obs_id: run.run for run in shapes})

    assert candidates.unfit == {4, 7}
    for one, two in zip(joined, found, strict=True):
        assert one.run is two.run
        assert repr(one.control) == repr(two.control)
        assert one.lowest_energy == two.lowest_energy
        assert one.kept_fraction == two.kept_fraction
        np.testing.assert_array_equal(one.counts_2d, two.counts_2d)
        np.testing.assert_array_equal(one.exposure_2d, two.exposure_2d)


def test_no_runs():
    candidates = pack_candidates([], unfit=())

    assert candidates.obs_ids.shape == (0,)
    assert unpack_candidates(candidates, {}) == []


def test_joined_runs_are_ranked_as_whole_ones(shapes):
    joined = join_shapes(shapes, criteria=CRITERIA)

    before = rank_runs(shapes, shapes, criteria=CRITERIA)
    after = rank_runs(joined, joined, criteria=CRITERIA)

    for one, two in zip(before, after, strict=True):
        assert one.obs_ids.tolist() == two.obs_ids.tolist()
        # what is lost are digits beyond single precision
        np.testing.assert_allclose(one.divergence, two.divergence, atol=1e-6)
