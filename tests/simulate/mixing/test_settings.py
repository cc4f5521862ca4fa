from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.simulate.settings import read_simulate_settings


@pytest.fixture
def read(tmp_path):
    """Read the lines of one component."""

    def make(*lines: str):
        path = tmp_path / "mixing.cfg"
        path.write_text("\n".join(["[component:one]", *lines]), encoding="utf-8")
        return read_simulate_settings(path).components["one"]

    return make


@pytest.mark.parametrize(
    ("kind", "number", "source"),
    [
        ("total", 1, "own"),
        ("hadron", 1, "own"),
        ("electron", 2, "electron"),
        ("muon", 3, None),
        ("diffuse", 4, None),
        ("template", 1, None),
    ],
)
def test_types_have_numbers_and_usual_models(read, kind, number, source):
    component = read(f"type = {kind}")

    assert (component.number, component.source) == (number, source)


def test_templates_have_a_number_of_their_own(read):
    assert read("type = template", "bkg_type = 12").number == 12
    assert read("type = hadron", "bkg_type = 12").number == 1


def test_files_are_relative_to_the_settings(read, tmp_path):
    component = read("model = maps/a.fits")

    assert component.source == (tmp_path / "maps" / "a.fits").resolve()
    assert read("model = own").source == "own"


def test_rate_and_scale_are_known_to_be_given(read):
    assert np.isnan([read().rate, read().scale]).all()
    assert read().factor == 1.0
    assert read("scale = 0.5").factor == 0.5
    assert read("rate = 0").rate == 0.0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("rate = -1", "below the least value"),
        ("rate = fast", "expected a number"),
        ("rate = nan", "is not a number"),
        ("type = proton", "expected one of total, hadron"),
        ("bkg_type = 99", "above the largest value"),
    ],
)
def test_values_that_cannot_be_are_refused(read, line, reason):
    with pytest.raises(SettingsError, match=reason):
        read(line)
