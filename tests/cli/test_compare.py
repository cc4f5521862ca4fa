from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import Result

Call = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("finished")

# Run 1003 has no events file in this production
RUNS = [1001, 1002, 1004, 1005, 1006, 1007, 1008]
TRUTH = Path("store/truth.ecsv")


def _models() -> Path:
    (store,) = Path("out").glob("export-*/store")
    return store


def _model(obs_id: int, kind: str = "bkg_3d") -> Path:
    return _models() / "models" / f"{kind}_{obs_id}.fits"


def _checkpoint() -> Path:
    """The chunk that holds run 1001."""
    (path,) = Path("out").glob("smooth-*/smooth_333.h5")
    return path


def _compare(bkgpipe: Call, *words: str | Path) -> dict[str, Any]:
    result = bkgpipe("compare", *words, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_a_store_is_equal_to_itself(bkgpipe: Call) -> None:
    found = _compare(bkgpipe, _models(), _models())
    assert [run["obs_id"] for run in found["runs"]] == RUNS
    assert found["ratio"] == {"mean": 1.0, "std": 0.0}
    assert all(run["rms"] == 0 for run in found["runs"])
    assert found["only_a"] == found["only_b"] == []


def test_a_store_is_compared_with_its_truth(bkgpipe: Call, tmp_path: Path) -> None:
    table, plot = tmp_path / "runs.ecsv", tmp_path / "runs.png"
    words = ("--truth", "--energy-range", "0.3", "3", "--offset-max", "1.5")
    outputs = ("--table", table, "--plot", plot)
    found = _compare(bkgpipe, _models(), "store", *words, *outputs)
    assert [run["obs_id"] for run in found["runs"]] == RUNS
    assert found["only_b"] == [1003]
    assert found["ratio"]["mean"] == pytest.approx(1.0, abs=0.2)
    rows = Table.read(table)
    assert rows["obs_id"].tolist() == RUNS
    np.testing.assert_allclose(rows["ratio"], [run["ratio"] for run in found["runs"]])
    assert plot.stat().st_size > 1000


def test_words_name_what_was_compared(bkgpipe: Call) -> None:
    result = bkgpipe("compare", _models(), "store", "--truth")
    assert result.exit_code == 0, result.output
    assert f"A: {_models()}" in result.stdout
    assert "B: store/truth.ecsv\n   errors: the truth has none" in result.stdout
    assert "7 runs: A/B" in result.stdout
    assert "Only in B: 1 runs (1003)" in result.stdout


def test_one_run_has_a_row_for_each_bin(bkgpipe: Call, tmp_path: Path) -> None:
    table, plot = tmp_path / "bins.ecsv", tmp_path / "bins.png"
    words = ("--id", "1002", "--energy-bands", "0.3,1,5")
    outputs = ("--table", table, "--plot", plot)
    found = _compare(bkgpipe, _models(), _models(), *words, *outputs)
    assert [run["obs_id"] for run in found["runs"]] == [1002]
    assert found["only_a"] == []
    assert len(Table.read(table)) == found["runs"][0]["n_bins"]
    assert plot.stat().st_size > 1000


def test_images_and_rings_hold_the_same(bkgpipe: Call) -> None:
    words = ("--as", "bkg_2d", "--energy-range", "0.3", "3")
    images, rings = _model(1001), _model(1001, "bkg_2d")
    found = _compare(bkgpipe, images, rings, *words)
    assert found["ratio"]["mean"] == pytest.approx(1.0, abs=0.05)
    assert found["mean"]["n_bins"] > 0


@pytest.mark.parametrize(
    ("option", "ratio"), [("--livetime-a", 0.9), ("--livetime-b", 1 / 0.9)]
)
def test_a_model_per_live_time_is_scaled(
    bkgpipe: Call, option: str, ratio: float
) -> None:
    found = _compare(bkgpipe, _models(), _models(), option)
    assert found["ratio"]["mean"] == pytest.approx(ratio)
    assert option[-1].upper() + " is per live time" in found["notes"][0]


def test_a_checkpoint_is_what_is_written(bkgpipe: Call) -> None:
    found = _compare(bkgpipe, _checkpoint(), _models(), "--id", "1001")
    assert found["ratio"]["mean"] == pytest.approx(1.0)
    assert found["mean"]["rms"] < 1e-9
    assert found["notes"] == []
    rings = _compare(
        bkgpipe,
        _checkpoint(),
        _model(1001, "bkg_2d"),
        *("--as", "bkg_2d"),
    )
    assert rings["ratio"]["mean"] == pytest.approx(1.0)


def test_a_checkpoint_alone_has_no_known_frame(bkgpipe: Call, tmp_path: Path) -> None:
    alone = tmp_path / "a" / "b" / "smooth_1.h5"
    alone.parent.mkdir(parents=True)
    shutil.copy(_checkpoint(), alone)
    found = _compare(bkgpipe, alone, TRUTH, "--id", "1001")
    assert found["notes"] == [
        f"The frame of {alone} is not known, taken as that of the other"
    ]


def test_a_file_is_compared_with_the_run_that_it_is_for(bkgpipe: Call) -> None:
    found = _compare(bkgpipe, _model(1004), _models())
    assert [run["obs_id"] for run in found["runs"]] == [1004]
    assert found["only_b"] == []


def _copy(tmp_path: Path, **keywords: object) -> Path:
    """Copy a model with other keywords; None removes one."""
    path = tmp_path / "model.fits"
    with fits.open(_model(1001)) as hdus:
        for key, value in keywords.items():
            for hdu in hdus[1:]:
                hdu.header.remove(key, ignore_missing=True)
                if value is not None:
                    hdu.header[key] = value
        hdus.writeto(path)
    return path


def test_a_model_of_no_run_is_compared_with_each(bkgpipe: Call, tmp_path: Path) -> None:
    path = _copy(tmp_path, OBS_ID=None)
    found = _compare(bkgpipe, path, _models())
    assert [run["obs_id"] for run in found["runs"]] == RUNS
    # no run scatter is in this truth, so it is that of any run
    alone = _compare(bkgpipe, path, path)
    assert alone["runs"][0]["obs_id"] == -1
    assert _compare(bkgpipe, path, TRUTH, "--id", "1001")["mean"]["n_bins"] > 0


def test_images_of_two_frames_are_refused(bkgpipe: Call, tmp_path: Path) -> None:
    path = _copy(tmp_path, FOVALIGN="ALTAZ")
    result = bkgpipe("compare", path, _models())
    assert result.exit_code == 1
    assert "ALTAZ" in result.stderr
    assert "--as bkg_2d" in result.stderr
    assert bkgpipe("compare", path, _models(), "--as", "bkg_2d").exit_code == 0


def test_live_time_without_dead_time_is_refused(bkgpipe: Call, tmp_path: Path) -> None:
    path = _copy(tmp_path, DEADC=None)
    result = bkgpipe("compare", path, path, "--livetime-a")
    assert result.exit_code == 1
    assert "dead-time fraction is not known" in result.stderr
    assert "--id" in result.stderr


def test_a_broken_model_is_left_out(bkgpipe: Call, tmp_path: Path) -> None:
    store = tmp_path / "export" / "store"
    shutil.copytree(_models(), store, symlinks=True)
    (store / "models" / "bkg_3d_1005.fits").write_bytes(b"SIMPLE")
    found = _compare(bkgpipe, store, _models())
    assert [run["obs_id"] for run in found["runs"]] == [n for n in RUNS if n != 1005]
    assert list(found["left_out"]) == ["1005"]
    alone = bkgpipe("compare", store, _models(), "--id", "1005")
    assert alone.exit_code == 1
    assert "1005" in alone.stderr


def _scatter(tmp_path: Path) -> Path:
    """Copy the truth with a factor of its own for each run."""
    table = Table.read(TRUTH)
    table["FACTOR"] = np.linspace(1.0, 2.0, len(table))
    path = tmp_path / "truth.ecsv"
    table.write(path, format="ascii.ecsv")
    return path


def test_each_run_has_its_own_truth(bkgpipe: Call, tmp_path: Path) -> None:
    truth = _scatter(tmp_path)
    found = _compare(bkgpipe, _models(), truth)
    ratios = [run["ratio"] for run in found["runs"]]
    assert ratios[0] / ratios[-1] == pytest.approx(2.0, rel=0.4)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((TRUTH, TRUTH), 2, "Compare a truth with models"),
        ((Path("store"), TRUTH), 1, "names no background model"),
        ((Path("luigi.cfg"), TRUTH), 1, "is nothing that can be compared"),
        ((Path("nowhere"), TRUTH), 2, "does not exist"),
        ((TRUTH, TRUTH, "--id", "5"), 1, "run 5 is not in both"),
        ((TRUTH, TRUTH, "--energy-bands", "1,x"), 2, "could not convert"),
    ],
)
def test_what_cannot_be_compared_is_told(
    bkgpipe: Call, words: tuple[Path | str, ...], code: int, told: str
) -> None:
    result = bkgpipe("compare", *words)
    assert result.exit_code == code
    assert told in result.stderr


def test_no_run_in_common_is_told(bkgpipe: Call) -> None:
    result = bkgpipe("compare", _model(1001), _model(1002))
    assert result.exit_code == 1
    assert "no run in common: 1001 against 1002" in result.stderr


def test_nothing_in_range_is_told(bkgpipe: Call) -> None:
    words = ("--energy-range", "200", "300")
    result = bkgpipe("compare", _models(), _models(), *words)
    assert result.exit_code == 1
    assert "ask for a wider range" in result.stderr
