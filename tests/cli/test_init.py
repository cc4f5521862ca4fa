from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.chain.safe_energy import run_safe_energy
from bkgpipe.cli.init import propose_settings
from bkgpipe.settings import read_settings, settings_template
from bkgpipe.simulate.archive.data import Field, Simulation
from bkgpipe.simulate.archive.make import simulate_archive, write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.settings import read_simulate_settings
from bkgpipe.store.store import read_runs


@pytest.fixture
def bare(folder):
    (folder / "luigi.cfg").unlink()
    return folder


def test_the_file_reads_back_with_store_and_output(bkgpipe, bare):
    result = bkgpipe("init", "--data", "store", "--output", "elsewhere")

    assert result.exit_code == 0
    assert "store: 8 runs, 0.5 h." in result.stdout
    assert "Wrote luigi.cfg. Next: bkgpipe check" in result.stdout
    settings = read_settings(bare / "luigi.cfg")
    assert settings.store == bare / "store"
    assert settings.data.output == bare / "elsewhere"


def test_missing_catalogues_are_noted_and_not_asked_for(bkgpipe, bare):
    result = bkgpipe("init", "--data", "store")

    assert "No catalogues found: set GAMMAPY_DATA" in result.stdout
    assert read_settings(bare / "luigi.cfg").mask.catalogs == ()


@pytest.mark.parametrize("is_named", [True, False])
def test_catalogues_are_found_by_the_variable_or_beside_the_store(
    bkgpipe, bare, monkeypatch, is_named
):
    place = bare / "named" if is_named else bare
    (place / "catalogs").mkdir(parents=True)
    if is_named:
        monkeypatch.setenv("GAMMAPY_DATA", str(place))

    result = bkgpipe("init", "--data", bare / "store")

    assert "No catalogues" not in result.stdout
    settings = read_settings(bare / "luigi.cfg")
    assert settings.data.gammapy_data == place
    assert settings.mask.catalogs == ("gammacat", "3hwc")


def test_an_existing_file_stays_unless_forced(bkgpipe, folder):
    before = (folder / "luigi.cfg").read_text()

    refused = bkgpipe("init", "--data", "store")

    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: luigi.cfg: exists already. Choose another")
    assert (folder / "luigi.cfg").read_text() == before
    assert bkgpipe("init", "--data", "store", "--force").exit_code == 0
    assert (folder / "luigi.cfg").read_text() != before


def test_another_name_leaves_the_first_file(bkgpipe, folder):
    before = (folder / "luigi.cfg").read_text()

    assert bkgpipe("init", "--data", "store", "--config", "new.cfg").exit_code == 0

    assert (folder / "luigi.cfg").read_text() == before
    assert read_settings(folder / "new.cfg").store == folder / "store"


def test_folder_without_a_store_is_an_error_and_writes_nothing(bkgpipe, bare):
    result = bkgpipe("init", "--data", "nowhere")

    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert not (bare / "luigi.cfg").exists()


@pytest.mark.usefixtures("bare")
def test_settings_file_in_a_missing_folder_is_an_error(bkgpipe):
    result = bkgpipe("init", "--data", "store", "--config", "nowhere/luigi.cfg")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: nowhere/luigi.cfg: cannot be written (No such file or directory). "
        "Name a file in a folder that you may write to with --config.\n"
    )


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store of short runs with a low threshold and a wide field."""
    store = tmp_path_factory.mktemp("wide") / "store"
    simulation = Simulation(n_runs=3, duration=200, safe_energy_min=0.03, seed=4)
    truth = Truth(norm=40, width=3.0, offset_max=7.0, threshold=0.03, energy_min=0.01)
    write_simulated_store(store, simulation=simulation, truth=truth)
    return store


@pytest.mark.usefixtures("bare")
def test_what_does_not_fit_is_chosen_with_a_reason(bkgpipe, wide):
    result = bkgpipe("init", "--data", wide)

    chosen = result.stdout.partition("Chosen:\n")[2].partition("Defaults that fit:")[0]
    assert "  select.min_livetime = 50 s: 3 of 3 runs are shorter than 5 min" in chosen
    assert "  binning.energy_min = 0.009487 TeV: 0.1% of the events" in chosen
    assert "an edge is on the safe energy of 3 of 3 runs, 0.03 TeV\n" in chosen
    assert "  binning.offset_max = 5 deg: the effective areas end at 5 deg\n" in chosen
    text = Path("luigi.cfg").read_text()
    assert "# Chosen: the effective areas end at 5 deg\noffset_max = 5 deg\n" in text
    assert "# Default kept: 0.03 TeV" not in text
    settings = read_settings(Path("luigi.cfg"))
    assert settings.binning.energy_min == 0.009487
    assert settings.binning.axes.shape_3d[1:] == (40, 40)
    assert settings.count.control_offset == settings.mask.search_radius == 8.0
    assert settings.select.min_livetime == 50
    assert len(set(settings.binning.axes.shape_3d)) == 2


@pytest.mark.usefixtures("wide")
def test_what_is_chosen_makes_models(bkgpipe, bare, wide):
    assert bkgpipe("init", "--data", wide).exit_code == 0

    result = bkgpipe("run", "smooth")

    assert result.exit_code == 0
    assert "Runs: 3 used" in result.stdout
    assert list((bare / "bkgpipe-output").glob("smooth-*/smooth_*.h5"))


def test_runs_that_cannot_be_read_are_told_and_passed_over(bkgpipe, bare, find_events):
    path = find_events(bare / "store", 1005)
    path.write_bytes(gzip.compress(b"no FITS file"))

    result = bkgpipe("init", "--data", "store")

    assert result.exit_code == 0
    assert "  not looked at: run 1005 (data/run_1005.fits.gz)" in result.stderr


def test_without_any_events_the_defaults_stay(bkgpipe, bare):
    for path in (bare / "store" / "data").iterdir():
        path.unlink()

    result = bkgpipe("init", "--data", "store")

    assert result.exit_code == 0
    assert "  binning.energy_min: no events could be read" in result.stdout
    assert read_settings(bare / "luigi.cfg").binning.energy_min == 0.1


def test_damaged_effective_areas_are_told(bkgpipe, bare, monkeypatch):
    monkeypatch.setattr("bkgpipe.store.fov_limit._read_theta", _fail)

    result = bkgpipe("init", "--data", "store")

    assert "  not looked at: run " in result.stderr
    assert "effective area: the FITS file is damaged" in result.stderr
    assert (bare / "luigi.cfg").exists()


def _fail(_hdu: object) -> None:
    raise KeyError("THETA_HI")


def test_stores_without_zenith_angles_are_ranked(bkgpipe, bare, monkeypatch):
    table = read_runs(bare / "store")
    runs = tuple(replace(run, zenith=float("nan")) for run in table.runs)
    unknown = replace(table, runs=runs)
    monkeypatch.setattr("bkgpipe.cli.init.read_runs", lambda _store: unknown)

    bkgpipe("init", "--data", "store")

    settings = read_settings(bare / "luigi.cfg")
    assert settings.stack.strategy == "ranked"
    assert settings.smooth.method == "gaussian"


def test_the_axis_of_hess_starts_below_its_safe_energies(
    hess_store: Path, tmp_path: Path
):
    path = tmp_path / "luigi.cfg"
    path.write_text(
        settings_template({"data.store": str(hess_store), "mask.catalogs": ""})
    )

    found = propose_settings(hess_store, read_runs(hess_store), read_settings(path))

    chosen = {each.key: each.value for each in found if not each.is_kept}
    keys = {"energy_min", "energy_max", "per_decade"}
    assert chosen.keys() == {f"binning.{key}" for key in keys}
    assert chosen["binning.energy_min"] == "0.1457 TeV"
    assert chosen["binning.per_decade"] == "12"
    reasons = {each.key: each.reason for each in found}
    assert reasons["binning.offset_max"] == "the effective areas end at 2.5 deg"
    assert reasons["count.safe_energy"] == (
        "SAFE_ENERGY_LO of 105 of 105 runs, 0.2 to 1.3 TeV"
    )


@pytest.mark.usefixtures("bare")
def test_a_machine_reads_what_was_chosen(bkgpipe, wide):
    answer = json.loads(bkgpipe("init", "--data", wide, "--json").stdout)

    assert (answer["config"], answer["runs"]) == ("luigi.cfg", 3)
    assert answer["chosen"]["binning.offset_max"] == [
        "5 deg",
        "the effective areas end at 5 deg",
    ]
    assert "smooth.method" in answer["kept"]
    assert answer["notes"] == []


def _simulate(store: Path, **changes: object) -> Path:
    simulation = Simulation(**{"n_runs": 4, "duration": 120, "seed": 2} | changes)
    write_simulated_store(store, simulation=simulation, truth=Truth(norm=900))
    return store


def test_a_store_with_one_energy_is_refused_and_writes_nothing(
    bkgpipe, bare, find_events
):
    for obs_id in range(1001, 1009):
        path = find_events(bare / "store", obs_id)
        with fits.open(path) as hdus:
            hdus["EVENTS"].data["ENERGY"][:] = 1.0
            hdus.writeto(path, overwrite=True)

    result = bkgpipe("init", "--data", "store")

    assert result.exit_code == 1
    assert "have the same energy, 1 TeV: there is no spectrum" in result.stderr
    assert "Check the column ENERGY of the events and its unit" in result.stderr
    assert not (bare / "luigi.cfg").exists()


@pytest.mark.usefixtures("bare")
def test_drift_scans_are_refused_as_such(bkgpipe, tmp_path):
    given = ["simulation.layout=drift", "simulation.runs=2"]
    simulate_archive(tmp_path / "scans", settings=read_simulate_settings(None, given))

    result = bkgpipe("init", "--data", tmp_path / "scans")

    assert result.exit_code == 1
    assert "all 2 runs looked at are drift scans (OBS_MODE = DRIFT)" in result.stderr


@pytest.mark.usefixtures("bare")
def test_runs_of_seconds_are_not_cut_away(bkgpipe, tmp_path):
    store = _simulate(tmp_path / "short", duration=6)

    bkgpipe("init", "--data", store, "--output", tmp_path / "out")
    result = bkgpipe("check")

    assert "4 runs, 4 selected" in result.stdout
    assert result.stdout.endswith("No problems.\n")


def test_a_field_in_the_galactic_plane_is_named(bkgpipe, bare, tmp_path, monkeypatch):
    (bare / "catalogs").mkdir()
    monkeypatch.setenv("GAMMAPY_DATA", str(bare))
    field = Field(name="plane", ra=266.4, dec=-29.0)
    store = _simulate(tmp_path / "plane", fields=(field,))

    result = bkgpipe("init", "--data", store)

    (note,) = [line for line in result.stdout.splitlines() if "Note: " in line]
    assert note.startswith("Note: 4 of 4 runs, such as 1001, point within 5 deg of the")
    assert "hgps" in note


def test_the_catalogue_of_the_plane_is_taken_where_it_is(
    bkgpipe, bare, tmp_path, monkeypatch
):
    (bare / "catalogs").mkdir()
    (bare / "catalogs" / "hgps_catalog_v1.fits.gz").touch()
    monkeypatch.setenv("GAMMAPY_DATA", str(bare))
    field = Field(name="plane", ra=266.4, dec=-29.0)
    store = _simulate(tmp_path / "plane", fields=(field,))

    result = bkgpipe("init", "--data", store)

    assert "Note: " not in result.stdout
    settings = read_settings(bare / "luigi.cfg")
    assert settings.mask.catalogs == ("gammacat", "3hwc", "hgps")
    told = (bare / "luigi.cfg").read_text() + result.stdout
    assert told.count("4 of 4 runs, such as 1001, point within 5 deg of the") == 2


@pytest.mark.parametrize("layout", ["cta-like", "cta-like-point"])
def test_safe_energies_are_those_that_count_uses(bkgpipe, bare, tmp_path, layout):
    given = [f"simulation.layout={layout}", "simulation.runs=2"]
    simulate_archive(tmp_path / "cta", settings=read_simulate_settings(None, given))

    told = bkgpipe("init", "--data", tmp_path / "cta").stdout
    settings = read_settings(bare / "luigi.cfg")
    run = read_runs(tmp_path / "cta").runs[0]
    energy, origin = run_safe_energy(settings, run)

    assert origin == ("aeff at 0.5 deg" if layout == "cta-like-point" else "aeff")
    assert f"{energy:.2g} TeV in 2 of 2 runs looked at" in told
    edges = settings.binning.axes.energy_edges
    assert np.abs(edges / energy - 1).min() < 2e-3
    assert edges[0] < 0.0105


def _farm(folder):
    """Move the events files of a store elsewhere, and put links in their place."""
    archive = folder / "archive"
    archive.mkdir()
    for path in (folder / "store" / "data").glob("*.fits*"):
        path.rename(archive / path.name)
        path.symlink_to(archive / path.name)
    return archive


def test_a_store_of_links_gets_leave_for_what_they_lead_to(bkgpipe, folder):
    archive = _farm(folder)
    told = f"outside the store. If its files belong there, set [data] allow = {archive}"
    for words in ("check", "plan", "run count"):
        refused = bkgpipe(*words.split())
        assert refused.exit_code == 1
        assert told in refused.output, words

    begun = bkgpipe("init", "--data", "store", "--config", "new.cfg")

    assert (
        f"data.allow = {archive}: the index or links of the store lead" in begun.stdout
    )
    assert "for 8 of 8 runs" in begun.stdout
    text = (folder / "new.cfg").read_text()
    assert f"\nallow = {archive}\n" in text
    assert "Chosen: the index or links of the store" in text
    assert "No problems" in bkgpipe("check", "--config", "new.cfg").stdout


def test_single_links_are_told_in_the_same_words(bkgpipe, folder):
    archive = _farm(folder)
    first, second, *_ = sorted((folder / "store" / "data").iterdir())
    first.unlink()
    shutil.copy(archive / first.name, first)
    told = f"({second.relative_to(folder / 'store')}): the file is at {archive}/"

    outputs = [
        bkgpipe(*words.split()).output for words in ("check", "plan", "run count")
    ]

    assert all(told in output for output in outputs)
    assert "7 of 8 runs cannot be used" in outputs[1]


@pytest.mark.parametrize("is_linked", [True, False])
def test_paths_of_the_prompt_are_rewritten_for_a_file_elsewhere(
    bkgpipe, bare, is_linked
):
    (bare / "deep" / "proj").mkdir(parents=True)
    (bare / "catalogs").mkdir()
    if is_linked:
        (bare / "proj").symlink_to(bare / "deep" / "proj")
    config = "proj/luigi.cfg" if is_linked else "deep/proj/luigi.cfg"

    begun = bkgpipe("init", "--data", "store", "--output", "out", "--config", config)

    assert begun.exit_code == 0, begun.output
    settings = read_settings(bare / config)
    assert settings.data.store == bare / "store"
    assert settings.data.output == bare / "out"
    assert settings.data.gammapy_data == bare
    assert "store = ../../store" in (bare / config).read_text()


def test_output_that_is_not_given_is_beside_the_file(bkgpipe, bare):
    (bare / "proj").mkdir()
    bkgpipe("init", "--data", "store", "--config", "proj/luigi.cfg")
    settings = read_settings(bare / "proj" / "luigi.cfg")
    assert settings.data.output == bare / "proj" / "bkgpipe-output"
