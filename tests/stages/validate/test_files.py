from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import OutputError
from bkgpipe.stages.validate.data import ModelScore, RunScore, ScoreBins, Validation
from bkgpipe.stages.validate.files import write_scores

HEADER = ProductHeader(
    stage="validate", fingerprint="abc123", inputs="x", seconds=1.0, version="0"
)


def _validation() -> Validation:
    runs = tuple(
        RunScore(
            obs_id=obs_id,
            counts_energy=np.array([9.0, 1.0]),
            predicted_energy=np.array([10.0, 2.0]),
            deviance=np.array([3.0, 2.0, 1.0]),
            noise=np.array([2.5, 1.5, 0.5]),
            dof=np.array([5.0, 4.0, 3.0]),
        )
        for obs_id in (4, 7, 9)
    )
    models = tuple(ModelScore(name=name, runs=runs) for name in ("ours", "theirs"))
    bins = ScoreBins(energy_edges=np.array([1.0, 2.0, 4.0]))
    folds = ((4, 9), (7,))
    return Validation(bins=bins, models=models, folds=folds, kept_together="run")


def test_each_model_and_run_has_a_row(tmp_path: Path) -> None:
    write_scores(tmp_path / "t.ecsv", HEADER, _validation())
    table = Table.read(tmp_path / "t.ecsv")
    assert table["model"].tolist() == ["ours"] * 3 + ["theirs"] * 3
    assert table["obs_id"].tolist() == [4, 7, 9] * 2
    assert table["fold"].tolist() == [1, 2, 1] * 2
    assert table["ratio"].tolist() == [1.2] * 6
    assert table["deviance_free_norm_per_energy"][0] == 1.0
    assert table["noise_as_predicted"][0] == 2.5
    assert table.meta["product"]["stage"] == "validate"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"t\.ecsv: .*"):
        write_scores(tmp_path / "none" / "t.ecsv", HEADER, _validation())
