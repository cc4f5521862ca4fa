from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.table import Table
from click.testing import Result

Call = Callable[..., Result]

_FAST = ("--folds", "2", "--min-events", "5", "--energy-bins", "3")


@pytest.mark.usefixtures("folder")
def test_models_are_scored_on_the_runs_left_out(bkgpipe: Call) -> None:
    outputs = ("--table", "runs.ecsv", "--plot", "runs.png")
    result = bkgpipe("validate", *_FAST, *outputs, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    (model,) = answer["models"]
    assert answer["folds"] == [[1001, 1003, 1005, 1007], [1002, 1004, 1006, 1008]]
    assert model["runs"] + len(answer["left_out"]) == 8
    # the simulated runs are all alike, but few
    assert 0.5 < model["ratio"]["mean"] < 2.0
    assert list(model["deviance"]) == list(model["noise"])
    table = Table.read("runs.ecsv")
    assert len(table) == model["runs"]
    assert table["counts"].sum() == model["events"]
    assert Path("runs.png").stat().st_size > 1000
    for fold in (1, 2):
        stores = Path(f"out/validate/fold-{fold}").glob("export-*/store/models/*.fits")
        assert {path.name.split("_")[-1] for path in stores} == {
            f"{obs_id}.fits" for obs_id in answer["folds"][fold - 1]
        }


@pytest.mark.usefixtures("folder")
def test_models_are_not_scaled_to_the_runs_that_they_are_scored_on(
    bkgpipe: Call,
) -> None:
    only = ("--set", "export.obs_ids=1001, 1002", "--json")
    found = [
        bkgpipe("validate", *_FAST, *only, "--set", f"export.norm={norm}")
        for norm in ("none", "run")
    ]
    assert [result.exit_code for result in found] == [0, 0]
    assert json.loads(found[0].stdout) == json.loads(found[1].stdout)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("offset_max", "is_equal"), [("1.0", False), ("2.4", True)])
def test_models_are_scaled_to_the_rim_where_it_is_not_scored(
    bkgpipe: Call, offset_max: str, is_equal: bool
) -> None:
    only = ("--set", "export.obs_ids=1001, 1002", "--offset-max", offset_max, "--json")
    none, rim = (
        bkgpipe("validate", *_FAST, *only, "--set", f"export.norm={norm}")
        for norm in ("none", "rim")
    )
    assert (none.exit_code, rim.exit_code) == (0, 0), rim.output
    assert (json.loads(none.stdout) == json.loads(rim.stdout)) is is_equal


@pytest.mark.usefixtures("folder")
def test_another_store_is_scored_on_the_same_runs(bkgpipe: Call) -> None:
    assert bkgpipe("run", "export").exit_code == 0
    (store,) = Path("out").glob("export-*/store")
    only = ("--set", "export.obs_ids=1001, 1002, 1003")
    result = bkgpipe("validate", *_FAST, *only, "--against", store)
    assert result.exit_code == 0, result.output
    assert "this production" in result.stdout
    assert str(store) in result.stdout
    assert "3 runs" in result.stdout


@pytest.mark.usefixtures("folder")
def test_a_store_without_models_scores_no_run(bkgpipe: Call) -> None:
    only = ("--set", "export.obs_ids=1001")
    bare = Path("bare")
    bare.mkdir()
    result = bkgpipe("validate", *_FAST, *only, "--against", bare)
    assert result.exit_code == 1
    assert "no run could be scored" in result.stderr
    assert "hdu-index.fits and hdu-index.fits.gz are both missing" in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_run_without_enough_events_is_told(bkgpipe: Call) -> None:
    words = ("--folds", "2", "--min-events", "1000000")
    result = bkgpipe("validate", *words, "--set", "export.obs_ids=1001")
    assert result.exit_code == 1
    assert "fewer than 1000000" in result.stderr
    assert "Lower --min-events" in result.stderr


@pytest.mark.usefixtures("folder")
def test_runs_that_get_no_model_are_told_before_the_first_fold(bkgpipe: Call) -> None:
    words = ("--set", "select.exclude_obs_ids=1001", "--set", "export.obs_ids=1001")
    result = bkgpipe("validate", *words)
    assert result.exit_code == 1
    assert "no run gets a model" in result.stderr
    assert "Fold" not in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--folds", "1"), 2, "Ask for two or more"),
        (("--by", "field", "--set", "select.obs_ids=1001"), 1, "Select more runs"),
        (("--set", "data.store=nowhere"), 1, "nowhere"),
    ],
)
def test_what_cannot_be_split_is_refused(
    bkgpipe: Call, words: tuple[str, ...], code: int, told: str
) -> None:
    result = bkgpipe("validate", *words)
    assert result.exit_code == code
    assert told in result.stderr


@pytest.mark.usefixtures("folder")
def test_nothing_need_be_said_of_energies_folds_and_events(bkgpipe: Call) -> None:
    some = ("--set", "select.obs_ids=1001, 1002, 1003")
    result = bkgpipe("validate", *some, "--json")
    assert result.exit_code == 0, result.output
    before = result.stderr[: result.stderr.index("Fold 1 of 3: 1 run\n")]
    assert "3 folds instead of 5: there is no more than one run for each." in before
    assert "to where events end." in before
    answer = json.loads(result.stdout)
    low, high = answer["energies"][0], answer["energies"][-1]
    assert f"Energies: {low:g} to {high:g} TeV" in before


@pytest.mark.usefixtures("folder")
def test_poor_runs_are_scored_by_night(bkgpipe: Call) -> None:
    alone = bkgpipe("validate", "--folds", "2", "--min-events", "1", "--json")
    assert alone.exit_code == 0, alone.output
    (model,) = json.loads(alone.stdout)["models"]
    most = str(model["events"])
    words = ("--folds", "2", "--min-events", most, "--table", "runs.ecsv")
    result = bkgpipe("validate", *words, "--json")
    assert result.exit_code == 0, result.output
    assert "scored together with others of their night: 1 in all." in result.stderr
    answer = json.loads(result.stdout)
    assert answer["joined"] == [list(range(1001, 1009))]
    assert answer["models"][0]["runs"] == 8
    assert answer["models"][0]["events"] == model["events"]
    assert Table.read("runs.ecsv")["n_runs"].tolist() == [8]


@pytest.mark.usefixtures("folder")
def test_models_are_judged_on_other_axes(bkgpipe: Call) -> None:
    outputs = ("--axes-table", "axes.ecsv", "--axes-plot", "axes.png")
    result = bkgpipe("validate", *_FAST, *outputs, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["axes"]
    table = Table.read("axes.ecsv")
    assert table["axis"].tolist() == [row["axis"] for row in rows]
    above = [row for row in rows if row["energies"] == "above the safe energy"]
    assert {row["oversampling"] for row in above} == {1, 4, 10}
    assert len(above) == 9
    for row in rows:
        assert len(row["counts"]) == len(row["energy_edges"]) - 1
        assert sum(row["counts"]) == row["n_events"] > 0
    assert Path("axes.png").stat().st_size > 1000
    again = bkgpipe("validate", *_FAST, "--axes")
    assert "above the safe energy: 8 runs" in again.stdout
