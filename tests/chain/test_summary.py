from __future__ import annotations

from dataclasses import asdict

import pytest

from bkgpipe.chain.inputs import forget
from bkgpipe.chain.summary import (
    read_export_entries,
    read_states,
    read_status,
    read_summary,
)
from bkgpipe.errors import DamagedFileError
from bkgpipe.flow.count import AllCounts
from bkgpipe.flow.select import Select
from bkgpipe.stages.count.files import COUNTS


def test_before_the_first_run_all_is_empty(production):
    settings = production().settings

    summary = read_summary(settings)

    assert (summary.n_used, summary.hours, summary.models) == (0, 0, ())
    assert (summary.refused, summary.left_out, summary.timing) == ({}, {}, {})
    assert summary.conservation.n_read == 0
    assert read_export_entries(settings) == []


@pytest.mark.parametrize("strategy", ["groups", "ranked", "own"])
def test_rank_is_a_stage_only_where_it_is_needed(production, build, strategy):
    task = production(stack__strategy=strategy)
    before = [state.stage for state in read_states(task.settings)]

    assert build(task.sibling(Select))

    after = read_states(task.settings)
    assert [state.stage for state in after] == before
    assert ("rank" in before) == (strategy == "ranked")
    totals = {state.stage: state.n_total for state in after}
    assert totals["stack"] == (1 if strategy == "groups" else 4)
    assert totals["count"] == totals["export"] == 4
    assert [state.n_done for state in after] == [1, *[0] * (len(after) - 1)]


def test_numbers_of_a_production_that_is_half_done(production, build, tmp_path):
    next((tmp_path / "store" / "data").glob("*1003*")).unlink()
    task = production(select__exclude_obs_ids="1005", export__obs_ids="1001, 1003")
    assert build(task.sibling(AllCounts))

    summary = read_summary(task.settings)

    assert summary.n_used == 6
    assert summary.hours == pytest.approx(6 * 270 / 3600)
    assert list(summary.refused) == [1003]
    assert list(summary.left_out) == [1005]
    assert list(summary.timing) == ["select", "mask", "count"]
    assert summary.models == ()
    assert summary.conservation.n_lost == 0
    chunks = task.settings.folder("count").glob("count_*.h5")
    records = [r for path in chunks for r in COUNTS.read(path).records.values()]
    assert summary.conservation.n_counted == sum(r.counts_2d.sum() for r in records)
    totals = {state.stage: state.n_total for state in read_states(task.settings)}
    assert (totals["count"], totals["export"]) == (4, 2)


def test_runs_that_may_not_be_stacked_are_told(production, build):
    task = production(mask__min_kept_fraction="1", select__exclude_obs_ids="1005")
    assert build(task.sibling(AllCounts))

    summary = read_summary(task.settings)

    assert 1005 not in summary.unfit
    assert summary.unfit
    assert all("the mask keeps" in reason for reason in summary.unfit.values())
    assert summary.refused == {}


def test_unfit_runs_have_no_model_of_their_own(production, build):
    task = production(
        mask__min_kept_fraction="1",
        stack__strategy="own",
        run__allow_refused="true",
    )
    build(task)  # a store of no models at all is a failure

    summary = read_summary(task.settings)

    assert len(summary.refused) == 8
    assert all("the mask keeps" in reason for reason in summary.refused.values())
    assert summary.unfit == {}
    assert summary.models == ()


def test_files_of_running_tasks_are_not_counted(production, build):
    task = production()
    assert build(task.sibling(Select))
    folder = task.settings.folder("count")
    folder.mkdir()
    (folder / ".count_333.h5.vm-1-00c0ffee").touch()
    (folder / "count_333.h5.damaged").touch()

    done = {state.stage: state.n_done for state in read_states(task.settings)}

    assert done["count"] == 0
    assert read_summary(task.settings).n_used == 0


def test_a_damaged_product_is_an_error(production, build):
    task = production()
    assert build(task.sibling(AllCounts))
    path = task.settings.folder("count") / "count_334.h5"
    path.write_bytes(b"words")

    with pytest.raises(DamagedFileError, match=r"count_334\.h5: .*Run the stage again"):
        read_summary(task.settings)


def test_a_production_that_is_done_is_recalled_from_its_record(finish, monkeypatch):
    task = finish(select__exclude_obs_ids="1005")
    found = read_summary(task.settings)

    _, recalled = read_status(task.settings)

    assert recalled.timing.keys() == found.timing.keys()
    assert asdict(recalled) == asdict(found)
    # of the products nothing but their headers is read
    monkeypatch.setattr("bkgpipe.chain.look.read_tallies", None)
    monkeypatch.setattr("bkgpipe.chain.look.ENTRIES", None)
    assert read_status(task.settings)[1].n_used == found.n_used == 7


@pytest.mark.parametrize("change", ["damaged", "lost chunk", "changed store"])
def test_a_record_of_something_else_is_not_taken(finish, tmp_path, change):
    task = finish()
    record = task.settings.data.output / "production.json"
    if change == "damaged":
        record.write_text("words")
    elif change == "lost chunk":
        (task.settings.folder("count") / "count_334.h5").unlink()
    else:
        next((tmp_path / "store" / "data").glob("*1003*")).unlink()
        forget()

    _, summary = read_status(task.settings)

    assert summary.n_used == read_summary(task.settings).n_used
    assert (summary.n_used == 8) == (change != "lost chunk")
