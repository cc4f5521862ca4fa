from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.cli import closure, demo


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_N_RUNS", 3)
    monkeypatch.setattr(demo, "_MINUTES", 20.0)


@pytest.mark.usefixtures("tiny")
def test_demo_compares_with_the_truth_and_names_its_files(bkgpipe, tmp_path):
    result = bkgpipe("demo", "--output", tmp_path / "demo", "--seed", "3")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert sum("bkg_3d: ratio" in line for line in lines) == 3
    assert sum("bkg_2d: ratio" in line for line in lines) == 3
    assert sum("pulls of norms" in line for line in lines) == 6
    reports = [line.split()[1] for line in lines if line.startswith("Report:")]
    assert len(set(reports)) == 3
    assert all(Path(report).is_file() for report in reports)
    assert lines[-1].startswith("Demo done in ")

    again = bkgpipe("demo", "--output", tmp_path / "demo", "--seed", "3")

    assert again.exit_code == 0
    assert "Simulated" not in again.stdout


@pytest.mark.usefixtures("tiny")
def test_demo_that_fails_is_exit_code_1(bkgpipe, tmp_path, monkeypatch):
    monkeypatch.setattr(closure, "run_production", lambda *_, **__: (False, True))

    result = bkgpipe("demo", "--output", tmp_path)

    assert result.exit_code == 1
    assert "the chain with smooth.method = none failed" in result.stderr
    assert "bkgpipe -v" in result.stderr
