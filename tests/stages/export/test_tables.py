from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from bkgpipe.errors import InputError, OutputError
from bkgpipe.stages.export.tables import (
    write_grouped_observation_table,
    write_groups_table,
    write_observation_table,
)
from bkgpipe.stages.stack.data import Group


def _write_index(folder: Path, name: str = "obs-index.fits.gz", **changes: str) -> None:
    table = Table(
        {
            changes.get("column", "OBS_ID"): [11, 12, 13, 14],
            "OBJECT": ["Crab", "Off", "Off", "MSH 15-52"],
            "LIVETIME": [100.0, 200.0, 300.0, 400.0],
        },
        units={"LIVETIME": "s"},
    )
    hdu = fits.table_to_hdu(table)
    hdu.name = "OBS_INDEX"
    hdu.header["GEOLON"] = 16.5
    hdu.header["MJDREFI"] = 51910
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / name, checksum=True)


def _group(group_id: int, obs_ids: list[int], **changes: object) -> Group:
    fields: dict[str, object] = {
        "group_id": group_id,
        "obs_ids": np.array(obs_ids, dtype=int),
        "cells": np.array([[0.0, 20.0, 0.0, 180.0]]),
        "zenith": 12.0,
        "azimuth": 100.0,
        "livetime": 300.0,
        "n_events": 42,
    }
    return Group(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["obs-index.fits.gz", "obs-index.fits"])
@pytest.mark.parametrize("column", ["OBS_ID", "obs_id"])
def test_index_is_found_with_either_name(
    tmp_path: Path, name: str, column: str
) -> None:
    _write_index(tmp_path, name, column=column)
    write_observation_table(tmp_path / "t.fits.gz", tmp_path, obs_ids=[13])
    assert list(Table.read(tmp_path / "t.fits.gz")[column]) == [13]


def test_run_numbers_may_be_words(tmp_path: Path) -> None:
    Table({"OBS_ID": ["0011", "12345678901"]}).write(tmp_path / "obs-index.fits")
    path = tmp_path / "t.fits.gz"
    write_observation_table(path, tmp_path, obs_ids=[12345678901, 11])
    assert list(Table.read(path)["OBS_ID"]) == ["12345678901", "0011"]


def test_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path}: obs-index.*Set \[data\] store"):
        write_observation_table(tmp_path / "t.fits.gz", tmp_path, obs_ids=[11])


def test_index_without_run_numbers_is_named(tmp_path: Path) -> None:
    _write_index(tmp_path, column="OTHER")
    with pytest.raises(InputError, match=r"obs-index\.fits\.gz: .*Restore"):
        write_observation_table(tmp_path / "t.fits.gz", tmp_path, obs_ids=[11])


def test_rows_and_header_are_those_of_the_source(tmp_path: Path) -> None:
    _write_index(tmp_path)
    path = tmp_path / "bg_observation_table.fits.gz"
    write_observation_table(path, tmp_path, obs_ids=[12, 14])
    with fits.open(path) as hdus:
        table = hdus["OBS_INDEX"]
        np.testing.assert_array_equal(table.data["OBS_ID"], [12, 14])
        assert list(table.data["OBJECT"]) == ["Off", "MSH 15-52"]
        np.testing.assert_array_equal(table.data["LIVETIME"], [200.0, 400.0])
        assert table.columns["LIVETIME"].unit == "s"
        assert table.header["GEOLON"] == 16.5
        assert table.header["NAXIS2"] == 2
        assert {"CHECKSUM", "DATASUM"} <= set(table.header)


@pytest.mark.parametrize(
    ("unit", "given", "others"),
    [("GeV", 250.0, 0.25), ("TeV", 0.25, 0.25), (None, 0.25, 0.25), ("", None, np.nan)],
)
def test_safe_energies_replace_those_of_some_runs(
    tmp_path: Path, unit: str | None, given: float | None, others: float
) -> None:
    _write_index(tmp_path)
    if given is not None:
        source = Table.read(tmp_path / "obs-index.fits.gz", hdu=1)
        source["SAFE_ENERGY_LO"] = np.full(4, given, dtype="f4")
        source["SAFE_ENERGY_LO"].unit = unit
        source["LAST"] = [1, 2, 3, 4]
        for key in ("CHECKSUM", "DATASUM"):  # of what it was
            source.meta.pop(key, None)
        source.write(tmp_path / "obs-index.fits.gz", overwrite=True)
    path = tmp_path / "new.fits.gz"
    write_observation_table(
        path, tmp_path, obs_ids=[12, 13, 14], safe_energies={13: 0.75}
    )
    table = Table.read(path, hdu=1)
    assert table["SAFE_ENERGY_LO"].unit == "TeV"
    energies = np.ma.filled(table["SAFE_ENERGY_LO"], np.nan)
    np.testing.assert_allclose(energies, [others, 0.75, others])
    assert list(table["OBS_ID"]) == [12, 13, 14]
    assert table.meta["MJDREFI"] == 51910
    if given is not None:
        assert list(table["LAST"]) == [2, 3, 4]


def test_no_runs_give_an_empty_table(tmp_path: Path) -> None:
    _write_index(tmp_path)
    write_observation_table(tmp_path / "t.fits.gz", tmp_path, obs_ids=[])
    assert len(Table.read(tmp_path / "t.fits.gz")) == 0


def test_a_run_that_is_gone_is_named(tmp_path: Path) -> None:
    _write_index(tmp_path)
    with pytest.raises(
        InputError, match=r"obs-index\.fits\.gz: runs \[99\] .*Select the r"
    ):
        write_observation_table(tmp_path / "t.fits.gz", tmp_path, obs_ids=[11, 99])


def test_grouped_table_has_the_runs_group_by_group(tmp_path: Path) -> None:
    _write_index(tmp_path)
    groups = (_group(2, [12, 14]), _group(5, [11]), _group(6, []))
    path = tmp_path / "grouped.fits.gz"
    write_grouped_observation_table(path, tmp_path, groups=groups)
    with fits.open(path) as hdus:
        table = hdus["OBS_INDEX"]
        np.testing.assert_array_equal(table.data["OBS_ID"], [12, 14, 11])
        np.testing.assert_array_equal(table.data["GROUP_ID"], [2, 2, 5])
        np.testing.assert_array_equal(table.data["LIVETIME"], [200.0, 400.0, 100.0])
        assert table.columns["LIVETIME"].unit == "s"
        assert table.header["MJDREFI"] == 51910


def test_groups_are_written_with_edges_and_units(tmp_path: Path) -> None:
    cells = np.array([[20.0, 40.0, 180.0, 360.0], [0.0, 20.0, 180.0, 360.0]])
    name = "zenith 0-20 azimuth 180-360"
    groups = (_group(1, [11, 12, 13]), _group(2, [14], cells=cells, merged=(name,)))
    path = tmp_path / "bg_observation_groups.ecsv"
    write_groups_table(path, groups)
    table = Table.read(path)
    assert list(table["GROUP_ID"]) == [1, 2]
    assert list(table["N_RUNS"]) == [3, 1]
    assert list(table["ZENITH_MIN"]) == [0.0, 20.0]
    assert list(table["AZIMUTH_MAX"]) == [180.0, 360.0]
    assert list(table["N_EVENTS"]) == [42, 42]
    assert table["MERGED"][1] == name
    assert table["ZENITH_MIN"].unit == "deg"
    assert table["AZIMUTH"].unit == "deg"
    assert table["LIVETIME"].unit == "s"


def test_no_groups_give_an_empty_table(tmp_path: Path) -> None:
    write_groups_table(tmp_path / "groups.ecsv", ())
    assert len(Table.read(tmp_path / "groups.ecsv", format="ascii.ecsv")) == 0


def test_groups_in_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent/groups\.ecsv: .*existing folder"):
        write_groups_table(tmp_path / "absent" / "groups.ecsv", (_group(1, [11]),))


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    _write_index(tmp_path)
    for name in ("a", "b"):
        write_grouped_observation_table(
            tmp_path / name, tmp_path, groups=(_group(1, [13]),)
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_real_index_keeps_its_place_and_times(tmp_path: Path, hess_store: Path) -> None:
    path = tmp_path / "obs-index.fits.gz"
    write_observation_table(path, hess_store, obs_ids=[23523, 20136])
    header = fits.getheader(path, 1)
    original = fits.getheader(hess_store / "obs-index.fits.gz", 1)
    for keyword in ("GEOLON", "GEOLAT", "ALTITUDE", "MJDREFF", "TIMEREF", "HDUCLAS2"):
        assert header[keyword] == original[keyword]
    assert list(Table.read(path)["OBS_ID"]) == [23523, 20136]
