from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.errors import InputError
from bkgpipe.store.values import (
    column_numbers,
    is_known,
    read_number,
    read_value,
    read_whole_number,
    read_word,
    require_number,
)

_WHERE = "run 7 (data/run_7.fits)"


def _header(card: str) -> fits.Header:
    return fits.Header.fromstring(card.ljust(80))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1680, 1680.0),
        ("1680.0", 1680.0),
        (" 1.68D3 ", 1680.0),
        ("1.68e3", 1680.0),
        (np.float32(0.5), 0.5),
        (0, 0.0),
    ],
)
def test_numbers_also_as_text(value: Any, number: float) -> None:
    assert read_number({"ONTIME": value}, "ONTIME", where=_WHERE) == number


@pytest.mark.parametrize(
    "value",
    [None, "", "   ", fits.card.Undefined(), float("nan"), float("inf"), "nan", "-inf"],
)
def test_what_says_nothing_is_unknown(value: Any) -> None:
    header = {"GEOLON": value, "OBSGEO-L": 16.5}
    assert np.isnan(read_number(header, "GEOLON", where=_WHERE))
    assert read_number(header, "GEOLON", "OBSGEO-L", where=_WHERE) == 16.5
    assert read_whole_number(header, "GEOLON", where=_WHERE) is None


def test_what_is_absent_is_unknown() -> None:
    assert np.isnan(read_number({}, "ONTIME", where=_WHERE))
    assert read_whole_number({}, "OBS_ID", where=_WHERE) is None
    assert read_word({}, "ORIGIN") == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("long", "'long'"),
        ("12:30", "'12:30'"),
        ("1_000", "'1_000'"),
        (True, "T, a truth value"),
        (np.bool_(False), "F, a truth value"),
        (1 + 2j, "(1+2j)"),
        ("\x1b[31mred", "'\ufffd[31mred'"),
        ("x" * 90, f"'{'x' * 40}...'"),
    ],
)
def test_what_is_no_number_is_named(value: Any, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        read_number({"ONTIME": value}, "ONTIME", where=_WHERE)

    assert caught.value.what == f"ONTIME is {shown}, expected a number"
    assert caught.value.where == _WHERE
    assert "Correct the keyword" in caught.value.fix


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), ("7.0", 7), (7.0, 7), (2**62 + 1, 2**62 + 1)],
)
def test_whole_numbers(value: Any, number: int) -> None:
    assert read_whole_number({"OBS_ID": value}, "OBS_ID", where=_WHERE) == number


@pytest.mark.parametrize("value", ["LST-01001", 7.5, True, "7 8"])
def test_what_is_no_whole_number_is_named(value: Any) -> None:
    with pytest.raises(InputError, match=r"OBS_ID is .*, expected a whole number"):
        read_whole_number({"OBS_ID": value}, "OBS_ID", where=_WHERE)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ({}, "has no TSTART"),
        ({"TSTART": ""}, "TSTART is blank"),
        ({"TSTART": None}, "TSTART is undefined"),
        ({"TSTART": float("inf")}, "TSTART is inf"),
        ({"TSTART": "now"}, "TSTART is 'now'"),
    ],
)
def test_what_must_be_known(header: dict[str, Any], found: str) -> None:
    with pytest.raises(InputError) as caught:
        require_number(header, "TSTART", where=_WHERE, expected="seconds", fix="Mend")

    assert caught.value.what == f"{found}, expected seconds"
    assert caught.value.fix == "Mend"


def test_words() -> None:
    header = {"TELESCOP": " ", "ORIGIN": "H.E.S.S.\tCollaboration ", "OBS_ID": 7}
    assert read_word(header, "ORIGIN") == "H.E.S.S. Collaboration"
    assert read_word(header, "TELESCOP", "OBS_ID") == "7"


@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("RA_PNT  =              05:34:31", "05:34:31"),
        ("RA_PNT  =                  NaN / unknown", "NaN"),
        ("RA_PNT  =               1.5abc", "1.5abc"),
        ("RA_PNT  = 'no quote at the end", "'no quote at the end"),
        ("RA_PNT  =                1.5D3", 1500.0),
        ("RA_PNT  =", None),
    ],
)
def test_values_that_the_standard_does_not_know(card: str, value: Any) -> None:
    found = read_value(_header(card), "RA_PNT")
    assert (found if is_known(found) else None) == value


def test_columns_of_words() -> None:
    values = np.array([b"1680.0", b"", b" 7 ", b"NaN"])
    np.testing.assert_array_equal(
        column_numbers(values, where="index"), [1680.0, np.nan, 7.0, np.nan]
    )
    masked = np.ma.MaskedArray(["1", "none"], mask=[False, True])
    np.testing.assert_array_equal(column_numbers(masked, where="index"), [1.0, np.nan])
    objects = np.array([None, 1.5, "2"], dtype=object)
    np.testing.assert_array_equal(
        column_numbers(objects, where="index"), [np.nan, 1.5, 2.0]
    )


@pytest.mark.parametrize(
    ("values", "obs_ids", "message"),
    [
        (["1", "long"], [7, 9], "index: is 'long' for run 9, expected a number"),
        (["1", "long"], [b"7", b"9"], "index: is 'long' for run 9, expected a number"),
        (["1", "long"], None, "index: is 'long' in row 2, expected a number"),
        ([True, False], [7, 9], "index: holds truth values, expected numbers"),
        ([1j, 2j], None, "index: holds complex numbers, expected numbers"),
    ],
)
def test_wrong_values_of_columns(values: Any, obs_ids: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}.*Correct the column"):
        column_numbers(np.array(values), where="index", obs_ids=obs_ids)
