from __future__ import annotations

import pytest

from bkgpipe.stages.sky.fields import make_fields, runs_near


@pytest.fixture
def runs(make_run):
    places = ((359.7, 10.0), (0.3, 10.0), (40.0, 10.0), (0.0, 10.5), (3.5, 10.0))
    targets = ("A", "B", "C", "B", "D")
    return [
        make_run(obs_id=i, ra=ra, dec=dec, target=target)
        for i, ((ra, dec), target) in enumerate(zip(places, targets, strict=True))
    ]


def test_near_pointings_are_a_field(runs):
    fields = make_fields(runs, offset_max=2.0)

    assert [field.obs_ids for field in fields] == [(0, 1, 3), (2,), (4,)]
    assert [field.number for field in fields] == [1, 2, 3]
    assert fields[0].name == "B"
    assert min(fields[0].ra, 360 - fields[0].ra) < 0.01  # across zero
    assert 0.3 < fields[0].radius < 0.5
    assert fields[1].radius == pytest.approx(0.0, abs=1e-9)


def test_runs_of_other_fields_see_a_part_of_it(runs):
    field = make_fields(runs, offset_max=2.0)[0]

    assert runs_near(field, runs, offset_max=2.0) == [0, 1, 3, 4]


def test_no_runs_have_no_fields():
    assert make_fields([], offset_max=2.0) == ()
