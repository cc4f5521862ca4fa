from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.errors import InputError
from bkgpipe.tools.compare.common_grid import common_grid
from bkgpipe.tools.compare.data import FileModel
from bkgpipe.tools.compare.sides import open_side

MODEL = FileModel(
    energy_edges=np.geomspace(0.3, 30.0, 5),
    field_edges=(np.array([0.0, 1.0, 2.0, 2.5]),),
    rate=np.ones((4, 3)),
)


@pytest.mark.usefixtures("finished")
def test_a_truth_has_a_formula_and_the_runs_of_its_store() -> None:
    side = open_side(Path("store/truth.ecsv"))
    assert side.obs_ids == tuple(range(1001, 1009))
    assert side.runs[1001].deadc == pytest.approx(0.9)
    assert side.model(1001, as_2d=True) is None
    assert side.alignment(None) == ""
    rates = side.rates(1001, common_grid([MODEL], as_2d=True))
    assert (rates.rate > 0).all()


@pytest.mark.usefixtures("finished")
def test_a_model_has_no_formula() -> None:
    (path,) = Path("out").glob("export-*/store/models/bkg_2d_1001.fits")
    side = open_side(path)
    assert side.obs_ids == (1001,)
    assert side.notes() == []
    with pytest.raises(InputError, match=r"bkg_2d_1001\.fits: .*truth\.ecsv"):
        side.rates(1001, common_grid([MODEL], as_2d=True))


def test_a_truth_without_its_store_knows_no_runs(
    finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "truth.ecsv"
    path.write_bytes((finished / "store" / "truth.ecsv").read_bytes())
    assert open_side(path).runs == {}


def test_what_is_neither_is_told(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.touch()
    with pytest.raises(InputError, match=r"words\.txt: .*Name the folder"):
        open_side(path)
