from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.datamodel import RunTable
from bkgpipe.errors import InputError, SettingsError
from bkgpipe.io.store import read_runs
from bkgpipe.production.inputs import (
    chunk_numbers,
    digest,
    digest_all,
    digest_chunks,
    digest_store,
    forget,
    is_selected,
    load_settings,
    load_table,
    read_store,
    runs_by_chunk,
)
from bkgpipe.tasks.select import Select


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
    assert digest_chunks(fewer, 3)[335] == digest_chunks(table, 3)[335]
    assert sum(len(runs) for runs in blocks.values()) == len(table.runs)


def test_runs_that_are_not_read_make_no_chunk(table):
    changed = _with(table, 0, selected=False, exported=False)

    assert chunk_numbers(changed, 3, exported=False) == (334, 335, 336)


def test_a_run_that_only_gets_a_model_is_read_too(table):
    changed = _with(_with(table, 0, selected=False), 7, exported=False)

    assert 333 in chunk_numbers(changed, 3, exported=False)
    assert [run.obs_id for run in changed.exported][-1] == 1007
    assert chunk_numbers(changed, 1, exported=True)[-1] == 1007


@pytest.mark.parametrize("changes", [{"file_size": 1}, {"file_time": 1}, {"ra": 1.0}])
def test_a_changed_run_changes_its_chunk_and_the_whole(table, changes):
    changed = _with(table, 4, **changes)

    before, after = digest_chunks(table, 3), digest_chunks(changed, 3)
    assert {number for number in before if before[number] != after[number]} == {335}
    assert digest_all(changed) != digest_all(table)


def test_settings_are_read_again_when_the_file_changes(production, tmp_path):
    production()
    path = tmp_path / "luigi.cfg"
    first = load_settings(str(path))
    assert load_settings(str(path)) is first

    path.write_text(path.read_text().replace("fov_bins = 10", "fov_bins = 12"))
    os.utime(path, ns=(1, 1))

    assert load_settings(str(path)).binning.fov_bins == 12


def test_settings_that_are_not_there(tmp_path):
    with pytest.raises(
        SettingsError, match=r"none\.cfg: cannot be read .*bkgpipe init"
    ):
        load_settings(str(tmp_path / "none.cfg"))


def test_a_production_keeps_the_runs_that_it_started_with(production, tmp_path):
    settings = production().settings
    before, sum_before = read_store(settings), digest_store(settings)
    next((tmp_path / "store" / "data").glob("*1001*")).unlink()

    assert read_store(settings) is before
    assert digest_store(settings) == sum_before

    forget()
    assert read_store(settings).runs[0].file_size == -1
    assert digest_store(settings) != sum_before


def test_runs_are_selected_once_the_file_is_there(production, build, tmp_path):
    task = production()
    assert not is_selected(task.settings)
    assert load_table(task.settings).runs == ()

    assert build(task.sibling(Select))

    assert is_selected(task.settings)
    assert len(load_table(task.settings).runs) == 8
    next((tmp_path / "store" / "data").glob("*1001*")).unlink()
    forget()
    assert not is_selected(task.settings)


def test_a_damaged_table_counts_as_not_selected(production, build):
    task = production()
    assert build(task.sibling(Select))
    path: Path = task.settings.folder("select") / "runs.ecsv"
    path.write_text("words")
    forget()

    assert not is_selected(task.settings)


def test_a_store_without_an_index(production, tmp_path):
    settings = production().settings
    (tmp_path / "store" / "obs-index.fits.gz").unlink()

    with pytest.raises(InputError, match="obs-index"):
        read_store(settings)
