from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bkgpipe.settings.kinds import Kind
from bkgpipe.simulate.archive.data import Distribution
from bkgpipe.simulate.archive.kinds import FIELDS, RESPONSES, STEPS, distribution

_HERE = Path("/somewhere")
_DEG = distribution("deg")
_PLAIN = distribution("")


@pytest.mark.parametrize(
    ("kind", "text", "law", "values"),
    [
        (_DEG, "5 deg", "constant", (5.0,)),
        (_DEG, "uniform 1, 2 deg", "uniform", (1.0, 2.0)),
        (_DEG, "uniform 60 arcmin, 2 deg", "uniform", (1.0, 2.0)),
        (_DEG, "sky 0, 45 deg", "sky", (0.0, 45.0)),
        (_PLAIN, "0.9", "constant", (0.9,)),
        (_PLAIN, "constant 0.9", "constant", (0.9,)),
        (_PLAIN, "normal 0.9, 0.02", "normal", (0.9, 0.02)),
    ],
)
def test_distributions_are_understood(
    kind: Kind, text: str, law: str, values: tuple[float, ...]
) -> None:
    found = kind.parse(text, _HERE)
    assert found.law == law
    assert found.values == pytest.approx(values)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (_DEG, "uniform 2, 1 deg", "expected one value, or uniform"),
        (_DEG, "uniform 1 deg", "'uniform 1, 2 deg'"),
        (_DEG, "1, 2 deg", "expected one value"),
        (_DEG, "5", "expected a unit"),
        (_DEG, "5 TeV", "unit such as deg"),
        (_DEG, "", "expected one value"),
        (_PLAIN, "poisson 3", "expected numbers"),
        (FIELDS, "Crab 83 22", "name: value"),
        (FIELDS, "Crab: 83", "'name: ra dec' in degrees"),
        (STEPS, "2004-01-01", "dates and factors such as"),
        (STEPS, "soon: 0.9", "dates and factors such as"),
        (RESPONSES, "store/run", "STORE/OBS_ID"),
    ],
)
def test_what_is_not_understood_is_explained(
    kind: Kind, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind.parse(text, _HERE)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (_DEG, "5.5 deg"),
        (_DEG, "sky 5, 50 deg"),
        (_PLAIN, "uniform 0.8, 0.9"),
        (FIELDS, "Crab: 83.63 22.01, PKS 2155-304: 329.7 -30.2"),
        (FIELDS, ""),
        (STEPS, "2004-06-01T20:30:00: 0.9, 2005-01-01: 0.8"),
        (RESPONSES, "built-in"),
        (RESPONSES, "store/23523"),
        (RESPONSES, ""),
    ],
)
def test_what_is_written_reads_back(kind: Kind, text: str) -> None:
    value: Any = kind.parse(text, _HERE)
    again: Any = kind.parse(kind.write(value), Path("/elsewhere"))
    if isinstance(value, Distribution | str):
        assert again == value
    else:
        assert repr(again) == pytest.approx(repr(value)) or again == value


def test_responses_of_a_store_start_at_the_file() -> None:
    assert RESPONSES.parse("../real/7", _HERE) == "/real/7"
