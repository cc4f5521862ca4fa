from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from bkgpipe.errors import InputError
from bkgpipe.store.index import (
    find_column,
    find_index,
    first_files,
    hdu_files,
    obs_ids,
    read_index,
    words,
)
from bkgpipe.store.second_files import second_files
from bkgpipe.store.store_folder import store_folder


@pytest.mark.parametrize("ending", [".fits", ".fits.gz"])
def test_either_ending(
    make_store: Callable[..., Path],
    observations: Table,
    hdu_rows: Table,
    ending: str,
) -> None:
    store = make_store(observations, hdu_rows, ending=ending)

    path = find_index(store, "obs-index")

    assert path.name == f"obs-index{ending}"
    table = read_index(path, "obs-index")
    assert table["OBS_ID"].tolist() == [9, 7, 8]
    assert table.meta["MJDREFI"] == 51910


def test_a_folder_that_cannot_be_looked_at(tmp_path: Path) -> None:
    # too long a name is refused as a folder without permission is, to root as well
    store = tmp_path / ("long" * 100)

    with pytest.raises(InputError, match="obs-index cannot be looked for") as caught:
        find_index(store, "obs-index")

    assert caught.value.where == str(store)
    assert "may be read" in caught.value.fix


def test_missing_index(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"obs-index\.fits and.*Set \[data\] store to"):
        find_index(tmp_path, "obs-index")


@pytest.mark.parametrize("content", [b"", b"SIMPLE", b"\x1f\x8b\x08"])
def test_damaged_index(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "obs-index.fits"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"obs-index\.fits: .*(damaged|truncated)"):
        read_index(path, "obs-index")


def _write_both(path: Path, *tables: Table, classes: bool) -> None:
    hdus: list[Any] = [fits.PrimaryHDU()]
    for kind, table in zip(("OBS", "HDU"), tables, strict=True):
        hdu = fits.table_to_hdu(table)
        if classes:
            hdu.header["HDUCLAS1"], hdu.header["HDUCLAS2"] = "INDEX", kind
        else:
            hdu.name = f"{kind}_INDEX"
        hdus.append(hdu)
    fits.HDUList([hdus[0], hdus[2], hdus[1]]).writeto(path)


@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("is_named", [True, False])
def test_both_indexes_in_one_file(
    tmp_path: Path,
    observations: Table,
    hdu_rows: Table,
    *,
    classes: bool,
    is_named: bool,
) -> None:
    _write_both(tmp_path / "all.fits.gz", observations, hdu_rows, classes=classes)
    store = store_folder(tmp_path / "all.fits.gz" if is_named else tmp_path)

    path = find_index(store, "obs-index")

    assert path == find_index(store, "hdu-index") == tmp_path / "all.fits.gz"
    assert read_index(path, "obs-index")["OBS_ID"].tolist() == [9, 7, 8]
    assert hdu_files(store, "aeff") == {7: ("data/irf_7.fits", "AEFF")}


def test_two_files_with_both_indexes_are_named(
    tmp_path: Path, observations: Table, hdu_rows: Table
) -> None:
    for name in ("one.fits", "two.fits"):
        _write_both(tmp_path / name, observations, hdu_rows, classes=True)

    with pytest.raises(InputError, match=r"one\.fits and two\.fits are.*Keep one of"):
        find_index(tmp_path, "hdu-index")
    named = store_folder(tmp_path / "two.fits")
    assert find_index(named, "hdu-index") == tmp_path / "two.fits"


def test_two_endings_that_differ_are_named(
    make_store: Callable[..., Path], observations: Table, hdu_rows: Table
) -> None:
    store = make_store(observations, hdu_rows)
    content = (store / "obs-index.fits").read_bytes()
    (store / "obs-index.fits.gz").write_bytes(gzip.compress(content))
    assert find_index(store, "obs-index") == store / "obs-index.fits.gz"

    observations[:2].write(store / "obs-index.fits", format="fits", overwrite=True)

    told = r"obs-index\.fits\.gz and obs-index\.fits are both the obs-index, and differ"
    with pytest.raises(InputError, match=told):
        find_index(store, "obs-index")


def test_a_file_that_is_no_index_is_refused(tmp_path: Path, hdu_rows: Table) -> None:
    path = tmp_path / "table.fits"
    hdu_rows.write(path)
    with pytest.raises(InputError, match="no table of HDUCLAS2 = OBS or named OBS_IND"):
        read_index(path, "obs-index")


def test_columns_in_either_case() -> None:
    table = Table({"Nsb": [1.0], "ra_pnt": [2.0]})
    column = find_column(table, "RA_PNT")
    assert column is not None
    assert column[0] == 2.0
    second = find_column(table, "NSBLEVEL", "NSB")
    assert second is not None
    assert second.name == "Nsb"
    assert find_column(table, "ABSENT") is None


@pytest.mark.parametrize(
    "values",
    [
        [7, 12345678901],
        [7.0, 12345678901.0],
        ["7", " 12345678901 "],
        ["7.0", "12345678901"],
        [b"7", b"12345678901"],
    ],
)
def test_run_numbers(values: list[int]) -> None:
    found = obs_ids(Table({"obs_id": values}), where="index")
    assert found.tolist() == [7, 12345678901]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (Table({"ID": [7]}), "has no column OBS_ID"),
        (Table({"OBS_ID": ["6", "run 7"]}), "OBS_ID is 'run 7' in row 2, expected"),
        (
            Table({"OBS_ID": ["6", ""]}),
            "OBS_ID is '' in row 2, expected a whole number",
        ),
        (Table({"OBS_ID": [6.0, 7.5]}), "OBS_ID is '7.5' in row 2, expected a whole"),
        (Table({"OBS_ID": [6.0, np.nan]}), "OBS_ID is 'nan' in row 2, expected"),
        (Table({"OBS_ID": [True]}), "OBS_ID is 'True' in row 1, expected a whole"),
    ],
)
def test_bad_run_numbers(table: Table, found: str) -> None:
    with pytest.raises(InputError, match=rf"index: {found}.*Give each row"):
        obs_ids(table, where="index")


def test_words_of_any_kind() -> None:
    assert words(None, 2) == ["", ""]
    assert words(Table({"a": [b" x ", b"\xff"]})["a"], 2) == ["x", "\ufffd"]
    assert words(Table({"a": ["ä", ""]})["a"], 2) == ["ä", ""]
    assert words(Table({"a": [1, 2]})["a"], 2) == ["1", "2"]
    odd = Table({"a": [b"a\tb\x1b[2J", b"x\0y"]})["a"]
    assert words(odd, 2) == ["a b\ufffd[2J", "x\ufffdy"]
    assert words(MaskedColumn(["a", "b"], mask=[True, False]), 2) == ["", "b"]


def test_hdu_files(
    make_store: Callable[..., Path], observations: Table, hdu_rows: Table
) -> None:
    store = make_store(observations, hdu_rows)
    assert hdu_files(store, "events") == {
        7: ("data/run_7.fits", "EVENTS"),
        8: ("data/run_8.fits", "EVENTS"),
    }
    assert hdu_files(store, "aeff") == {7: ("data/irf_7.fits", "AEFF")}
    assert hdu_files(store, "psf") == {}


def test_hdu_files_without_folder_and_with_two_rows(
    make_store: Callable[..., Path], observations: Table, hdu_rows: Table
) -> None:
    hdu_rows.remove_columns(["FILE_DIR", "HDU_NAME"])
    hdu_rows.rename_column("HDU_TYPE", "hdu_type")
    hdu_rows["OBS_ID"] = ["7", "8", "8"]
    store = make_store(observations, hdu_rows)
    assert hdu_files(store, "events") == {8: ("run_7.fits", "")}


def test_of_two_files_of_a_run_the_first_is_taken() -> None:
    rows = [
        (8, ("b/run_8.fits", "EVENTS")),
        (7, ("data/run_7.fits", "EVENTS")),
        (7, ("./data/run_7.fits", "EVENTS")),
        (8, ("a/run_8.fits", "EVENTS")),
        (9, ("run_9.fits", "EVENTS")),
        (9, ("run_9.fits", "EVENTS2")),
    ]
    assert first_files(rows)[8] == ("b/run_8.fits", "EVENTS")
    assert second_files(rows) == {
        8: ("b/run_8.fits", "a/run_8.fits"),
        9: ("run_9.fits[EVENTS]", "run_9.fits[EVENTS2]"),
    }
    assert second_files(rows[:2]) == {}


def test_hdu_index_without_files(
    make_store: Callable[..., Path], observations: Table, hdu_rows: Table
) -> None:
    hdu_rows.remove_column("FILE_NAME")
    store = make_store(observations, hdu_rows)
    with pytest.raises(InputError, match=r"hdu-index\.fits: .*FILE_NAME.*Make the HDU"):
        hdu_files(store, "events")
