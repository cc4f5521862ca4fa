from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import OutputError
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.tools.monitor.data import Monitor, RunRates
from bkgpipe.tools.monitor.files import write_changes, write_rates

MakeMonitor = Callable[..., Monitor]

_HEADER = ProductHeader(
    stage="monitor", fingerprint="ab", inputs="cd", seconds=1.0, version="1"
)


def test_changes_and_outliers_are_written(
    make_monitor: MakeMonitor, tmp_path: Path
) -> None:
    path = tmp_path / "changes.ecsv"
    write_changes(path, _HEADER, make_monitor())
    table = Table.read(path)
    assert table["obs_id"].tolist() == [7, 7, 7, 8]
    assert table["kind"].tolist() == ["drop", "burst", "gap", "low"]
    assert table["change"].tolist() == [-0.4, 0.5, -1.0, -0.5]
    assert table["band"].tolist()[:2] == ["0 to 1 deg", "all alike"]
    assert str(table["start_minute"].unit) == "min"
    # a whole run has no end, and no trials
    assert np.isnan(table["stop"][3])
    assert np.isnan(table["p_value"][3])
    assert table["error"][3] == pytest.approx(0.5 * 0.1)
    assert table["significance"][3] == pytest.approx(-np.log(0.5) / 0.1)
    assert read_table_header(path) == _HEADER


def test_a_store_without_changes_has_an_empty_table(
    make_monitor: MakeMonitor, tmp_path: Path
) -> None:
    write_changes(tmp_path / "a.ecsv", _HEADER, make_monitor(curves=(), levels=()))
    assert len(Table.read(tmp_path / "a.ecsv")) == 0


def test_every_bin_of_every_run_is_written(
    make_monitor: MakeMonitor,
    make_run_rates: Callable[..., RunRates],
    tmp_path: Path,
) -> None:
    livetime = np.linspace(0.0, 130.0, 14)
    counts = np.arange(14 * 2 * 3).reshape(14, 2, 3)
    counts[0] = 0
    runs = (make_run_rates(obs_id=5), make_run_rates(counts, livetime=livetime))
    write_rates(tmp_path / "rates.ecsv", _HEADER, make_monitor(rates=runs))
    table = Table.read(tmp_path / "rates.ecsv")
    assert len(table) == 2 * 14 * 2 * 3
    second = table[table["obs_id"] == 7]
    assert second["counts"].sum() == counts.sum()
    row = second[6 * 9 + 3 + 2]
    assert (row["energy_min"], row["energy_max"]) == (0.5, 200.0)
    assert (row["offset_min"], row["offset_max"]) == (1.8, 2.5)
    assert (row["stop"] - row["start"]) * 1440 == pytest.approx(2.0, abs=1e-4)
    assert row["start"] == pytest.approx(53343.9 + 18 / 1440, abs=1e-9)
    assert row["rate"] == pytest.approx(counts[9, 1, 2] / livetime[9])
    assert np.isnan(second["rate"][0])


@pytest.mark.parametrize("write", [write_changes, write_rates])
def test_a_folder_that_is_missing_is_told(
    make_monitor: MakeMonitor, tmp_path: Path, write: Callable[..., None]
) -> None:
    with pytest.raises(OutputError, match="existing folder") as caught:
        write(tmp_path / "nowhere" / "a.ecsv", _HEADER, make_monitor())
    assert "nowhere" in caught.value.where
