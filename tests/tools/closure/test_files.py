from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import OutputError
from bkgpipe.simulate.archive.data import Closure
from bkgpipe.tools.closure.data import AxisClosure, ClosureReport, ModelClosure, PullSet
from bkgpipe.tools.closure.files import write_closure

HEADER = ProductHeader(
    stage="closure", fingerprint="abc", inputs="0", seconds=1.0, version="1"
)


def _axis(n: int) -> AxisClosure:
    return AxisClosure(
        edges=np.arange(n + 1.0),
        expected=np.full(n, 10.0),
        recovered=np.full(n, 11.0),
        error=np.full(n, 0.2),
    )


def _model(name: str) -> ModelClosure:
    counts = Closure(
        n_bins=3,
        n_expected=100.0,
        n_recovered=120.0,
        pull_mean=0.0,
        pull_width=1.0,
        ratio_mean=0.2,
        ratio_rms=0.3,
    )
    return ModelClosure(
        name=name,
        counts=counts,
        shape=PullSet(values=np.array([-1.5, 0.5, 1.0])),
        bins=PullSet(values=np.array([-3.0, 0.5, 1.0])),
        norms=PullSet(values=np.array([1.0, -1.0])),
        stack_ids=np.array([3, 7]),
        norm=np.array([1.1, 0.9]),
        norm_error=np.array([0.1, 0.1]),
        true_factor=np.array([1.0, 2.0]),
        energy=_axis(4),
        offset=_axis(5),
    )


def test_the_table_has_totals_axes_and_norms(tmp_path: Path) -> None:
    report = ClosureReport(
        method="none",
        n_runs=2,
        hours=1.0,
        models=(_model("bkg_3d"), _model("bkg_2d")),
    )
    path = tmp_path / "closure.ecsv"
    write_closure(path, HEADER, report)
    table = Table.read(path)
    # for each model three kinds of pulls, four energies, five offsets, two norms
    assert len(table) == 2 * (3 + 4 + 5 + 2)
    first = table[table["model"] == "bkg_3d"]
    totals = first[:3]
    assert totals["part"].tolist() == ["bins, norm out", "bins", "norms"]
    np.testing.assert_allclose(totals["ratio"], 1.2)
    np.testing.assert_allclose(totals["within_2"], [1.0, 2 / 3, 1.0])
    assert totals["n"].tolist() == [3, 3, 2]
    energies = first[first["part"] == "energy"]
    np.testing.assert_allclose(energies["low"], [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(energies["ratio"], 1.1)
    norms = first[first["part"] == "norm"]
    assert norms["stack_id"].tolist() == [3, 7]
    np.testing.assert_allclose(norms["pull"], [1.0, -1.0])
    assert (first[first["part"] != "norm"]["stack_id"] == -1).all()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    report = ClosureReport(
        method="none", n_runs=2, hours=1.0, models=(_model("bkg_3d"),)
    )
    with pytest.raises(OutputError, match=r"none.*existing folder"):
        write_closure(tmp_path / "none" / "x.ecsv", HEADER, report)
