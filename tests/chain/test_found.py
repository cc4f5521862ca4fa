from __future__ import annotations

import pytest

from bkgpipe.chain.found import (
    exclude_found,
    found_file,
    keep_found,
    known_found,
    read_with_found,
)
from bkgpipe.errors import DamagedFileError
from bkgpipe.settings import read_settings
from bkgpipe.stages.sky.found import FoundRegion

REGION = FoundRegion(
    name="found 1",
    ra=83.6333,
    dec=-22.0184,
    radius=0.4,
    significance=39.0,
    search_radius=0.1,
    counts=415,
    background=25.2,
    false_alarms=1e-9,
    found_in=1,
    source="Crab, the nebula",
    separation=0.01,
)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "luigi.cfg"
    path.write_text(
        "[data]\nstore = store\n[mask]\ncatalogs =\nfind = true\n"
        "circles = mine: 1 2 0.5\n"
    )
    return path


def test_found_regions_are_excluded_like_those_of_the_settings(config):
    settings = read_settings(config)
    keep_found(settings, [REGION], inputs="abc")

    found = read_with_found(config)

    assert [circle.name for circle in found.mask.circles] == ["mine", "found 1"]
    assert not found.mask.find
    by_hand = read_settings(
        config,
        [
            "mask.find=false",
            "mask.circles=mine: 1 2 0.5, found 1: 83.6333 -22.0184 0.4",
        ],
    )
    assert found.fingerprint("sky") == by_hand.fingerprint("sky")
    assert known_found(settings) == ((REGION,), "abc")


def test_nothing_is_known_before_the_first_pass(config):
    settings = read_settings(config)

    assert known_found(settings) == ((), "")
    assert read_with_found(config).mask.circles == settings.mask.circles


def test_settings_that_find_nothing_are_as_they_are(config):
    settings = read_settings(config, ["mask.find=false"])
    keep_found(read_settings(config), [REGION], inputs="abc")

    assert exclude_found(settings, [REGION]) is settings
    assert known_found(settings) == ((), "")


def test_other_settings_have_their_own_regions(config):
    settings = read_settings(config)
    keep_found(settings, [REGION], inputs="abc")

    other = read_settings(config, ["fit.ridge=3"])

    assert found_file(other) != found_file(settings)
    assert known_found(other) == ((), "")


def test_a_damaged_table_is_told(config):
    settings = read_settings(config)
    keep_found(settings, [REGION], inputs="abc")
    path = found_file(settings)
    path.write_text(path.read_text().replace("415", "416"))

    with pytest.raises(DamagedFileError):
        read_with_found(config)
