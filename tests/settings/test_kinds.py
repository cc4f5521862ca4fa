from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.settings.kinds import quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("5 min", "s", 300.0),
        ("0.5deg", "deg", 0.5),
        ("-3 deg", "deg", -3.0),
        (".5 deg", "deg", 0.5),
        ("123456.7 s", "s", 123456.7),
        ("1e3 s", "s", 1000.0),
        ("0.3333333333333333 deg", "deg", 0.3333333333333333),
        ("280 s-1 TeV-1 sr-1", "s-1 TeV-1 sr-1", 280.0),
        ("2 1/(s TeV)", "s-1 TeV-1", 2.0),
        ("3 m**2 s**-1", "m2 / s", 3.0),
        ("inf", "deg", float("inf")),
    ],
)
def test_numbers_with_units(text, unit, value):
    assert quantity(unit).parse(text, Path()) == value


@pytest.mark.parametrize(
    "text",
    [
        "10**99999999 deg",
        "1 (10**99999999) deg",
        "1 ((10**99)**99)**99 deg",
        "1 10**9**9**9 deg",
        "1 (10^99)^99 deg",
        "1e99999999 deg",
        "deg",
        "",
    ],
)
def test_what_no_user_means_is_refused_at_once(text):
    with pytest.raises(ValueError, match="expected a number with a unit, as 1 deg"):
        quantity("deg").parse(text, Path())
