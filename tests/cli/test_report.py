from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]

_FAST = ("--folds", "2", "--min-events", "5", "--energy-bins", "3")


@pytest.mark.usefixtures("folder")
def test_report_before_the_run_says_what_to_do(bkgpipe: Call) -> None:
    result = bkgpipe("report")
    assert result.exit_code == 1
    assert "nothing was made yet" in result.stderr
    assert "bkgpipe run makes the models" in result.stderr
    assert not list(Path("out").glob("report-*"))


@pytest.mark.usefixtures("folder")
def test_report_of_half_a_production_says_what_is_missing(bkgpipe: Call) -> None:
    assert bkgpipe("run", "count").exit_code == 0
    result = bkgpipe("report")
    assert result.exit_code == 1
    assert "stack is not done: 0 of 1" in result.stderr
    assert "makes what is missing" in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("number", ["-1", "many", "1.5"])
def test_a_number_of_models_is_a_number_or_all(bkgpipe: Call, number: str) -> None:
    result = bkgpipe("report", "--models", number)
    assert result.exit_code == 2
    assert "neither a number nor 'all'" in result.stderr


@pytest.mark.usefixtures("folder")
def test_pages_are_told_and_the_next_run_does_nothing(bkgpipe: Call) -> None:
    assert bkgpipe("run", "--set", "stack.strategy=own").exit_code == 0
    own = ("--set", "stack.strategy=own")
    few = json.loads(bkgpipe("report", *own, "--models", "2", "--json").stdout)
    result = bkgpipe("report", *own, "--models", "all", "--workers", "2", "--json")
    every = json.loads(result.stdout)
    # eight runs; each page of a model has an image
    assert every["pages"] - few["pages"] == every["images"] - few["images"] == 6
    folder = Path(every["report"]).parent
    names = {path.name for path in folder.iterdir()}
    assert len([name for name in names if name.endswith(".html")]) == every["pages"]
    size = sum(path.stat().st_size for path in folder.glob("*.[hp][tn][mg]*"))
    assert every["bytes"] == size
    assert "Nothing to do" in bkgpipe("run", *own).stdout


@pytest.mark.usefixtures("folder")
def test_validation_comes_into_the_report(bkgpipe: Call) -> None:
    assert bkgpipe("run").exit_code == 0
    (index,) = Path("out").glob("report-*/index.html")
    assert "Validation" not in index.read_text()
    validated = bkgpipe("validate", *_FAST, "--axes", "--json")
    assert validated.exit_code == 0, validated.output
    result = bkgpipe("report", "--models", "1")
    assert "pages," in result.stdout
    page = index.read_text()
    assert "2 folds by run" in page
    (answer,) = json.loads(validated.stdout)["models"]
    assert f">{answer['deviance']['as predicted']:.4f}<" in page
    assert (index.parent / "validation.png").stat().st_size > 1000
    assert "8 + half a bin" in page
    assert (index.parent / "axes.png").stat().st_size > 1000
