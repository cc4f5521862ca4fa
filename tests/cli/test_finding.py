from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bkgpipe.stages.sky.found_files import read_found

FIND = ("--set", "mask.catalogs=", "--set", "mask.find=true")


@pytest.fixture
def sky(prepare, tmp_path, monkeypatch):
    """Settings of a fit, in which a source takes part as long as it is not found."""
    monkeypatch.chdir(
        prepare(tmp_path, smooth__method="regression", fit__terms="zenith")
    )
    return tmp_path


def _found() -> Path:
    (path,) = Path("out/found").glob("found-*.ecsv")
    return path


@pytest.mark.usefixtures("sky")
def test_sources_are_found_without_a_catalogue(bkgpipe):
    result = bkgpipe("run", *FIND)

    assert result.exit_code == 0, result.output
    assert "Pass 1: " in result.stderr
    assert "nothing more. Excluded, by " in result.stderr
    regions = read_found(_found())
    assert len(regions) > 2
    truth = json.loads(bkgpipe("sky", *FIND, "--json").stdout)
    # what was found is under the mask now, and nothing else stands out
    assert all(spot["is_masked"] for spot in truth["hot_spots"])
    assert all(region.false_alarms < 0.001 for region in regions)


@pytest.mark.usefixtures("sky")
def test_it_goes_on_where_it_was_and_then_does_nothing(bkgpipe):
    once = (*FIND, "--set", "mask.find_passes=1")
    first = bkgpipe("run", *once)
    assert first.exit_code == 0
    assert "more was found in each of 1 passes" in first.stderr
    _found().unlink()
    whole = bkgpipe("run", *FIND)
    assert whole.exit_code == 0
    before = _found().read_bytes()

    again = bkgpipe("run", *FIND)

    assert "Nothing to do" in again.stdout
    assert "Pass" not in again.stderr
    assert _found().read_bytes() == before
    status = bkgpipe("status", *FIND).stdout
    assert re.search(r"^export +(\d+) of \1 ", status, re.MULTILINE)
    assert "not used by these settings: sky-" in status


@pytest.mark.usefixtures("sky")
def test_a_pass_that_fails_is_told(bkgpipe):
    for path in Path("store/data").glob("*"):
        path.unlink()

    result = bkgpipe("run", *FIND)

    assert result.exit_code == 1
    assert "[mask] find, pass 1: its models or maps could not be made" in result.stderr


@pytest.mark.usefixtures("sky")
def test_folds_find_sources_in_their_training_runs(bkgpipe):
    fast = ("--folds", "2", "--min-events", "5", "--energy-bins", "3")
    result = bkgpipe("validate", *FIND, *fast)

    assert result.exit_code == 0, result.output
    folds = sorted(Path("out/validate").glob("fold-*/find/found/found-*.ecsv"))
    assert len(folds) == 2
    assert all(read_found(path) for path in folds)
