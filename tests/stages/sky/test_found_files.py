from __future__ import annotations

from dataclasses import replace

import numpy as np

from bkgpipe.core.product import ProductHeader
from bkgpipe.stages.sky.found import FoundRegion
from bkgpipe.stages.sky.found_files import read_found, write_found

HEADER = ProductHeader(
    stage="sky", fingerprint="abc123", inputs="x", seconds=0.0, version="1"
)


def test_regions_are_read_as_they_were_written(tmp_path):
    named = FoundRegion(
        name="found 1",
        ra=83.6333,
        dec=-22.0184,
        radius=0.4,
        significance=39.0,
        search_radius=0.1,
        counts=415,
        background=25.2,
        false_alarms=1e-9,
        found_in=2,
        source="Crab, the nebula",
        separation=0.01,
    )
    unnamed = replace(named, name="found 2", source="", separation=float("nan"))

    write_found(tmp_path / "found.ecsv", HEADER, [named, unnamed])
    first, second = read_found(tmp_path / "found.ecsv")

    assert first == named
    assert np.isnan(second.separation)
    assert (second.name, second.source) == ("found 2", "")


def test_nothing_found_is_an_empty_table(tmp_path):
    write_found(tmp_path / "found.ecsv", HEADER, [])

    assert read_found(tmp_path / "found.ecsv") == ()
