from __future__ import annotations

from collections.abc import Callable

import astropy.units as u
import numpy as np
import pytest
from gammapy.utils.time import time_ref_from_dict

from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.keywords import (
    finite_keywords,
    gadf_keywords,
    met_seconds,
    place_keywords,
    plain_word,
    time_keywords,
)
from bkgpipe.simulate.archive.layout import Clock
from bkgpipe.store.units import mjd_reference


def test_seconds_start_at_the_reference() -> None:
    keywords = time_keywords()
    zero = float(keywords["MJDREFI"]) + float(keywords["MJDREFF"])  # type: ignore[arg-type]
    np.testing.assert_allclose(
        met_seconds(zero + np.array([0.0, 1.0])), [0.0, 86400.0], atol=1e-5
    )


def test_classes_are_numbered() -> None:
    keywords = gadf_keywords("INDEX", "HDU")
    assert (keywords["HDUCLAS1"], keywords["HDUCLAS2"]) == ("INDEX", "HDU")


def test_an_unknown_place_is_left_out(make_run: Callable[..., Run]) -> None:
    assert place_keywords(make_run(longitude=float("nan"))).keys() == {
        "GEOLAT",
        "ALTITUDE",
    }


def test_only_numbers_can_be_unknown() -> None:
    keywords = {"A": float("nan"), "B": 1.5, "C": "word", "D": float("inf"), "E": 3}
    assert finite_keywords(keywords) == {"B": 1.5, "C": "word", "E": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("MSH 15-52", "MSH 15-52"), ("Källe", "K?lle"), ("a\nb", "a?b"), ("", "")],
)
def test_words_are_what_fits_can_write(text: str, expected: str) -> None:
    assert plain_word(text) == expected


@pytest.mark.parametrize(
    "clock",
    [
        Clock(mjdrefi=53402.0, mjdreff=0.0, timesys="utc"),
        Clock(mjdrefi=40587, mjdreff=0.0, timesys="UTC"),
        Clock(mjdrefi=54000, mjdreff=0.25, timesys="TDB"),
        Clock(mjdrefi=51544, mjdreff=0.5, timesys="TAI"),
        Clock(),
    ],
    ids=lambda clock: clock.timesys,
)
def test_gammapy_finds_the_time_on_any_clock(clock: Clock) -> None:
    mjd = 55000.8

    time = time_ref_from_dict(time_keywords(clock)) + met_seconds(mjd, clock) * u.s

    # TDB runs ahead of TT and behind it, by up to 1.7 ms
    assert abs(time.tt.mjd - mjd) * 86400.0 < (4e-3 if clock.timesys == "TDB" else 1e-5)
    zero = mjd_reference(time_keywords(clock), where="header")
    assert abs(zero + met_seconds(mjd, clock) / 86400.0 - mjd) * 86400.0 < 1e-5


def test_a_clock_can_hide_the_date() -> None:
    clock = Clock(mjdrefi=0, mjdreff=0.0, false_days=55000.0)

    assert met_seconds(55000.5, clock) == 43200.0
    assert time_keywords(clock)["MJDREFI"] == 0


def test_the_version_is_as_asked() -> None:
    assert gadf_keywords("GTI", version="0.2")["HDUVERS"] == "0.2"
    assert gadf_keywords("GTI")["HDUVERS"] == "0.3"
