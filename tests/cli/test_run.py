from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from gammapy.data import DataStore

from bkgpipe.chain import memory
from bkgpipe.cli import run
from bkgpipe.core.run import Events
from bkgpipe.simulate.archive.data import SimulatedEvents
from bkgpipe.simulate.archive.run import write_simulated_run
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.store.store import read_events, read_runs

_ALLOW = ("--set", "run.allow_refused=true")


def _times(output: Path) -> dict[str, int]:
    return {
        str(path.relative_to(output)): path.stat().st_mtime_ns
        for path in output.rglob("*")
        if path.is_file()
    }


def _lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_run_ends_with_store_and_report_and_the_next_does_nothing(bkgpipe, folder):
    result = bkgpipe("run")

    assert result.exit_code == 0
    assert result.stdout.startswith("Done in ")
    assert "Runs: 8 used (0.5 h), 0 not selected, 0 refused." in result.stdout
    assert "Models: 16" in result.stdout
    (store,) = _lines(result.stdout, "Store:")
    assert len(DataStore.from_dir(store.split()[1]).get_observations()) == 8
    (report,) = _lines(result.stdout, "Report:")
    assert Path(report.split()[1]).is_file()

    before = _times(folder / "out")
    again = bkgpipe("run")

    assert again.exit_code == 0
    assert again.stdout.startswith("Nothing to do.\n")
    assert _times(folder / "out") == before


@pytest.mark.usefixtures("folder")
def test_too_little_memory_is_told_before_it_starts(bkgpipe, monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 100_000_000)

    result = bkgpipe("run", "mask")

    assert result.exit_code == 0
    assert "Warning: mask needs about " in result.stderr
    assert "but this machine has 100 MB: make [binning] coarser" in result.stderr
    assert "Warning: count" not in result.stderr


def test_run_in_a_process_of_its_own(folder, start):
    process = start(folder, "bkgpipe", "run", "--workers", "2", "--json")
    stdout, stderr = process.communicate(timeout=180)

    assert process.returncode == 0, stderr
    answer = json.loads(stdout.splitlines()[-1])
    assert set(answer) == {"store", "models", "runs", "timing"}
    assert answer["runs"] == {"used": 8, "refused": {}}
    assert len(answer["models"]) == 16
    for name in answer["models"]:
        assert (Path(answer["store"]) / name).is_file()
    assert {"select", "mask", "count", "stack", "smooth", "export"} == set(
        answer["timing"]
    )
    assert all(seconds >= 0 for seconds in answer["timing"].values())
    told = [line.split(" s  ")[1] for line in stderr.splitlines()]
    assert "count: 4 of 4" in told
    assert "export: 4 of 4" in told


@pytest.mark.parametrize(
    ("stage", "made"),
    [
        ("select", {"select"}),
        ("count", {"select", "mask", "count"}),
        ("smooth", {"select", "mask", "count", "stack", "smooth"}),
    ],
)
def test_the_chain_up_to_a_stage(bkgpipe, folder, stage, made):
    result = bkgpipe("run", stage)

    assert result.exit_code == 0
    assert "Models" not in result.stdout
    names = {path.name.partition("-")[0] for path in (folder / "out").glob("*-*")}
    assert names == made
    assert bkgpipe("run", stage).stdout.startswith("Nothing to do.")


def test_a_test_run_leaves_the_production_alone(bkgpipe, folder):
    result = bkgpipe("run", "--test", "--json")

    assert result.exit_code == 0
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["runs"]["used"] == 6
    assert Path(answer["store"]).is_relative_to(folder / "out" / "test")
    assert {path.name for path in (folder / "out").iterdir()} == {"test"}
    stages = json.loads(bkgpipe("plan", "--json").stdout)["stages"]
    assert {done for done, _ in stages.values()} == {0}


@pytest.fixture
def spoilt(folder, find_events):
    """Spoil four runs, each in another way; tell what is to be said of each."""
    spoil = {
        1002: (lambda path: path.write_bytes(path.read_bytes()[:20000]), "truncated"),
        1003: (lambda path: path.write_bytes(b"no FITS at all"), "damaged"),
        1005: (lambda path: path.write_bytes(b""), "damaged"),
        1007: (lambda path: path.unlink(), "No such file"),
    }
    for obs_id, (change, _) in spoil.items():
        change(find_events(folder / "store", obs_id))
    return {obs_id: reason for obs_id, (_, reason) in spoil.items()}


def test_bad_events_files_take_no_other_run_down(bkgpipe, spoilt, all_told):
    result = bkgpipe("run", "--json", *_ALLOW)

    assert result.exit_code == 0
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["runs"]["used"] == 4
    refused = {int(key): told for key, told in answer["runs"]["refused"].items()}
    assert refused.keys() == spoilt.keys()
    for obs_id, reason in spoilt.items():
        assert reason in refused[obs_id]
        assert f"run {obs_id}" in refused[obs_id]
        assert f"run_{obs_id}.fits.gz" in refused[obs_id]
        assert "exclude the run" in refused[obs_id]
        assert f"Refused: run {obs_id}" in all_told()
    store = DataStore.from_dir(answer["store"])
    assert len(answer["models"]) == 8
    assert store.get_observations().ids == ["1001", "1004", "1006", "1008"]


def test_refused_runs_are_exit_code_1_when_all_others_are_done(
    folder, start, find_events
):
    find_events(folder / "store", 1003).unlink()

    process = start(folder, "bkgpipe", "run")
    stdout, stderr = process.communicate(timeout=180)

    assert process.returncode == 1
    assert stdout.startswith("Failed in ")
    (refused,) = _lines(stdout, "  refused")
    assert refused.startswith("  refused 1003: run 1003")
    assert "Models: 14" in stdout
    (failed,) = _lines(stderr, "Failed: ")
    assert "1 run(s) could not be used" in failed
    assert "[run] allow_refused = true" in failed
    assert "Traceback" not in stderr
    assert "Warning" not in stderr


def test_refused_runs_up_to_a_stage_are_exit_code_1_too(bkgpipe, folder, find_events):
    find_events(folder / "store", 1003).unlink()

    result = bkgpipe("run", "count")

    assert result.exit_code == 1
    assert result.stdout.startswith("Done in ")
    assert "Error: production: 1 run(s) could not be used." in result.stderr
    assert bkgpipe("run", "count", *_ALLOW).exit_code == 0


def test_a_mended_run_is_taken_up(bkgpipe, folder, find_events):
    path = find_events(folder / "store", 1003)
    content = path.read_bytes()
    path.unlink()
    assert bkgpipe("run", "export").exit_code == 1

    path.write_bytes(content)
    result = bkgpipe("run", "export")

    assert result.exit_code == 0
    assert "Store:" in result.stdout
    assert "Report:" not in result.stdout  # as none was made
    assert "Models: 16" in result.stdout


@pytest.fixture
def without_events(folder, find_events):
    """Replace the file of run 1003 by one without events."""
    run = next(run for run in read_runs(folder / "store").runs if run.obs_id == 1003)
    events, _ = read_events(folder / "store", run)
    nothing = np.empty(0)
    columns = dict.fromkeys(("ra", "dec", "energy", "time"), nothing)
    write_simulated_run(
        find_events(folder / "store", 1003),
        run,
        SimulatedEvents(
            events=Events(obs_id=1003, gti=events.gti, **columns),
            bkg_type=nothing.astype(np.int16),
        ),
    )
    return folder


def test_a_run_without_events_is_counted_as_zero(bkgpipe, without_events):
    result = bkgpipe("run", "--json")

    assert result.exit_code == 0
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["runs"] == {"used": 8, "refused": {}}
    assert len(answer["models"]) == 16
    (chunk,) = (without_events / "out").glob("count-*/count_334.h5")
    counts = COUNTS.read(chunk).records[1003]
    assert counts.conservation.n_read == 0
    assert counts.counts_3d.sum() == 0
    assert counts.exposure_3d.sum() > 0


@pytest.mark.usefixtures("without_events")
def test_a_run_without_events_has_no_model_of_its_own(bkgpipe):
    result = bkgpipe("run", "--json", *_ALLOW, "--set", "stack.strategy=own")

    assert result.exit_code == 0
    answer = json.loads(result.stdout.splitlines()[-1])
    assert list(answer["runs"]["refused"]) == ["1003"]
    assert len(answer["models"]) == 14


def test_a_store_without_an_index_is_exit_code_1(bkgpipe, folder):
    (folder / "store" / "obs-index.fits.gz").unlink()

    result = bkgpipe("run")

    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert str(folder / "store") in line
    assert "obs-index" in line
    assert not (folder / "out").exists()


def test_a_misspelt_key_is_exit_code_2(folder, start):
    process = start(folder, "bkgpipe", "run", "--set", "stack.min_hour=1 h")
    stdout, stderr = process.communicate(timeout=180)

    assert process.returncode == 2
    assert stdout == ""
    assert "[stack] min_hour is not a key" in stderr
    assert "did you mean min_hours?" in stderr
    assert "Traceback" not in stderr


def test_an_output_folder_that_cannot_be_written(bkgpipe, folder):
    (folder / "file").write_text("in the way")

    result = bkgpipe("run", "--set", "data.output=file/out")

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert "Set [data] output to a folder that you may write to" in result.stderr


def test_no_run_selected_stops_before_anything_is_made(bkgpipe, folder):
    result = bkgpipe("run", "--set", "select.min_livetime=10 h")

    assert result.exit_code == 1
    told = "Error: [select]: none of 8 runs is selected. Widen its limits.\n"
    assert result.stderr == told
    assert not (folder / "out").exists()


def test_no_run_left_fails_in_words(bkgpipe, folder, all_told):
    for path in (folder / "store" / "data").iterdir():
        path.write_bytes(b"words")

    result = bkgpipe("run", "stack", "--set", "run.allow_refused=true")

    assert result.exit_code == 1
    assert result.stdout.startswith("Failed in ")
    assert "Failed: stack: " in all_told()
    assert "no run is left to stack. Widen [select]" in all_told()


def test_a_catalogue_that_cannot_be_read_fails_in_words(bkgpipe, folder):
    (folder / "sources.fits").write_text("no table")

    result = bkgpipe("run", "mask", "--set", "mask.catalogs=sources.fits")

    assert result.exit_code == 1
    assert "sources.fits: the catalogue cannot be read" in result.output
    assert not list((folder / "out").glob("mask-*"))


def test_a_change_of_the_file_does_not_reach_a_production_that_runs(bkgpipe, folder):
    assert bkgpipe("run", "select").exit_code == 0
    (frozen,) = (folder / "out" / "settings").iterdir()
    text = frozen.read_text()

    assert bkgpipe("run", "select", "--set", "smooth.sigma=3").exit_code == 0

    assert frozen.read_text() == text
    assert len(list((folder / "out" / "settings").iterdir())) == 2


def test_what_a_process_left_that_was_still_dying_is_removed(
    bkgpipe, folder, monkeypatch
):
    left = folder / "out" / "logs" / ".count_1.h5.elsewhere-1-00c0ffee"
    build = run.build

    def build_while_it_dies(*arguments, log):
        build(*arguments, log=log)
        left.touch()
        os.utime(left, (0, 0))

    monkeypatch.setattr(run, "build", build_while_it_dies)

    assert bkgpipe("run", "select").exit_code == 0

    assert not left.exists()


def test_what_a_killed_process_left_is_removed(bkgpipe, folder):
    left = folder / "out" / "count-000000" / ".count_1.h5.elsewhere-1-00c0ffee"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, 0))

    assert bkgpipe("run", "select").exit_code == 0

    assert not left.exists()


@pytest.mark.parametrize(("n_cut", "is_told"), [(0, False), (4, False), (6, True)])
def test_many_events_outside_good_time_are_told(
    bkgpipe, folder, find_events, halve_good_time, *, n_cut, is_told
):
    for obs_id in range(1001, 1001 + n_cut):
        halve_good_time(find_events(folder / "store", obs_id))

    result = bkgpipe("run", "count")

    assert result.exit_code == 0
    told = "are outside good time and are not counted: check TIME"
    assert (told in result.stderr) == is_told
    assert f"Runs: 8 used ({0.48 - n_cut * 0.03:.1f} h)" in result.stdout
