from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.datamodel import Run
from bkgpipe.io.simulate_keywords import (
    finite_keywords,
    gadf_keywords,
    met_seconds,
    place_keywords,
    plain_word,
    time_keywords,
)


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
