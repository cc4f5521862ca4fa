from __future__ import annotations

import json

import pytest


def test_plan_before_the_first_run(bkgpipe, folder):
    result = bkgpipe("plan")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Runs:    8 in the store, 8 selected (0.48 h), 8 get a model"
    assert "select   0 of 1 chunks done" in lines
    assert "count    0 of ? chunks done" in lines
    assert "About" in lines[-1]
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
    assert answer["seconds"] > 0
    assert answer["bytes"] > 0


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


def test_store_without_an_index_is_an_error(bkgpipe, folder):
    (folder / "store" / "obs-index.fits.gz").unlink()

    result = bkgpipe("plan")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "obs-index" in result.stderr
