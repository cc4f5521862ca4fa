from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.errors import OutputError
from bkgpipe.io.fits_file import row_table, write_content, write_hdus


def test_content_is_written_as_it_is(tmp_path: Path) -> None:
    write_content(tmp_path / "file-luigi-tmp-1.gz", b"content")
    assert (tmp_path / "file-luigi-tmp-1.gz").read_bytes() == b"content"


def test_compressed_content_can_be_inflated_by_others(tmp_path: Path) -> None:
    write_content(tmp_path / "a", b"content" * 100, compress=True)
    assert gzip.decompress((tmp_path / "a").read_bytes()) == b"content" * 100


def test_gzip_header_has_no_time(tmp_path: Path) -> None:
    write_content(tmp_path / "a.gz", b"content", compress=True)
    assert (tmp_path / "a.gz").read_bytes()[4:8] == b"\0\0\0\0"


@pytest.mark.parametrize("compress", [False, True])
def test_writing_to_a_missing_folder_is_named(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "absent" / "file.fits"
    with pytest.raises(OutputError, match=r"absent/file\.fits: .*existing folder"):
        write_content(path, b"content", compress=compress)


def test_row_table_keeps_shapes_units_and_values(tmp_path: Path) -> None:
    cube, axis = np.arange(24.0).reshape(2, 3, 4), np.array([1.5, 2.5])
    table = row_table(
        "CUBE", {"A": (cube, "s sr"), "B": (axis, "TeV"), "C": (axis, "")}
    )
    write_hdus(tmp_path / "a.fits", [fits.PrimaryHDU(), table])
    with fits.open(tmp_path / "a.fits") as hdus:
        assert hdus[1].name == "CUBE"
        assert [column.unit for column in hdus[1].columns] == ["s sr", "TeV", None]
        np.testing.assert_array_equal(hdus[1].data["A"][0], cube)
        np.testing.assert_array_equal(hdus[1].data["B"][0], axis)
        assert hdus[1].header["TDIM1"].replace(" ", "") == "(4,3,2)"
        assert hdus[1].header["TFORM1"] == "24D"


def test_row_table_takes_any_layout_in_memory() -> None:
    cube = np.asfortranarray(np.arange(12.0, dtype="<f4").reshape(3, 4))
    table = row_table("CUBE", {"A": (cube.T, "")})
    np.testing.assert_array_equal(table.data["A"][0], cube.T)


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table = row_table("CUBE", {"A": (np.arange(6.0), "s")})
        write_hdus(tmp_path / name, [fits.PrimaryHDU(), table], compress=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
