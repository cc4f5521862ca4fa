from __future__ import annotations

import json
import tarfile
from dataclasses import replace

import pytest

from bkgpipe.batch.bundle.pack import find_open, pack_chunks
from bkgpipe.chain.inputs import preview
from bkgpipe.core.run import RunTable
from bkgpipe.errors import InputError, SettingsError
from bkgpipe.flow import AllCounts, Select
from bkgpipe.stages.select.files import read_runs_table


def _names(path):
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_a_bundle_holds_its_chunk_and_nothing_of_others(selected, tmp_path):
    first, second = pack_chunks(
        selected.settings, "count", [[333], [334]], folder=tmp_path / "sent"
    )

    assert [each.chunks for each in (first, second)] == [(333,), (334,)]
    assert second.path.name == "count_334.tar"
    names = _names(second.path)
    assert names[0] == "bundle.json"
    events = [name for name in names if name.startswith("store/data/")]
    assert len(events) == 3
    masks = [name for name in names if "/mask-" in name]
    assert [name.rpartition("/")[2] for name in masks] == ["mask_334.h5"]
    with tarfile.open(second.path) as tar:
        tar.extract("runs.ecsv", tmp_path, filter="data")
        settings = tar.extractfile("settings.cfg").read().decode()
        note = json.load(tar.extractfile("bundle.json"))
    assert [run.obs_id for run in read_runs_table(tmp_path / "runs.ecsv").runs] == [
        1002,
        1003,
        1004,
    ]
    assert str(tmp_path) not in settings
    assert "catalogs =\n" in settings
    assert note["fingerprints"]["mask"] == selected.settings.fingerprint("mask")
    assert second.size == second.path.stat().st_size


def test_chunks_that_are_there_are_left_out(selected, build):
    assert build(selected.sibling(AllCounts))

    assert find_open(selected.settings, "count", [334, 333]) == []


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (("fit", [0]), (SettingsError, "fit is made of all runs at once")),
        (("mask", [334]), (SettingsError, "bkgpipe run mask")),
        (("count", [334, 7]), (SettingsError, "no chunk 7 of count; there are 333,")),
        (("export", [334]), (InputError, r"fit\.h5 is not there, which export")),
    ],
)
def test_what_cannot_be_packed_is_told(selected, tmp_path, asked, error):
    kind, words = error
    word, chunks = asked
    with pytest.raises(kind, match=words):
        list(
            pack_chunks(
                selected.settings,
                word,
                [find_open(selected.settings, word, chunks)],
                folder=tmp_path / "sent",
            )
        )


def test_stacks_of_groups_are_made_where_the_production_is(production, build):
    task = production(smooth__method="none")
    assert build(task.sibling(Select))

    with pytest.raises(SettingsError, match="stack is made of all runs at once"):
        find_open(task.settings, "stack", [0])


def test_files_outside_of_the_store_are_not_sent(selected, tmp_path):
    runs = [
        replace(run, events_file=f"../elsewhere/{run.obs_id}.fits")
        for run in selected.table.runs
    ]

    with (
        preview(selected.settings, RunTable(runs=tuple(runs))),
        pytest.raises(InputError, match="lies outside of the store"),
    ):
        list(pack_chunks(selected.settings, "count", [[334]], folder=tmp_path))
