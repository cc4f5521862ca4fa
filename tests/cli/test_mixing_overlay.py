from __future__ import annotations

import json

import pytest

from bkgpipe.cli.mixing import totals_answer
from bkgpipe.simulate.archive.data import Distribution, Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.mixing.data import MixRecord, Provenance


@pytest.fixture
def config(tmp_path, monkeypatch):
    zenith = Distribution(law="uniform", values=(20.0, 25.0))
    for name, first, norm in (("off", 101, 280.0), ("targets", 901, 1e-12)):
        simulation = Simulation(
            n_runs=2, first_obs_id=first, duration=90, seed=first, zenith=zenith
        )
        write_simulated_store(
            tmp_path / name, simulation=simulation, truth=Truth(norm=norm)
        )
    (tmp_path / "luigi.cfg").write_text(
        "[data]\nstore = off\n[mask]\ncatalogs =\n[select]\nmin_livetime = 0 s\n"
    )
    path = tmp_path / "overlay.cfg"
    path.write_text("[overlay]\nstore = targets\nproduction = luigi.cfg\n")
    monkeypatch.chdir(tmp_path)
    return path


def test_the_table_and_the_files_are_told(bkgpipe, config):
    result = bkgpipe("simulate", "overlay", "new", "--config", config)

    assert result.exit_code == 0, result.output
    assert "overlay: 2 runs of" in result.stdout
    assert "Written in" in result.stdout
    assert "overlay_pool.json" in result.stdout
    assert (config.parent / "new" / "overlay.json").exists()


def test_a_machine_gets_one_line(bkgpipe, config):
    result = bkgpipe("simulate", "overlay", "new", "--config", config, "--json")

    answer = json.loads(result.stdout)
    assert answer["totals"][0]["drawn"] > 100
    assert answer["raised_thresholds"] == {}


def test_raised_thresholds_are_told(bkgpipe, config):
    words = ("--set", "overlay.check_threshold=false")
    simulation = Simulation(
        n_runs=2, first_obs_id=301, duration=90, safe_energy_min=0.3, seed=7
    )
    write_simulated_store(config.parent / "hot", simulation=simulation, truth=Truth())
    text = (config.parent / "luigi.cfg").read_text().replace("off", "hot")
    (config.parent / "luigi.cfg").write_text(text)

    result = bkgpipe(
        "simulate", "overlay", "new", "--config", config, *words,
        "--set", "overlay.check=false",
    )  # fmt: skip

    assert result.exit_code == 0, result.output
    assert "Threshold of run 901 raised to 0.3 TeV" in result.stdout


def test_wrong_inputs_are_refused_with_exit_code_2(bkgpipe, config):
    result = bkgpipe(
        "simulate", "overlay", "new", "--config", config, "--set", "overlay.runs=5"
    )

    assert result.exit_code == 2
    assert "[overlay] runs: run 5 is not in the store" in result.stderr
    assert not (config.parent / "new").exists()


def test_a_component_that_expects_nothing_is_told_in_valid_json():
    record = MixRecord(
        obs_id=1,
        component="off",
        bkg_type=99,
        file="",
        rate=0.0,
        scale=1.0,
        expected=0.0,
        drawn=0,
    )
    provenance = Provenance(
        method="overlay", store="", seed=1, settings={}, records=(record,), inputs={}
    )

    (total,) = totals_answer(provenance)

    assert total["p_value"] is None
    json.dumps(total, allow_nan=False)
