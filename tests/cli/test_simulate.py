from __future__ import annotations

from gammapy.data import DataStore

from bkgpipe.io.simulate import read_truth
from bkgpipe.io.store import read_runs


def test_simulated_store_has_runs_and_truth(bkgpipe, tmp_path):
    store = tmp_path / "store"

    result = bkgpipe("simulate", "store", store, "--runs", "3", "--minutes", "2")

    assert result.exit_code == 0
    assert "Simulated 3 runs (0.1 h live time)" in result.stdout
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


def test_an_existing_store_is_refused_and_stays(bkgpipe, folder):
    before = (folder / "store" / "truth.ecsv").read_bytes()

    result = bkgpipe("simulate", "store", folder / "store", "--runs", "1")

    assert result.exit_code == 1
    assert "store: holds a data store already. Name another folder" in result.stderr
    assert (folder / "store" / "truth.ecsv").read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_error(bkgpipe, tmp_path):
    (tmp_path / "file").write_text("in the way")

    result = bkgpipe("simulate", "store", tmp_path / "file" / "store", "--runs", "1")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "cannot be written" in result.stderr
