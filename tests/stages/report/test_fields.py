from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.stages.report.fields import (
    field_picture,
    fields_table,
    hot_spots_table,
    most_significant,
)
from bkgpipe.stages.sky.data import HotSpot
from bkgpipe.stages.sky.summary import FieldSummary


@pytest.fixture
def fields():
    quiet = FieldSummary(
        number=1,
        name="OFF",
        ra=10.0,
        dec=-5.0,
        n_runs=2,
        hours=0.9,
        counts=4000,
        background=3990.5,
        peak=3.9,
        peak_ra=10.5,
        peak_dec=-5.5,
        mean=-0.05,
        width=1.02,
        poisson_mean=-0.04,
        poisson_width=1.01,
        trials=9e3,
        file="field_1.fits.gz",
    )
    crab = replace(quiet, number=2, name="Crab", peak=39.0)
    return quiet, crab, replace(quiet, number=3, name="", peak=float("nan"))


def test_the_most_significant_come_first(fields):
    assert [field.number for field in most_significant(fields, 2)] == [2, 1]
    assert [field.number for field in most_significant(fields, 9)] == [2, 1, 3]


def test_fields_with_a_picture_lead_to_it(fields):
    table = fields_table(fields, {2})

    assert [row[0].href for row in table.rows] == ["", "field-2.png", ""]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert [cell.text for cell in table.rows[0][1:9]] == [
        *("OFF", "10.000", "-5.000", "2", "0.90", "4,000", "3,990", "3.9")
    ]
    assert table.rows[2][8].text == "-"  # no significance


def test_a_picture_says_what_it_shows(fields):
    picture = field_picture(fields[1])

    assert picture.file == "field-2.png"
    assert "Crab: 2 runs, 0.90 h" in picture.caption
    assert "significance" in picture.alt


def test_hot_spots_say_whether_the_mask_covers_them():
    spot = HotSpot(
        field=2,
        ra=83.6,
        dec=22.0,
        radius=0.4,
        search_radius=0.1,
        significance=39.0,
        counts=415,
        background=25.2,
        false_alarms=1e-9,
        source="Crab nebula",
        separation=0.01,
    )

    table = hot_spots_table([spot, replace(spot, is_masked=True, source="")])

    texts = [[cell.text for cell in row] for row in table.rows]
    assert texts[0][7:] == ["1.0e-09", "outside", "Crab nebula", "0.01"]
    assert texts[1][8:10] == ["under", "-"]
    assert len(texts[0]) == len(table.columns)
