from __future__ import annotations

import pytest
from gammapy.data import DataStore

from bkgpipe.errors import NoRunsError
from bkgpipe.io.gadf import Origin
from bkgpipe.io.store import read_runs
from bkgpipe.tasks.export import find_origin
from bkgpipe.tasks.store import MakeStore
from bkgpipe.tasks.summary import read_export_entries, read_summary


@pytest.mark.parametrize("word", ["bkg_3d", "bkg_2d"])
def test_only_the_format_asked_for_is_written(production, build, word):
    task = production(export__format=word)
    assert build(task.sibling(MakeStore))

    store = task.settings.folder("export") / "store"
    names = sorted(path.name for path in (store / "models").iterdir())
    assert names == [f"{word}_{number}.fits" for number in range(1001, 1009)]
    observations = DataStore.from_dir(store).get_observations()
    assert {each.bkg.tag for each in observations} == {word}


@pytest.mark.parametrize(("store", "n_files"), [("full", 8), ("index", 0)])
def test_events_are_copied_or_named(production, build, store, n_files):
    task = production(export__store=store)
    assert build(task.sibling(MakeStore))

    folder = task.settings.folder("export") / "store"
    assert len(list((folder / "data").glob("*"))) == n_files
    observations = DataStore.from_dir(folder).get_observations()
    assert len(observations) == 8
    assert all(len(each.events.table) > 0 for each in observations)


def test_only_the_runs_asked_for_get_a_model(production, build):
    task = production(export__obs_ids="1002, 1007")
    assert build(task.sibling(MakeStore))

    entries = read_export_entries(task.settings)
    assert [entry.obs_id for entry in entries] == [1002, 1007]
    assert read_summary(task.settings).n_used == 8


def test_no_model_at_all_is_a_failure_in_words(production, build, tmp_path):
    for path in (tmp_path / "store" / "data").iterdir():
        path.write_bytes(b"words")
    task = production(stack__strategy="own")

    assert not build(task.sibling(MakeStore))

    assert len(read_summary(task.settings).refused) == 8
    with pytest.raises(NoRunsError, match=r"no run got a model.*bkgpipe status"):
        task.sibling(MakeStore).run()


def test_origin_is_that_of_the_first_run_that_can_be_read(production, build, tmp_path):
    next((tmp_path / "store" / "data").glob("*1001*")).unlink()
    task = production(run__allow_refused="true")
    build(task.sibling(MakeStore))

    assert find_origin(task.settings, task.table).telescope == "SIMTEL"


def test_origin_is_unknown_when_no_run_can_be_read(production, build, tmp_path):
    task = production()
    build(task.sibling(MakeStore))
    for path in (tmp_path / "store" / "data").iterdir():
        path.unlink()

    table = read_runs(tmp_path / "store")
    assert find_origin(task.settings, table) == Origin()
