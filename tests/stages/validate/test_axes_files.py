from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.table import Table

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.validate.axes_data import RANGES, AxesSummary, AxisRow
from bkgpipe.stages.validate.axes_files import read_axes, write_axes, write_axes_table

ROW = AxisRow(
    model="ours",
    energies=RANGES[0],
    axis="8 + half a bin",
    oversampling=1,
    n_runs=7,
    n_events=1132,
    n_uncovered=0,
    total=1.01,
    rms=0.02,
    worst=-0.05,
    worst_energy=3.0,
    chi2=12.5,
    n_bins=9,
    floor_total=1.001,
    floor_chi2=71.5,
    scatter=math.nan,
    scatter_median=math.nan,
)
SUMMARY = AxesSummary(
    rows=(ROW, replace(ROW, energies=RANGES[1])), offset_max=2.0, inside_offset=1.25
)


def test_numbers_come_back(tmp_path: Path) -> None:
    path = tmp_path / "axes.json"
    write_axes(path, SUMMARY)
    assert "NaN" not in path.read_text()
    found = read_axes(path)
    assert math.isnan(found.rows[0].scatter)
    assert (found.offset_max, found.inside_offset) == (2.0, 1.25)
    known = replace(found.rows[1], scatter=0.0, scatter_median=0.0)
    expected = replace(SUMMARY.rows[1], scatter=0.0, scatter_median=0.0)
    assert known == expected


@pytest.mark.parametrize("text", ["", "[]", '{"rows": [{"model": null}]}'])
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "axes.json"
    path.write_text(text)
    with pytest.raises(DamagedFileError, match=r"axes\.json: .*validate --axes again"):
        read_axes(path)


def test_a_missing_number_is_not_a_total(tmp_path: Path) -> None:
    path = tmp_path / "axes.json"
    write_axes(path, SUMMARY)
    path.write_text(path.read_text().replace('"total": 1.01', '"total": null'))
    with pytest.raises(DamagedFileError):
        read_axes(path)


def test_each_axis_has_a_row(tmp_path: Path) -> None:
    header = ProductHeader(
        stage="validate", fingerprint="abc123", inputs="x", seconds=1.0, version="0"
    )
    write_axes_table(tmp_path / "t.ecsv", header, SUMMARY)
    table = Table.read(tmp_path / "t.ecsv")
    assert table["energies"].tolist() == list(RANGES)
    assert table["chi2"].tolist() == [12.5, 12.5]
    assert str(table["worst_energy"].unit) == "TeV"
    assert table.meta["product"]["stage"] == "validate"
