from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import OutputError
from bkgpipe.tools.compare.data import (
    BinRates,
    Comparison,
    RunComparison,
    StoreComparison,
)
from bkgpipe.tools.compare.files import write_comparison

AXES = Binning(
    energy_edges=np.geomspace(0.1, 100.0, 4),
    fov_lon_edges=np.linspace(-2.0, 2.0, 5),
    fov_lat_edges=np.linspace(-2.0, 2.0, 6),
    offset_edges=np.linspace(0.0, 2.0, 7),
)
HEADER = ProductHeader(
    stage="compare", fingerprint="none", inputs="0", seconds=1.0, version="1"
)


def _rates(shape: tuple[int, ...], value: float) -> BinRates:
    return BinRates(
        rate=np.full(shape, value),
        error=np.full(shape, 0.1),
        systematic=0.0,
        error_source="x",
    )


def _found(*, is_3d: bool, n_runs: int) -> StoreComparison:
    shape = AXES.shape_3d if is_3d else AXES.shape_2d
    is_used = np.zeros(shape, dtype=bool)
    is_used[1, 2:] = True
    mean = Comparison(
        binning=AXES,
        a=_rates(shape, 3.0),
        b=_rates(shape, 2.0),
        is_used=is_used,
        solid_angle=np.ones(shape[1:]),
        offset=np.ones(shape[1:]),
    )
    run = RunComparison(
        obs_id=0,
        n_bins=9,
        ontime=60.0,
        ratio=1.5,
        rms=0.1,
        pull_mean=0.2,
        pull_width=1.1,
    )
    runs = tuple(replace(run, obs_id=10 + i) for i in range(n_runs))
    return StoreComparison(name_a="a", name_b="b", mean=mean, runs=runs)


def test_many_runs_have_a_row_each(tmp_path: Path) -> None:
    path = tmp_path / "runs.ecsv"
    write_comparison(path, HEADER, _found(is_3d=True, n_runs=3))
    table = Table.read(path)
    assert table["obs_id"].tolist() == [10, 11, 12]
    assert table["ratio"].tolist() == [1.5] * 3
    assert str(table["ontime"].unit) == "s"
    assert table.meta["product"]["stage"] == "compare"


@pytest.mark.parametrize(
    ("is_3d", "n_rows", "axis"), [(True, 10, "fov_lon"), (False, 4, "offset")]
)
def test_one_pair_has_a_row_for_each_bin(
    tmp_path: Path, *, is_3d: bool, n_rows: int, axis: str
) -> None:
    path = tmp_path / "bins.ecsv"
    write_comparison(path, HEADER, _found(is_3d=is_3d, n_runs=1))
    table = Table.read(path)
    assert len(table) == n_rows
    np.testing.assert_allclose(table["energy_min"], 1.0)
    np.testing.assert_allclose(table["energy_max"], 10.0)
    edges = AXES.fov_lon_edges if is_3d else AXES.offset_edges
    assert table[f"{axis}_min"].min() == edges[2]
    assert table[f"{axis}_max"].max() == edges[-1]
    assert ("fov_lat_min" in table.colnames) == is_3d
    np.testing.assert_allclose(table["ratio"], 1.5)
    np.testing.assert_allclose(table["difference"], 1.0)
    np.testing.assert_allclose(table["error_a"], 0.3)
    np.testing.assert_allclose(table["pull"], 1.0 / np.hypot(0.3, 0.2))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none.*existing folder"):
        write_comparison(
            tmp_path / "none" / "x.ecsv", HEADER, _found(is_3d=True, n_runs=2)
        )
