from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.chain.summary import read_summary
from bkgpipe.errors import InputError
from bkgpipe.flow import archive
from bkgpipe.flow.count import AllCounts
from bkgpipe.flow.rank import (
    AllRankings,
    GatherCandidates,
    explain_ranking,
    read_all_rankings,
)
from bkgpipe.flow.stack import AllStacks
from bkgpipe.stages.count.files import read_shapes
from bkgpipe.stages.rank.data import REASONS
from bkgpipe.stages.rank.files import CANDIDATES
from bkgpipe.stages.stack.files import STACKS


def test_all_rankings_are_read_in_order(finish, production):
    task = finish(stack__strategy="ranked")

    rankings = read_all_rankings(task.settings)

    assert [ranking.obs_id for ranking in rankings] == list(range(1001, 1009))
    assert all(ranking.n_by_reason.sum() == 8 for ranking in rankings)
    assert all(ranking.counted["own run"] == 1 for ranking in rankings)
    assert read_all_rankings(production().settings) == ()


def test_explanation_is_of_all_candidates(production, build):
    task = production(stack__strategy="ranked", select__exclude_obs_ids="1005")
    assert build(task.sibling(AllRankings))
    short = {r.obs_id: r for r in read_all_rankings(task.settings)}

    whole = explain_ranking(task.sibling(AllCounts), 1003)

    assert sorted(whole.obs_ids) == [1001, 1002, 1003, 1004, 1006, 1007, 1008]
    assert whole.taken.tolist() == short[1003].taken.tolist()
    assert whole.counted == short[1003].counted
    assert REASONS[whole.reason[whole.obs_ids == 1003][0]] == "own run"


def test_explanation_needs_counts_and_a_known_run(production, build):
    counts = production(stack__strategy="ranked").sibling(AllCounts)
    with pytest.raises(InputError, match=r"not counted yet.*Run bkgpipe run count"):
        explain_ranking(counts, 1003)
    assert build(counts)
    with pytest.raises(InputError, match=r"run 77: is no run .*bkgpipe status"):
        explain_ranking(counts, 77)


def test_unfit_runs_are_not_taken(production, build):
    # the mask around the source takes part of each field
    task = production(
        stack__strategy="ranked",
        mask__min_kept_fraction="1",
        run__allow_refused="true",
    )
    build(task)

    assert read_all_rankings(task.settings) == ()
    reasons = read_summary(task.settings).refused.values()
    assert len(reasons) == 8
    assert all("too few runs look like it" in reason for reason in reasons)


def test_ranked_and_own_share_masks_and_counts(finish, production, build):
    task = finish(stack__strategy="ranked")
    output = task.settings.data.output
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*_33?.h5")}

    own = production(stack__strategy="own")
    assert build(own)

    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    folders = {path.name.partition("-")[0] for path in output.glob("*-??????")}
    n_folders = {
        stage: len(list(output.glob(f"{stage}-*"))) for stage in sorted(folders)
    }
    assert n_folders["mask"] == n_folders["count"] == n_folders["rank"] == 1
    assert n_folders["stack"] == n_folders["export"] == n_folders["report"] == 2


def test_scales_reach_the_stack(finish, production, build):
    task = finish(stack__strategy="ranked")
    scaled = _exposures(task.settings)

    plain = production(stack__strategy="ranked", rank__scale="none")
    assert build(plain.sibling(AllStacks))

    assert scaled.keys() == _exposures(plain.settings).keys()
    assert scaled != _exposures(plain.settings)


def _exposures(settings):
    return {
        obs_id: stack.exposure_2d.sum()
        for path in settings.folder("stack").glob("stack_*.h5")
        for obs_id, stack in STACKS.read(path).records.items()
    }


def test_counts_are_read_once_for_all_rankings(production, build, monkeypatch):
    task = production(stack__strategy="ranked", data__chunk_size="2")
    counts, candidates = task.sibling(AllCounts), task.sibling(GatherCandidates)
    assert build(candidates)
    made = Path(candidates.output().path).stat().st_mtime_ns
    read: list[str] = []
    monkeypatch.setattr(
        archive,
        "read_shapes",
        lambda path: read.append(path.name) or read_shapes(path),
    )

    assert build(task.sibling(AllRankings))

    assert Path(candidates.output().path).stat().st_mtime_ns == made
    assert sorted(read) == sorted(each.path.name for each in counts.chunks())


def test_candidates_are_gathered_again_when_they_change(finish, production, build):
    task = finish(stack__strategy="ranked")
    (path,) = task.settings.data.output.glob("rank-*/candidates.h5")
    assert CANDIDATES.read_one(path).obs_ids.tolist() == list(range(1001, 1009))
    path.write_bytes(path.read_bytes()[:-700])
    fewer = production(stack__strategy="ranked", select__exclude_obs_ids="1005")

    assert build(fewer.sibling(AllRankings))

    (path,) = fewer.settings.folder("rank").glob("candidates.h5")
    assert 1005 not in CANDIDATES.read_one(path).obs_ids
    path.write_bytes(path.read_bytes()[:-700])
    for each in path.parent.glob("rank_*.h5"):
        each.unlink()
    assert build(fewer.sibling(AllRankings))
    assert 1005 not in CANDIDATES.read_one(path).obs_ids
