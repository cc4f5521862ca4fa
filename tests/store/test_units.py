from __future__ import annotations

import numpy as np
import pytest
from astropy.time import Time

from bkgpipe.errors import InputError
from bkgpipe.store.units import mjd_reference, to_unit


@pytest.mark.parametrize(
    ("unit", "target", "factor"),
    [
        ("", "deg", 1.0),
        ("deg", "deg", 1.0),
        ("Degrees", "deg", 1.0),
        (" DEG ", "deg", 1.0),
        ("rad", "deg", 180.0 / np.pi),
        ("h", "s", 3600.0),
        ("H", "s", 3600.0),
        ("hr", "s", 3600.0),
        ("Hours", "s", 3600.0),
        ("d", "s", 86400.0),
        ("days", "s", 86400.0),
        ("sec", "s", 1.0),
        ("min", "s", 60.0),
        ("GeV", "TeV", 1e-3),
        ("GEV", "TeV", 1e-3),
        ("mev", "TeV", 1e-6),
        ("whatever", "", 1.0),
    ],
)
def test_odd_spellings(unit: str, target: str, factor: float) -> None:
    found = to_unit([1.0, 2.0, np.nan], unit, target, where="column")
    np.testing.assert_allclose(found, [factor, 2.0 * factor, np.nan], rtol=1e-14)


def test_numbers_become_native_floats() -> None:
    values = np.array([[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]], dtype=">f4")
    found = to_unit(values, "s", "s", where="column")
    assert found.dtype == np.float64
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, values)


def test_words_masked_and_empty() -> None:
    masked = np.ma.MaskedArray([1, 2, 3], mask=[False, True, False])
    np.testing.assert_array_equal(
        to_unit(masked, "", "deg", where="column"), [1.0, np.nan, 3.0]
    )
    assert to_unit("16.5002", "", "deg", where="header").item() == 16.5002
    assert to_unit(np.array([]), "deg", "deg", where="column").size == 0


@pytest.mark.parametrize("unit", ["m", "parsnip"])
def test_wrong_unit(unit: str) -> None:
    with pytest.raises(
        InputError, match=rf"index, ZEN_PNT: has unit '{unit}'.*Correct"
    ):
        to_unit([1.0], unit, "deg", where="index, ZEN_PNT")


def test_no_numbers() -> None:
    with pytest.raises(InputError, match=r"ONTIME: is 'long' in row 1.*Correct the"):
        to_unit(np.array(["long"]), "s", "s", where="index, ONTIME")


def test_clock_in_tt() -> None:
    header = {"MJDREFI": 51910, "MJDREFF": 0.25, "TIMESYS": "TT "}
    assert mjd_reference(header, where="file") == 51910.25
    assert mjd_reference({"MJDREFI": "51910"}, where="file") == 51910.0


def test_clock_in_utc_runs_with_leap_seconds() -> None:
    header = {"MJDREFI": 51910, "MJDREFF": 0.0, "TIMESYS": "utc"}
    found = mjd_reference(header, where="file")
    assert (found - 51910.0) * 86400.0 == pytest.approx(64.184, abs=1e-5)
    assert found == Time(51910.0, format="mjd", scale="utc").tt.mjd


def test_no_clock() -> None:
    assert np.isnan(mjd_reference({}, where="file"))


@pytest.mark.parametrize("scale", ["local", "moon"])
def test_unknown_clock(scale: str) -> None:
    header = {"MJDREFI": 51910, "TIMESYS": scale}
    with pytest.raises(InputError, match=rf"run 7: has TIMESYS '{scale}'.*Correct the"):
        mjd_reference(header, where="run 7")
