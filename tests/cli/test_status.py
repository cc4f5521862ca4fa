from __future__ import annotations

import json
import subprocess
import sys

import pytest
from astropy.table import Table


@pytest.mark.usefixtures("finished")
def test_status_of_a_finished_production(bkgpipe):
    result = bkgpipe("status")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    done = {line.split()[0]: line.split()[1:4] for line in lines[:7]}
    assert done["select"] == ["1", "of", "1"]
    assert done["count"] == done["rank"] == done["export"] == ["4", "of", "4"]
    assert lines.count("Runs: 7 used (0.4 h), 0 not selected, 1 refused") == 1
    (refused,) = [line for line in lines if line.startswith("  refused")]
    assert refused.startswith("  refused 1003: ")
    assert "run_1003.fits.gz" in refused
    assert "not used by" not in result.stdout


@pytest.mark.usefixtures("finished")
def test_every_event_is_in_one_place(bkgpipe):
    line = next(
        line
        for line in bkgpipe("status").stdout.splitlines()
        if line.startswith("Events")
    )

    read, *places = [int(word) for word in line.split() if word.isdigit()]
    assert read == sum(places) > 0
    assert len(places) == 7


@pytest.mark.usefixtures("finished")
def test_status_as_json(bkgpipe):
    answer = json.loads(bkgpipe("status", "--json").stdout)

    assert answer["stages"]["smooth"] == [4, 4]
    assert answer["used"] == 7
    assert list(answer["refused"]) == ["1003"]
    assert answer["not_selected"] == {}
    assert answer["unused"] == []


@pytest.mark.usefixtures("finished")
def test_folders_of_other_settings_are_listed(bkgpipe):
    answer = json.loads(bkgpipe("status", "--json", "--set", "smooth.sigma=2").stdout)

    stages = [name.partition("-")[0] for name in answer["unused"]]
    assert stages == ["export", "report", "smooth"]
    assert answer["stages"]["stack"] == [4, 4]
    assert answer["stages"]["smooth"] == [0, 4]
    text = bkgpipe("status", "--set", "smooth.sigma=2").stdout
    for name in answer["unused"]:
        assert f"  not used by these settings: {name}\n" in text


@pytest.mark.usefixtures("folder")
def test_runs_not_selected_are_told_with_the_reason(bkgpipe):
    assert (
        bkgpipe("run", "select", "--set", "select.exclude_obs_ids=1002").exit_code == 0
    )

    result = bkgpipe("status", "--set", "select.exclude_obs_ids=1002")

    assert "  not selected 1002: " in result.stdout


def test_status_before_the_first_run(bkgpipe, folder):
    result = bkgpipe("status")

    assert result.exit_code == 0
    assert "count        0 of ?" in result.stdout
    assert "Runs: 0 used (0.0 h), 0 not selected, 0 refused" in result.stdout
    assert not (folder / "out").exists()


def test_status_imports_neither_luigi_nor_figures():
    code = (
        "import sys, bkgpipe.cli.status;"
        "print(sorted({'luigi', 'law', 'matplotlib', 'gammapy'} & set(sys.modules)))"
    )

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_chunks_of_runs_that_changed_are_outdated(bkgpipe, folder):
    assert bkgpipe("run", "count").exit_code == 0
    index = folder / "store" / "obs-index.fits.gz"
    table = Table.read(index)
    table["ZEN_PNT"][table["OBS_ID"] == 1006] += 1
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table.write(index, overwrite=True)
    assert bkgpipe("run", "select").exit_code == 0

    answer = json.loads(bkgpipe("status", "--json").stdout)
    (line,) = [
        each for each in bkgpipe("status").stdout.splitlines() if "count " in each[:8]
    ]

    assert answer["stages"]["count"] == [3, 4]
    assert answer["outdated"] == {"mask": 1, "count": 1}
    assert line.endswith(", 1 outdated")
