from __future__ import annotations

import json
import signal

import pytest
from gammapy.data import DataStore

from bkgpipe.simulate.archive.files import read_truth
from bkgpipe.store.store import read_runs


def test_simulated_store_has_runs_and_truth(bkgpipe, tmp_path):
    store = tmp_path / "store"

    result = bkgpipe("simulate", "store", store, "--runs", "3", "--minutes", "2")

    assert result.exit_code == 0
    assert "Simulated 3 runs (0.1 h live time)" in result.stdout
    assert "Sources: none" in result.stdout
    runs = read_runs(store).runs
    assert len(runs) == 3
    assert {run.ontime for run in runs} == {120.0}
    assert read_truth(store / "truth.ecsv").obs_ids.tolist() == [
        run.obs_id for run in runs
    ]
    observations = DataStore.from_dir(store).get_observations(
        required_irf=["aeff", "edisp", "psf"]
    )
    assert len(observations) == 3


def test_settings_and_shortcuts_go_together(bkgpipe, tmp_path):
    config = tmp_path / "simulate.cfg"
    config.write_text(
        "[simulation]\nruns = 9\nhours = 5 h\nduration = 1 min\n"
        "[source:dot]\nrate = 0.5 s-1\n"
    )
    words = ("--config", config, "--runs", "2", "--set", "simulation.deadc=0.8")

    result = bkgpipe("simulate", "store", tmp_path / "s", *words, "--json")

    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["runs"] == 2
    assert answer["deadc"] == [0.8, 0.8]
    assert answer["truth"] == str(tmp_path / "s" / "truth.ecsv")
    assert answer["ontime_hours"] == pytest.approx(2 / 60)
    again = bkgpipe("simulate", "store", tmp_path / "s", *words)
    assert "Sources: dot (0.5 events per second in each field)" in again.stdout


def test_runs_of_a_store_are_copied(bkgpipe, tmp_path, folder):
    words = ("--like", folder / "store", "--seed", "7", "--json")

    result = bkgpipe("simulate", "store", tmp_path / "new", *words)

    assert result.exit_code == 0
    assert json.loads(result.stdout)["runs"] == 8
    copied, originals = (
        read_runs(p).runs for p in (tmp_path / "new", folder / "store")
    )
    assert [run.zenith for run in copied] == [run.zenith for run in originals]


def test_runs_are_not_asked_for_in_two_ways(bkgpipe, tmp_path, folder):
    words = ("--like", folder / "store", "--runs", "3")

    result = bkgpipe("simulate", "store", tmp_path / "new", *words)

    assert result.exit_code == 2
    assert "--like copies runs as they are" in result.stderr


def test_wrong_settings_are_told(bkgpipe, tmp_path):
    words = ("--set", "truth.norn=3", "--set", "simulation.runs=0")

    result = bkgpipe("simulate", "store", tmp_path / "new", *words)

    assert result.exit_code == 2
    assert "2 problem(s)" in result.stderr
    assert "did you mean norm?" in result.stderr
    assert not (tmp_path / "new").exists()


def test_an_existing_store_is_refused_and_stays(bkgpipe, folder):
    before = (folder / "store" / "truth.ecsv").read_bytes()

    result = bkgpipe("simulate", "store", folder / "store", "--runs", "1")

    assert result.exit_code == 1
    assert "store: holds a data store already" in result.stderr
    assert "Name another folder" in result.stderr
    assert (folder / "store" / "truth.ecsv").read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_error(bkgpipe, tmp_path):
    (tmp_path / "file").write_text("in the way")

    result = bkgpipe("simulate", "store", tmp_path / "file" / "store", "--runs", "1")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "cannot be written" in result.stderr


@pytest.fixture
def killed(start, tmp_path, wait_until):
    """Start the command, and end it by a signal when some runs are written."""

    def run(how, *words):
        store = tmp_path / "a"
        process = start(tmp_path, "bkgpipe", "simulate", "store", str(store), *words)
        wait_until(lambda: len([*store.glob("data/run_*")]) > 20)
        process.send_signal(how)
        # the pipes are closed when the workers have ended, too
        process.communicate(timeout=60)
        assert process.returncode != 0
        return store

    return run


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_goes_on(bkgpipe, killed, how):
    given = ("--runs", "300", "--minutes", "0.5", "--workers", "2")
    store = killed(how, *given)
    assert not (store / "obs-index.fits.gz").exists()
    stamps = {path: path.stat().st_mtime_ns for path in store.glob("data/run_*")}

    result = bkgpipe("simulate", "store", store, *given)

    assert result.exit_code == 0
    assert len(read_runs(store).runs) == 300
    assert all(path.stat().st_mtime_ns == when for path, when in stamps.items())
    assert not [*store.glob("data/.*")]


def test_a_store_in_the_layout_of_another_instrument(bkgpipe, tmp_path):
    words = ("--layout", "fact", "--runs", "1", "--minutes", "1")

    result = bkgpipe("simulate", "store", tmp_path / "s", *words)

    assert result.exit_code == 0
    assert (tmp_path / "s" / "hdu-index.fits").is_file()
    assert (tmp_path / "s" / "1001_dl3.fits").is_file()
    wrong = bkgpipe("simulate", "store", tmp_path / "t", "--layout", "hawc")
    assert wrong.exit_code == 2
    assert "expected one of hess, veritas, magic" in wrong.output
