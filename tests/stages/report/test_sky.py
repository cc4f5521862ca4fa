from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.report.sky import figure_sky


def _region(name: str, **changes: float) -> ExclusionRegion:
    values = {"ra": 83.63, "dec": 22.01, "radius": 0.35} | changes
    return ExclusionRegion(name=name, origin="gammacat", **values)


def _words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_pointings_are_where_they_are_in_galactic_coordinates(make_crab):
    figure = figure_sky([make_crab(ra=266.405, dec=-28.936)], [], field_radius=2.5)
    fields, _ = figure.axes[0].collections
    # the Galactic centre
    np.testing.assert_allclose(fields.get_offsets(), [[0.0, 0.0]], atol=2e-5)


def test_longitude_grows_to_the_left(make_crab):
    # Cygnus at l = 80 deg, Vela at 264 deg
    runs = [make_crab(ra=308.1, dec=41.2), make_crab(ra=128.8, dec=-45.2)]
    fields, _ = figure_sky(runs, [], field_radius=2.5).axes[0].collections
    cygnus, vela = fields.get_offsets()
    assert cygnus[0] == pytest.approx(np.radians(-80), abs=0.05)
    assert vela[0] == pytest.approx(np.radians(96), abs=0.05)


def test_marks_are_as_large_as_what_they_stand_for(make_crab):
    regions = [_region("wide", radius=2.5), _region("small", radius=0.01)]
    figure = figure_sky([make_crab()], regions, field_radius=2.5)
    fields, marks = figure.axes[0].collections
    wide, small = marks.get_sizes()
    assert wide == pytest.approx(fields.get_sizes()[0])
    assert 4 < small < wide


def test_deep_fields_are_drawn_once_but_counted(make_crab):
    runs = [make_crab(obs_id=i) for i in range(5)]
    figure = figure_sky(runs, [], field_radius=2.5)
    fields, _ = figure.axes[0].collections
    assert len(fields.get_offsets()) == 1
    assert fields.get_label() == "fields of view of 5 runs"


def test_names_do_not_overlap(make_crab):
    near = [
        make_crab(target=f"T{i}", ra=83.6 + 0.5 * i, dec=22.0, livetime=1000.0 - i)
        for i in range(5)
    ]
    words = _words(figure_sky(near, [], field_radius=2.5))
    # one above, one below, no room for more
    assert [word for word in words if word.startswith("T")] == ["T0", "T1"]


def test_runs_without_place_or_name_do_not_matter(make_crab):
    runs = [make_crab(ra=float("nan")), make_crab(target="")]
    figure = figure_sky(runs, [], field_radius=2.0)
    assert figure.axes[0].collections[0].get_label() == "fields of view of 1 runs"
    figure.draw_without_rendering()
