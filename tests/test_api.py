from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from gammapy.data import DataStore
from gammapy.irf import Background2D, Background3D
from matplotlib.figure import Figure

from bkgpipe import Production
from bkgpipe.api import _as_text
from bkgpipe.chain.inputs import forget
from bkgpipe.errors import BkgpipeError, InputError, SettingsError
from bkgpipe.settings import settings_template
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.smooth.data import RateModel

_GIVEN = {
    "data.store": "store",
    "data.output": "out",
    "data.chunk_size": "3",
    "mask.catalogs": "",
    "binning.per_decade": "3",
    "binning.fov_bins": "10",
    "binning.offset_bins": "5",
    "smooth.method": "gaussian",
    "stack.strategy": "own",
    "select.min_livetime": "1 min",
    "select.exclude_obs_ids": "1004",
    "run.allow_refused": "true",
}


@pytest.fixture(scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store of four runs, of which one has lost its events, and its models."""
    folder = tmp_path_factory.mktemp("api")
    simulation = Simulation(n_runs=4, first_obs_id=1001, duration=180, seed=2)
    write_simulated_store(folder / "store", simulation=simulation, truth=Truth())
    (folder / "store" / "data" / "run_1003.fits.gz").unlink()
    (folder / "luigi.cfg").write_text(settings_template(_GIVEN), encoding="utf-8")
    Production(folder / "luigi.cfg").run()
    return folder


@pytest.fixture
def folder(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(_folder)
    forget()
    return _folder


@pytest.fixture
def production(folder: Path) -> Production:  # noqa: ARG001
    return Production()


def test_a_production_shows_itself(production, folder):
    assert repr(production) == (
        f"Production('{folder}/luigi.cfg', output='{folder}/out')"
    )
    page = production._repr_html_()
    assert page.startswith("<table><caption>bkgpipe production</caption><tr>")
    assert "2 used (0.1 h), 1 not selected, 1 refused" in page
    assert "count 2/2" in page
    assert "export 2/2" in page
    assert "4 files in " in page
    assert "index.html" in page


def test_a_production_that_was_not_run_shows_itself(folder):
    page = Production(settings={"data.output": folder / "later"})._repr_html_()

    assert f"data.output={folder}/later" in page
    assert "0 used (0.0 h)" in page
    assert "count 0/?" in page
    assert "not made yet" in page


def test_names_are_escaped(folder):
    page = Production(settings={"data.output": "<b>"})._repr_html_()

    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert not (folder / "<b>").exists()


def test_a_damaged_product_is_shown_in_place_of_numbers(production, monkeypatch):
    def fail(_settings: object) -> None:
        raise InputError(what="broken", where="here", fix="mend it")

    monkeypatch.setattr("bkgpipe.api.read_status", fail)

    assert "<td style='text-align:left'>here: broken. mend it.</td>" in (
        production._repr_html_()
    )


def test_problems_are_a_list(production):
    (problem,) = production.check()

    assert problem.startswith("run 1003 (data/run_1003.fits.gz): the file cannot be")
    assert Production(settings={"select.obs_ids": [1001, 1002]}).check() == []


def test_a_plan_shows_itself(production):
    assert production.plan().products == ()
    assert repr(production.plan()).endswith("Nothing to do.")

    plan = Production(settings={"smooth.sigma": 2}).plan()

    assert "smooth.sigma changed" in repr(plan)
    assert {each.stage for each in plan.products} == {"smooth", "export", "report"}
    assert plan.seconds > 0


def test_status_is_a_table(production):
    status = production.status()

    assert status.colnames == ["stage", "done", "total", "folder"]
    assert list(status["stage"])[:3] == ["select", "mask", "count"]
    assert (status["done"] == status["total"]).all()


def test_the_summary_has_the_refused_runs(production):
    assert production.summary.n_used == 2
    assert production.summary.refused.keys() == {1003}


def test_runs_have_decision_and_reason(production):
    runs = production.runs

    assert list(runs["obs_id"]) == [1001, 1002, 1003, 1004]
    assert list(runs["decision"]) == ["selected", "selected", "refused", "not selected"]
    assert runs["reason"][0] == ""
    assert "No such file" in runs["reason"][2]
    assert runs["reason"][3] == "is among exclude_obs_ids"
    assert runs["zenith"].unit == u.deg
    assert runs["target"].unit is None


def test_runs_are_known_before_the_first_stage(folder):
    runs = Production(settings={"data.output": folder / "later"}).runs

    assert list(runs["decision"]) == ["selected"] * 3 + ["not selected"]
    assert not (folder / "later").exists()


def test_runs_that_may_not_be_stacked_are_told(production, monkeypatch):
    summary = replace(production.summary, unfit={1001: "no events are kept"})
    monkeypatch.setattr("bkgpipe.api.read_status", lambda _settings: ([], summary))

    assert production.runs["decision"][0] == "not stacked"
    assert production.runs["reason"][0] == "no events are kept"


def test_models_are_read_one_by_one(production):
    models = production.models

    assert list(models) == [1001, 1002]
    assert len(models) == 2
    assert repr(models) == "<2 models: 1001, 1002>"
    assert isinstance(models[1002], RateModel)
    assert models[1002].stack_id == 1002
    assert models.get(7) is None
    assert 7 not in models
    with pytest.raises(InputError, match=r"no model 7\. Choose one of 1001, 1002\."):
        models[7]


def test_no_models_yet(folder):
    production = Production(settings={"data.output": folder / "later"})

    assert repr(production.models) == "<0 models: >"
    with pytest.raises(InputError, match="Run the production first"):
        production.figure()


def test_figures_show_themselves(production):
    figure = production.figure()

    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="no model 1004"):
        production.figure(1004)


def test_gammapy_opens_store_and_background(production):
    assert isinstance(production.store, DataStore)
    assert list(production.store.obs_table["OBS_ID"]) == [1001, 1002]

    background = production.background(1002)

    assert isinstance(background, Background3D)
    assert background.data.shape == (9, 10, 10)
    assert np.all(background.data > 0)
    with pytest.raises(InputError, match=r"no model 1003\. Choose one of 1001, 1002"):
        production.background(1003)


def test_the_first_format_is_the_one_of_the_store(folder):
    found = Production(
        settings={"export.format": ["bkg_2d"], "data.output": folder / "flat"}
    ).run(workers=2)

    assert isinstance(found.background(1001), Background2D)


@pytest.mark.parametrize("name", ["store", "report"])
def test_what_is_not_made_is_told(folder, name):
    production = Production(settings={"data.output": folder / "later"})

    with pytest.raises(InputError, match=f"no {name} by these settings yet. .*run()"):
        getattr(production, name)


def test_the_report_is_a_page(production):
    assert production.report.name == "index.html"
    assert production.report.exists()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, "true"),
        (None, ""),
        (0.5 * u.deg, "0.5 deg"),
        ([0, 30, 90] * u.deg, "0.0, 30.0, 90.0 deg"),
        ([1001, 1002], "1001, 1002"),
        (np.array([0, 30, 90]), "0, 30, 90"),
        (2, "2"),
    ],
)
def test_values_are_written_as_in_a_file(value, found):
    assert _as_text(value) == found


@pytest.mark.usefixtures("folder")
def test_wrong_settings_are_refused_at_once():
    with pytest.raises(SettingsError, match="did you mean sigma"):
        Production(settings={"smooth.sigmma": 2})
    with pytest.raises(SettingsError, match="cannot be read"):
        Production("nowhere.cfg")


def test_a_run_that_fails_is_an_error_of_ours(folder, capfd):
    production = Production(
        settings={"run.allow_refused": False, "data.output": folder / "strict"}
    )

    with pytest.raises(
        BkgpipeError,
        match=r"exit code 1: .*1 run\(s\) could not be used\..*run it again",
    ):
        production.run("count")

    assert "Error: " not in capfd.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("how", [{"stage": "cuont"}, {"workers": 0}])
def test_wrong_use_of_run_is_an_error_of_settings(how):
    with pytest.raises(SettingsError, match="exit code 2"):
        Production().run(**how)


def test_another_working_folder_does_not_matter(folder, tmp_path, monkeypatch):
    production = Production()
    monkeypatch.chdir(tmp_path)

    assert production.run().summary.n_used == 2
    assert production.plan().products == ()
    assert folder == Path(production.settings.path).parent


def test_init_writes_the_settings(folder, capsys):
    production = Production.init("store", output="elsewhere", config="new.cfg")

    assert production.settings.data.output == folder / "elsewhere"
    assert "Wrote new.cfg" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="exists already"):
        Production.init("store", config="new.cfg")


def test_it_works_in_a_process_with_warnings_as_errors(folder):
    code = (
        "from bkgpipe import Production\n"
        "production = Production()\n"
        "print(len(production.models), production._repr_html_()[:7])\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error::DeprecationWarning:bkgpipe", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=os.environ,
    )

    assert done.stdout == "2 <table>\n"
