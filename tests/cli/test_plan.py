from __future__ import annotations

import json
import re

import pytest
from astropy.table import Table

from bkgpipe.chain import memory


def test_plan_before_the_first_run(bkgpipe, folder):
    result = bkgpipe("plan")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Runs:    8 in the store, 8 selected (0.48 h), 8 get a model"
    assert lines[2:6] == [
        "select   0 of 1 done",
        "  runs.ecsv: no products yet",
        "mask     0 of 4 done",
        "  mask_333.h5 to mask_336.h5 (4 files): no products yet",
    ]
    assert re.match(r"Takes:   about \d+ s with 1 worker on this machine", lines[-3])
    assert re.match(r"Memory:  up to \d+ MB \(\w+\); this machine has ", lines[-2])
    assert lines[-1].startswith("Disk:    ")
    assert lines[-1].endswith(" are free")
    assert not (folder / "out").exists()


@pytest.mark.usefixtures("folder")
def test_plan_counts_the_groups_before_merging(bkgpipe):
    one = bkgpipe("plan", "--json", "--set", "stack.zenith_edges=0, 90 deg")
    more = bkgpipe(
        "plan",
        "--json",
        "--set",
        "stack.zenith_edges=0, 25, 90 deg",
        "--set",
        "stack.azimuth_edges=-90, 90, 270 deg",
    )

    assert json.loads(one.stdout)["cells"] == 1
    assert 2 <= json.loads(more.stdout)["cells"] <= 4


@pytest.mark.usefixtures("finished")
def test_plan_as_json(bkgpipe):
    result = bkgpipe("plan", "--json")

    answer = json.loads(result.stdout)
    assert (answer["runs"], answer["selected"], answer["models"]) == (8, 8, 8)
    assert answer["hours"] == pytest.approx(0.48)
    assert answer["stages"]["count"] == [4, 4]
    assert answer["stages"]["rank"] == [4, 4]
    assert answer["to_do"] == []
    assert answer["seconds"] == answer["memory"] == 0
    assert answer["bytes"] > 0


@pytest.mark.usefixtures("finished")
def test_a_plan_with_nothing_to_do(bkgpipe):
    lines = bkgpipe("plan").stdout.splitlines()

    # one of its events files was taken away
    assert lines[1].startswith("Refused: 1 of 8 runs cannot be used, the first one: ")
    assert lines[2:] == [
        "select   1 of 1 done",
        *(
            f"{stage:8} 4 of 4 done"
            for stage in ("mask", "count", "rank", "stack", "smooth", "export")
        ),
        "report",
        "Nothing to do.",
    ]


@pytest.mark.usefixtures("finished")
def test_a_changed_setting_is_named(bkgpipe):
    text = bkgpipe("plan", "--set", "smooth.sigma=2").stdout
    answer = json.loads(bkgpipe("plan", "--json", "--set", "smooth.sigma=2").stdout)

    assert "stack    4 of 4 done\nsmooth   0 of 4 done\n" in text
    assert "  smooth_333.h5 to smooth_336.h5 (4 files): smooth.sigma changed: " in text
    reasons = {each["reason"] for each in answer["to_do"]}
    assert reasons == {"smooth.sigma changed: no products yet", "smooth.sigma changed"}
    assert {each["stage"] for each in answer["to_do"]} == {"smooth", "export", "report"}
    assert all(each["certain"] for each in answer["to_do"])
    assert answer["stages"]["export"] == [0, 4]


@pytest.mark.usefixtures("finished")
def test_settings_of_another_version_are_passed_over(bkgpipe, finished):
    strange = finished / "out" / "settings" / "settings-000000.cfg"
    strange.write_text("[smooth]\nnever_heard_of = 1\n")

    text = bkgpipe("plan", "--set", "smooth.sigma=2").stdout

    strange.unlink()
    assert "smooth.sigma changed: no products yet" in text


def test_reasons_are_told_run_by_run(bkgpipe, folder, find_events):
    own = ("--set", "stack.strategy=own", "--set", "run.allow_refused=true")
    assert bkgpipe("run", *own).exit_code == 0
    index = folder / "store" / "obs-index.fits.gz"
    table = Table.read(index)
    table["ZEN_PNT"][table["OBS_ID"] == 1006] += 1
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table[table["OBS_ID"] != 1002].write(index, overwrite=True)
    find_events(folder / "store", 1004).unlink()
    events = find_events(folder / "store", 1008)
    events.write_bytes(events.read_bytes() + b"\0")
    (damaged,) = (folder / "out").glob("count-*/count_333.h5")
    damaged.write_bytes(damaged.read_bytes()[:5000])
    for product in (folder / "out").glob("*/*_333.h5"):
        if product != damaged:
            product.unlink()

    answer = json.loads(bkgpipe("plan", "--json", *own).stdout)

    reasons = {
        each["file"].rpartition("/")[2]: each["reason"] for each in answer["to_do"]
    }
    assert reasons["mask_334.h5"] == "run 1002 withdrawn; events file of run 1004 gone"
    assert reasons["smooth_335.h5"] == "index entry of run 1006 changed"
    assert reasons["export_336.h5"] == "events file of run 1008 changed"
    assert reasons["count_333.h5"] == "damaged file"
    assert reasons["stack_333.h5"] == "not there"
    assert reasons["production.json"].count("; ") == 3
    assert answer["stages"]["count"] == [0, 4]
    assert damaged.exists()


def test_a_store_that_changed_while_a_run_was_stopped(bkgpipe, folder):
    own = ("--set", "stack.strategy=own")
    assert bkgpipe("run", *own).exit_code == 0
    index = folder / "store" / "obs-index.fits.gz"
    table = Table.read(index)
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table[table["OBS_ID"] != 1008].write(index, overwrite=True)
    assert bkgpipe("run", "select", *own).exit_code == 0

    text = bkgpipe("plan", *own).stdout

    assert "select   1 of 1 done\nmask     3 of 3 done\n" in text
    assert "store.json: made of other runs or files" in text


@pytest.mark.usefixtures("folder")
def test_rank_is_planned_only_where_it_is_needed(bkgpipe):
    assert "rank" not in bkgpipe("plan").stdout
    assert "rank" in bkgpipe("plan", "--set", "stack.strategy=ranked").stdout


@pytest.mark.usefixtures("folder")
def test_runs_left_out_are_told_with_the_reason(bkgpipe):
    result = bkgpipe("plan", "--set", "select.exclude_obs_ids=1002")

    assert "7 selected" in result.stdout
    assert "  not selected 1002: " in result.stdout


@pytest.mark.usefixtures("folder")
def test_workers_and_copied_events_change_the_estimate(bkgpipe):
    plain = json.loads(bkgpipe("plan", "--json").stdout)
    two = json.loads(bkgpipe("plan", "--json", "--set", "run.workers=2").stdout)
    index = json.loads(bkgpipe("plan", "--json", "--set", "export.store=index").stdout)

    assert two["seconds"] < plain["seconds"]
    assert index["bytes"] < plain["bytes"]


@pytest.mark.usefixtures("folder")
def test_bins_that_take_long_and_much_memory_are_told(bkgpipe, monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 1_000_000_000)
    fine = ("binning.fov_bins=200", "binning.offset_bins=100", "binning.per_decade=40")
    words = [word for pair in fine for word in ("--set", pair)]

    result = bkgpipe("plan", *words, "--set", "smooth.method=regression")

    assert re.search(r"Takes:   about \d+ min", result.stdout)
    (warning,) = (line for line in result.stdout.splitlines() if "Warning: fit" in line)
    assert "for each of 1 worker, but this machine has 1.0 GB: " in warning
    assert "lower [fit] max_points, or make [binning] coarser" in warning


def test_store_without_an_index_is_an_error(bkgpipe, folder):
    (folder / "store" / "obs-index.fits.gz").unlink()

    result = bkgpipe("plan")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "obs-index" in result.stderr
