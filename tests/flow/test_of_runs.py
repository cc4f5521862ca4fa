from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bkgpipe.chain.inputs import forget
from bkgpipe.flow.count import AllCounts, Count
from bkgpipe.flow.mask import AllMasks, Mask
from bkgpipe.product.chunk_file import read_identities
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.store.events import read_events


@pytest.fixture
def made(monkeypatch):
    """Numbers of the runs that are masked and counted, as that happens."""
    found: dict[str, list[int]] = {"mask": [], "count": []}
    for task, word, name in ((Mask, "mask", "_make_mask"), (Count, "count", "_count")):
        original = getattr(task, name)

        def record(self, run, *rest, word=word, original=original):
            found[word].append(run.obs_id)
            return original(self, run, *rest)

        monkeypatch.setattr(task, name, record)
    return found


@pytest.fixture
def count(production, build):
    """Count with some settings; return the file."""

    def run(**changes: str) -> Path:
        task = production(data__chunk_size="100", **changes).sibling(AllCounts)
        forget()
        assert build(task)
        assert task.complete()
        (path,) = task.settings.folder("count").glob("count_*.h5")
        return path

    return run


_SELECTIONS = (
    {"select__obs_ids": "1001, 1002, 1003"},
    {"select__obs_ids": "1003, 1004"},
    {"select__exclude_obs_ids": "1008"},
    {"export__obs_ids": "1002"},
    {"select__max_zenith": "89 deg"},
    {"select__min_livetime": "2 min"},
    {},
)


def test_seven_selections_cost_one_mask_and_one_count_of_each_run(count, made):
    for changes in _SELECTIONS:
        path = count(**changes)

    assert sorted(made["mask"]) == sorted(made["count"]) == list(range(1001, 1009))
    assert sorted(read_identities(path)) == list(range(1001, 1009))


def test_what_a_later_selection_adds_is_what_one_alone_makes(count):
    path = count(select__obs_ids="1003, 1004")
    count(select__obs_ids="1001, 1003")
    joined = COUNTS.read(path)
    shutil.rmtree(path.parent)

    alone = COUNTS.read(count(select__obs_ids="1001, 1003, 1004"))

    assert joined.records.keys() == alone.records.keys()
    for obs_id, run in alone.records.items():
        assert (joined.records[obs_id].counts_3d == run.counts_3d).all()
        assert joined.records[obs_id].conservation == run.conservation
        assert repr(joined.records[obs_id].run) == repr(run.run)


def test_a_run_that_changed_is_made_again_and_no_other(count, made, halve_good_time):
    path = count()
    before = COUNTS.read(path).records
    (events,) = (path.parents[2] / "store" / "data").glob("*1005*")
    halve_good_time(events)
    made["count"].clear()

    after = COUNTS.read(count()).records

    assert made["count"] == [1005]
    assert after[1005].ontime == pytest.approx(before[1005].ontime / 2)
    assert after[1004].checksum == before[1004].checksum


def test_a_run_that_was_refused_is_not_tried_again(count, made, tmp_path):
    (events,) = (tmp_path / "store" / "data").glob("*1004*")
    events.write_bytes(b"no events")
    path = count(select__obs_ids="1003, 1004")
    assert list(COUNTS.read(path).refused) == [1004]
    made["count"].clear()

    count()

    assert 1004 not in made["count"]
    assert list(COUNTS.read(path).refused) == [1004]


def test_a_damaged_file_is_made_from_the_beginning(count, made):
    path = count(select__obs_ids="1001, 1002")
    path.write_bytes(path.read_bytes()[:-100])
    made["count"].clear()

    count(select__obs_ids="1002, 1003")

    assert sorted(made["count"]) == [1002, 1003]
    assert path.with_name(path.name + ".damaged").exists()


def test_productions_share_masks_and_counts(production, build, made, tmp_path):
    shared = str(tmp_path / "shared")
    first = production(data__counts=shared).sibling(AllMasks)
    assert build(first)

    second = production(data__counts=shared, data__output="other").sibling(AllMasks)
    forget()
    assert build(second)

    assert sorted(made["mask"]) == list(range(1001, 1009))
    assert first.folder == second.folder
    assert first.folder.parent == tmp_path / "shared"
    assert second.settings.folder("select").parent == tmp_path / "other"


def test_a_file_that_changes_while_runs_are_counted_fails_the_task(
    production, build, monkeypatch
):
    task = production(data__chunk_size="100").sibling(AllCounts)

    def read_changed(store, run):
        events, checksum = read_events(store, run)
        return events, "0" * 64 if run.obs_id == 1005 else checksum

    with monkeypatch.context() as patch:
        patch.setattr("bkgpipe.chain.refusals.read_events", read_changed)
        assert not build(task)
    (path,) = task.settings.folder("count").glob("count_*.h5")
    chunk = COUNTS.read(path)
    assert chunk.records.keys() == set(range(1001, 1009)) - {1005}
    assert not chunk.refused

    assert build(task)
    chunk = COUNTS.read(path)
    assert chunk.records.keys() == set(range(1001, 1009))
    assert not chunk.refused
