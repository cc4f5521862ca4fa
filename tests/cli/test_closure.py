from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from click.testing import Result

from bkgpipe.cli import closure
from bkgpipe.simulate.archive.files import read_truth

Call = Callable[..., Result]

_SMALL = ("--minutes", "40", "--workers", "1")
_COARSE = (
    *("--set", "binning.per_decade=3"),
    *("--set", "binning.fov_bins=10"),
    *("--set", "stack.min_hours=0.1 h"),
    *("--set", "truth.norm=2000 s-1 TeV-1 sr-1"),
)


def test_one_command_simulates_produces_and_compares(
    bkgpipe: Call, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "closure"
    scatter = ("--set", "truth.run_scatter=0.1")
    words = (output, "--runs", "6", *_SMALL, *_COARSE, *scatter)
    result = bkgpipe("closure", *words)
    assert result.exit_code == 0, result.output
    assert "smooth.method = regression, 6 runs, 3.6 h" in result.stdout
    assert "pulls of norms" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Closure done in ")
    assert (output / "closure.png").stat().st_size > 1000
    table = Table.read(output / "closure.ecsv")
    norms = table[(table["part"] == "norm") & (table["model"] == "bkg_3d")]
    truth = read_truth(output / "store-1" / "truth.ecsv")
    assert norms["stack_id"].tolist() == truth.obs_ids.tolist()
    # so few runs tell nothing of their scatter, but the mean is right
    assert np.average(norms["ratio"], weights=truth.factor) == pytest.approx(1, abs=0.1)
    assert np.ptp(truth.factor) > 0.05

    again = bkgpipe("closure", *words, "--json")

    assert again.exit_code == 0, again.output
    answer = json.loads(again.stdout.splitlines()[-1])
    assert answer["runs"] == 6
    assert answer["models"]["bkg_2d"]["norms"]["n"] == 6
    assert Path(answer["table"]).is_file()


def test_unsmoothed_groups_close_within_their_errors(
    bkgpipe: Call, tmp_path: Path
) -> None:
    law = ("--set", "truth.zenith_slope=2", "--set", "smooth.method=none")
    words = (tmp_path, "--runs", "6", *_SMALL, *_COARSE, *law, "--json")
    result = bkgpipe("closure", *words)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["method"] == "none"
    for model in answer["models"].values():
        assert abs(model["bins"]["mean"]) < 0.3
        assert model["bins"]["width"] == pytest.approx(1.0, abs=0.15)
        assert model["norm"]["mean"] == pytest.approx(1.0, abs=0.03)


def test_the_runs_of_a_store_are_copied(
    bkgpipe: Call, tmp_path: Path, archive: Path
) -> None:
    output = tmp_path / "closure"
    short = ("--set", "select.min_livetime=1 min")
    words = ("--like", archive, "--workers", "1", "--seed", "3", *short)
    result = bkgpipe("closure", output, *words, *_COARSE, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["runs"] == 8
    truth = read_truth(output / "store-3" / "truth.ecsv")
    assert truth.truth.zenith_slope == -4.26
    original = read_truth(archive / "truth.ecsv")
    assert truth.obs_ids.tolist() == original.obs_ids.tolist()


def test_a_chain_that_fails_is_told(
    bkgpipe: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closure, "run_production", lambda *_, **__: (False, True))
    result = bkgpipe("closure", tmp_path, "--runs", "2", "--workers", "1")
    assert result.exit_code == 1
    assert "the chain with smooth.method = regression failed" in result.stderr
    assert "bkgpipe -v" in result.stderr


def test_runs_are_not_copied_and_drawn(bkgpipe: Call, tmp_path: Path) -> None:
    result = bkgpipe("closure", tmp_path / "x", "--like", tmp_path, "--runs", "3")
    assert result.exit_code == 2
    assert "--like" in result.stderr


def test_a_setting_that_is_not_there_is_told(bkgpipe: Call, tmp_path: Path) -> None:
    words = (tmp_path, "--runs", "1", "--workers", "1")
    assert bkgpipe("closure", *words, "--set", "truth.norms=1").exit_code == 2
    assert bkgpipe("closure", *words, "--set", "smooth.methods=1").exit_code == 2
