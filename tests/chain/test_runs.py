from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.chain.runs import (
    chunk_numbers,
    digest,
    digest_all,
    digest_selected,
    digest_targets,
    run_digests,
    runs_by_chunk,
    undecided,
    used_ids,
)
from bkgpipe.core.run import RunTable
from bkgpipe.store.store import read_runs


@pytest.fixture
def table(production, tmp_path) -> RunTable:
    production()
    return read_runs(tmp_path / "store")


def _with(table: RunTable, number: int, **changes: object) -> RunTable:
    runs = list(table.runs)
    runs[number] = replace(runs[number], **changes)
    return RunTable(runs=tuple(runs))


def test_digests_are_short_and_tell_values_apart():
    assert len(digest([1, "a"])) == 16
    assert digest([1, "a"]) == digest(iter([1, "a"]))
    assert digest([1, 2]) != digest([2, 1])
    assert digest(["1"]) != digest([1])


def test_chunks_follow_from_the_run_numbers_alone(table):
    fewer = RunTable(runs=table.runs[2:])

    assert chunk_numbers(table, 3, exported=False) == (333, 334, 335, 336)
    blocks, some = runs_by_chunk(table, 3), runs_by_chunk(fewer, 3)
    assert [run.obs_id for run in blocks[334]] == [1002, 1003, 1004]
    assert some[335] == blocks[335]
    assert digest_targets(fewer, 3)[335] == digest_targets(table, 3)[335]
    assert sum(len(runs) for runs in blocks.values()) == len(table.runs)


def test_runs_that_are_not_read_make_no_chunk(table):
    changed = _with(table, 0, selected=False, exported=False)

    assert chunk_numbers(changed, 3, exported=False) == (334, 335, 336)


def test_a_run_that_only_gets_a_model_is_read_too(table):
    changed = _with(_with(table, 0, selected=False), 7, exported=False)

    assert 333 in chunk_numbers(changed, 3, exported=False)
    assert [run.obs_id for run in changed.exported][-1] == 1007
    assert chunk_numbers(changed, 1, exported=True)[-1] == 1007


@pytest.mark.parametrize("changes", [{"file_size": 1}, {"checksum": "ab"}, {"ra": 1.0}])
def test_a_changed_run_changes_its_chunk_and_the_whole(table, changes):
    changed = _with(table, 4, **changes)

    before, after = digest_targets(table, 3), digest_targets(changed, 3)
    assert {number for number in before if before[number] != after[number]} == {335}
    assert digest_all(changed) != digest_all(table)


@pytest.mark.parametrize(
    "changes",
    [{"file_time": 7}, {"selected": False}, {"exported": False}, {"reason": "old"}],
)
def test_what_is_decided_on_a_run_is_no_part_of_it(table, changes):
    changed = _with(table, 4, **changes)

    assert run_digests(changed) == run_digests(table)
    assert repr(undecided(changed.runs[4])) == repr(undecided(table.runs[4]))
    assert (digest_all(changed) == digest_all(table)) == ("file_time" in changes)


def test_models_depend_on_the_runs_that_are_selected_or_get_one(table):
    fewer = _with(table, 4, selected=False)
    other = _with(table, 4, exported=False)

    assert digest_selected(fewer) != digest_selected(table) == digest_selected(other)
    assert digest_targets(fewer, 3) == digest_targets(table, 3)
    assert digest_targets(other, 3)[335] != digest_targets(table, 3)[335]
    assert used_ids(fewer) == used_ids(table)
    assert used_ids(_with(fewer, 4, exported=False)) == used_ids(table) - {1005}
