from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.stages.sky.data import Field, HotSpot
from bkgpipe.stages.sky.images import read_field, write_field
from bkgpipe.stages.sky.maps import make_field_maps
from bkgpipe.stages.sky.summary import summarise
from bkgpipe.stages.sky.view import describe_fields, describe_hot_spots, figure_field


@pytest.fixture
def maps(make_run_sky):
    run = make_run_sky(sources=[(80.6, 20.4, 400)], excluded=[(79.0, 20.0, 0.4)])
    field = Field(number=2, name="F", ra=80.0, dec=20.0, radius=0.1, obs_ids=(1,))
    made = make_field_maps(field, [run], pixel=0.1, offset_max=2.2, radii=(0.1, 0.25))
    return made, summarise(made, [run], offset_max=2.2, file="field_2.fits.gz")


def test_the_most_significant_field_comes_first(maps):
    _, field = maps
    quiet = replace(field, number=1, name="", peak=float("nan"))

    lines = describe_fields([quiet, field]).splitlines()

    assert lines[0].startswith("field  name")
    assert lines[1].split()[:3] == ["2", "F", "1"]
    assert lines[2].split()[:2] == ["1", "-"]


def test_long_tables_say_what_is_left(maps):
    _, field = maps
    assert describe_fields([field] * 45).endswith("… and 5 more, in the tables")


def test_hot_spots_in_words():
    spot = HotSpot(
        field=1,
        ra=83.6,
        dec=-2.0,
        radius=0.4,
        search_radius=0.1,
        significance=39.04,
        counts=415,
        background=25.2,
        source="Crab nebula",
        separation=0.013,
    )

    found = describe_hot_spots([spot, replace(spot, source="")])

    assert "83.600 -2.000" in found
    assert "39.0   415" in found
    assert "Crab nebula (0.01 deg)" in found
    assert found.splitlines()[2].endswith(" -")
    assert "outside  Crab nebula" in found
    assert "No hot spots" in describe_hot_spots([])


def test_a_field_is_drawn(maps, tmp_path):
    made, field = maps
    write_field(tmp_path / "field.fits.gz", made)

    figure = figure_field(read_field(tmp_path / "field.fits.gz"), field)

    titles = [ax.get_title() for ax in figure.axes]
    assert "significance within 0.10 deg" in titles
    assert any(title.startswith("outside the mask: mean") for title in titles)
    assert figure.get_suptitle() == "F: 1 runs, 0.5 h"
