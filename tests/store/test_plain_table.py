from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.store.plain_table import keep_rows, read_plain_columns

COLUMNS = {
    "EVENT_ID": ("K", np.array([5, 6, 7])),
    "NAME": ("4A", np.array(["a", "bc", "d"])),
    "Energy": ("E", np.array([0.5, 1.5, 2.5])),
    "PAIR": ("2D", np.arange(6.0).reshape(3, 2)),
    "TIME": ("D", np.array([1.0, np.nan, 3.0])),
    "COUNT": ("J", np.array([1, -2, 3])),
}


def _open(columns: dict[str, tuple], **keywords: object) -> tuple[fits.HDUList, bytes]:
    made = [
        fits.Column(name=name, format=form, array=values, unit="s")
        for name, (form, values) in columns.items()
    ]
    table = fits.BinTableHDU.from_columns(made)
    table.header.update(keywords)
    buffer = BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(buffer)
    content = buffer.getvalue()
    return fits.open(BytesIO(content)), content


def test_columns_are_those_of_astropy() -> None:
    hdus, content = _open(COLUMNS)
    found = read_plain_columns(hdus[1], content, ["ENERGY", "TIME", "COUNT"])
    for name, (values, unit) in found.items():
        np.testing.assert_array_equal(values, hdus[1].data[name])
        assert unit == "s"
    assert list(found) == ["ENERGY", "TIME", "COUNT"]


def test_a_table_without_rows_has_empty_columns() -> None:
    empty = {name: (form, values[:0]) for name, (form, values) in COLUMNS.items()}
    hdus, content = _open(empty)
    assert read_plain_columns(hdus[1], content, ["TIME"])["TIME"][0].shape == (0,)


@pytest.mark.parametrize("name", ["NAME", "PAIR", "ABSENT"])
def test_other_columns_are_left_to_astropy(name: str) -> None:
    hdus, content = _open(COLUMNS)
    assert read_plain_columns(hdus[1], content, ["TIME", name]) == {}


@pytest.mark.parametrize("keyword", ["TSCAL5", "TZERO5"])
def test_scaled_columns_are_left_to_astropy(keyword: str) -> None:
    hdus, content = _open(COLUMNS, **{keyword: 2.0})
    assert read_plain_columns(hdus[1], content, ["TIME"]) == {}
    assert read_plain_columns(hdus[1], content, ["ENERGY"])


def test_marked_numbers_are_left_to_astropy() -> None:
    hdus, content = _open(COLUMNS, TNULL6=-2)
    assert read_plain_columns(hdus[1], content, ["COUNT"]) == {}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("NAXIS1", 47), ("NAXIS2", -1), ("TFORM1", "PD(3)"), ("TTYPE1", "TIME")],
)
def test_doubtful_tables_are_left_to_astropy(keyword: str, value: object) -> None:
    hdus, content = _open(COLUMNS)
    hdus[1].header[keyword] = value
    assert read_plain_columns(hdus[1], content, ["TIME"]) == {}


def test_lost_rows_are_no_rows() -> None:
    hdus, content = _open(COLUMNS)
    hdus[1].header["NAXIS2"] = 1_000_000
    with pytest.raises(ValueError, match="buffer is smaller"):
        read_plain_columns(hdus[1], content, ["TIME"])


@pytest.mark.parametrize("is_kept", [[1, 0, 1], [0, 0, 0], [1, 1, 1]])
@pytest.mark.parametrize("gap", [0, 64])
def test_rows_that_stay_are_those_of_astropy(is_kept: list[int], gap: int) -> None:
    lists = np.array([np.arange(2), np.arange(5), np.arange(1)], dtype=object)
    hdus, content = _open(COLUMNS | {"LIST": ("PJ()", lists)}, CHECKSUM="old")
    place, header = hdus[1].fileinfo(), hdus[1].header.copy()
    data = content[place["datLoc"] : place["datLoc"] + place["datSpan"]]
    if gap:
        end = header["NAXIS1"] * header["NAXIS2"]
        data = data[:end] + bytes(gap) + data[end:]
        header["THEAP"], header["PCOUNT"] = end + gap, header["PCOUNT"] + gap

    made, kept = keep_rows(header, data, np.array(is_kept, dtype=bool))

    assert len(kept) % 2880 == 0
    assert "CHECKSUM" not in made
    assert header["NAXIS2"] == 3
    found = fits.BinTableHDU.fromstring(made.tostring().encode() + kept).data
    assert len(found) == sum(is_kept)
    for name in (*COLUMNS, "LIST"):
        expected = [hdus[1].data[name][i] for i in np.flatnonzero(is_kept)]
        for one, other in zip(found[name], expected, strict=True):
            np.testing.assert_array_equal(one, other)
