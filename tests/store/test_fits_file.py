from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.errors import OutputError
from bkgpipe.store.fits_file import (
    NO_IMAGE,
    column_table,
    row_table,
    write_content,
    write_fits,
    write_hdus,
)
from bkgpipe.store.fits_sums import with_sums

_SUMMED = with_sums(NO_IMAGE)


def test_content_is_written_as_it_is(tmp_path: Path) -> None:
    write_content(tmp_path / "file-luigi-tmp-1.gz", b"content")
    assert (tmp_path / "file-luigi-tmp-1.gz").read_bytes() == b"content"


def test_fits_is_written_with_checksums(tmp_path: Path) -> None:
    write_fits(tmp_path / "a.fits", NO_IMAGE)
    assert (tmp_path / "a.fits").read_bytes() == _SUMMED
    fits.open(tmp_path / "a.fits", checksum=True).close()


def test_compressed_content_can_be_inflated_by_others(tmp_path: Path) -> None:
    write_fits(tmp_path / "a", NO_IMAGE, compress=True)
    assert gzip.decompress((tmp_path / "a").read_bytes()) == _SUMMED


def test_gzip_header_has_no_time(tmp_path: Path) -> None:
    write_content(tmp_path / "a.gz", b"content", compress=True)
    assert (tmp_path / "a.gz").read_bytes()[4:8] == b"\0\0\0\0"


@pytest.mark.parametrize("compress", [False, True])
def test_writing_to_a_missing_folder_is_named(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "absent" / "file.fits"
    with pytest.raises(OutputError, match=r"absent/file\.fits: .*existing folder"):
        write_content(path, NO_IMAGE, compress=compress)


CUBE, AXIS = np.arange(24.0).reshape(2, 3, 4), np.array([1.5, 2.5])
CELLS = {"A": (CUBE, "s sr"), "B": (AXIS, "TeV"), "C": (AXIS, "")}
KEYWORDS = {
    "HDUCLASS": ("GADF", "who says so"),
    "NRUNS": 1,
    "HOURS": 1.0,
    "IS_GOOD": True,
    "LONG": "many words " * 12,
    "SMALL": np.float64(1.2345678901234567e-12),
}


def _by_astropy() -> fits.BinTableHDU:
    columns = [(key, ">f8", values.shape) for key, (values, _) in CELLS.items()]
    row = np.empty(1, columns)
    for key, (values, _) in CELLS.items():
        row[key][0] = values
    table = fits.BinTableHDU(row.view(fits.FITS_rec), name="CUBE")
    for key, (_, unit) in CELLS.items():
        table.columns[key].unit = unit or None
    table.header.update(KEYWORDS)
    return table


def test_row_table_has_the_bytes_of_astropy(tmp_path: Path) -> None:
    write_hdus(tmp_path / "a.fits", [fits.PrimaryHDU(), _by_astropy()])
    table = NO_IMAGE + row_table("CUBE", CELLS, KEYWORDS)
    assert with_sums(table) == (tmp_path / "a.fits").read_bytes()


def test_row_table_keeps_shapes_units_and_values(tmp_path: Path) -> None:
    write_content(tmp_path / "a.fits", NO_IMAGE + row_table("CUBE", CELLS, KEYWORDS))
    with fits.open(tmp_path / "a.fits") as hdus:
        assert hdus[1].name == "CUBE"
        assert [column.unit for column in hdus[1].columns] == ["s sr", "TeV", None]
        np.testing.assert_array_equal(hdus[1].data["A"][0], CUBE)
        np.testing.assert_array_equal(hdus[1].data["B"][0], AXIS)
        assert hdus[1].header["TDIM1"].replace(" ", "") == "(4,3,2)"
        assert hdus[1].header["TFORM1"] == "24D"
        assert hdus[1].header["LONG"] == KEYWORDS["LONG"].rstrip()


def test_row_table_takes_any_layout_in_memory() -> None:
    cube = np.asfortranarray(np.arange(12.0, dtype="<f4").reshape(3, 4))
    hdus = fits.HDUList.fromstring(
        NO_IMAGE + row_table("CUBE", {"A": (cube.T, "")}, {})
    )
    np.testing.assert_array_equal(hdus[1].data["A"][0], cube.T)


@pytest.mark.parametrize("value", [np.nan, "Größe"])
def test_keywords_that_fits_does_not_know_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"not allowed|ASCII"):
        row_table("CUBE", {"A": (AXIS, "")}, {"KEY": value})


@pytest.mark.parametrize("values", [(1, 1.0, True), (True, 1.0, 1)])
def test_equal_values_of_other_types_are_other_cards(values: tuple[object]) -> None:
    found = []
    for value in values:
        table = row_table("CUBE", {"A": (AXIS, "")}, {"KEY": value})
        found.append(fits.HDUList.fromstring(NO_IMAGE + table)[1].header["KEY"])
    assert [type(value) for value in found] == [type(value) for value in values]


def test_equal_hdus_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_hdus(tmp_path / name, [fits.PrimaryHDU(), _by_astropy()], compress=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("n_rows", [0, 1, 700])
def test_a_table_of_columns_is_that_of_astropy(tmp_path: Path, n_rows: int) -> None:
    columns = {
        "ID": (np.arange(n_rows), ""),
        "TIME": (np.linspace(0.0, 1e9, n_rows), "s"),
        "TYPE": (np.arange(n_rows).astype(np.int16), ""),
        "ENERGY": (np.linspace(0.5, 9.0, n_rows, dtype=np.float32), "TeV"),
        "MULTIP": (np.arange(n_rows, dtype=np.int32), ""),
        "BITS": (np.frombuffer(b"\xa0\0\0\1" * n_rows, dtype="V4"), ""),
    }
    content = column_table("EVENTS", columns, {"RA": 1.5, "NOTE": ("a", "comment")})
    write_fits(tmp_path / "a.fits", NO_IMAGE + content)
    bits = np.zeros((n_rows, 32), dtype=bool)
    bits[:, [0, 2, 31]] = True
    expected = fits.BinTableHDU.from_columns(
        [
            fits.Column(name="ID", format="K", array=columns["ID"][0]),
            fits.Column(name="TIME", format="D", unit="s", array=columns["TIME"][0]),
            fits.Column(name="TYPE", format="I", array=columns["TYPE"][0]),
            fits.Column("ENERGY", "E", unit="TeV", array=columns["ENERGY"][0]),
            fits.Column(name="MULTIP", format="J", array=columns["MULTIP"][0]),
            fits.Column(name="BITS", format="32X", array=bits),
        ],
        name="EVENTS",
    )
    expected.header["RA"] = 1.5
    expected.header["NOTE"] = ("a", "comment")
    write_hdus(tmp_path / "b.fits", [fits.PrimaryHDU(), expected])
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
