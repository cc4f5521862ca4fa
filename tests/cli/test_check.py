from __future__ import annotations

import pytest


def test_no_problems(bkgpipe, folder):
    result = bkgpipe("check")

    assert result.exit_code == 0
    assert "8 runs, 8 selected, 8 get a model" in result.stdout
    assert "Regions:  8 excluded, 0 cut to [mask] max_radius" in result.stdout
    assert result.stdout.endswith("No problems.\n")
    assert not (folder / "out").exists()


def test_missing_events_file(bkgpipe, folder, find_events):
    find_events(folder / "store", 1004).unlink()

    result = bkgpipe("check")

    assert result.exit_code == 1
    assert "Problem: run 1004: events file data/run_1004.fits.gz is" in result.stdout
    assert result.stdout.endswith("1 problem(s).\n")


def test_a_missing_file_of_a_run_that_is_not_used_is_none(bkgpipe, folder, find_events):
    find_events(folder / "store", 1004).unlink()

    result = bkgpipe("check", "--set", "select.exclude_obs_ids=1004")

    assert result.exit_code == 0


@pytest.mark.parametrize("key", ["select.obs_ids", "export.obs_ids"])
@pytest.mark.usefixtures("folder")
def test_unknown_obs_id(bkgpipe, key):
    result = bkgpipe("check", "--set", f"{key}=1002, 77")

    assert result.exit_code == 1
    (problem,) = [line for line in result.stdout.splitlines() if "Problem" in line]
    assert "77" in problem
    assert "1002" not in problem


@pytest.mark.usefixtures("folder")
def test_no_run_selected(bkgpipe):
    result = bkgpipe("check", "--set", "select.min_livetime=10 h")

    assert result.exit_code == 1
    assert "Problem: no run is selected: widen [select]" in result.stdout


def test_all_problems_are_told_at_once(bkgpipe, folder):
    (folder / "store" / "obs-index.fits.gz").unlink()
    (folder / "file").write_text("in the way")
    (folder / "none.fits").write_text("no table")

    result = bkgpipe(
        "check", "--set", "mask.catalogs=none.fits", "--set", "data.output=file/out"
    )

    assert result.exit_code == 1
    problems = [line for line in result.stdout.splitlines() if "Problem" in line]
    assert len(problems) == 3
    for problem, word in zip(problems, ("index", "none.fits", "file"), strict=True):
        assert word in problem
    assert problems[2].endswith("file cannot be written: choose [data] output")
