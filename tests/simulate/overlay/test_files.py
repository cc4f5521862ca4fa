from __future__ import annotations

import json

import pytest

from bkgpipe.errors import InputError
from bkgpipe.simulate.mixing.data import MixRecord
from bkgpipe.simulate.overlay.data import OverlayPool, PoolUse
from bkgpipe.simulate.overlay.files import (
    read_pool,
    read_run_records,
    write_matches,
    write_pool,
    write_run_records,
)

_USE = PoolUse(
    output="abc",
    obs_id=7,
    livetime=1500.25,
    off_ids=(3, 1),
    factors=(1.0, 0.75),
    spans=((3, 0.0, 100.5, 0.25), (1, 2.0, 3.0, 1.0)),
)
_RECORD = MixRecord(
    obs_id=7,
    component="overlay",
    bkg_type=99,
    file="data/run_3.fits.gz",
    rate=1.5,
    scale=1.0,
    expected=10.5,
    drawn=11,
    rejected=2,
    reused=1,
)


@pytest.mark.parametrize("uses", [(), (_USE,), (_USE, _USE, _USE)])
def test_a_pool_is_read_as_it_was_written(tmp_path, uses):
    path = tmp_path / "pool.json"
    write_pool(path, OverlayPool(output="abc", frame="def", uses=uses))

    found = read_pool(path)

    assert (found.output, found.frame, found.uses) == ("abc", "def", uses)
    assert json.loads(path.read_text())["program"].startswith("bkgpipe ")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"output": "a", "frame": "b", "uses": [{"x": 1}]}']
)
def test_another_file_is_no_pool(tmp_path, text):
    path = tmp_path / "pool.json"
    path.write_text(text)

    with pytest.raises(InputError, match=r"pool.json: .*Give the overlay_pool.json"):
        read_pool(path)


def test_a_missing_pool_is_told(tmp_path):
    with pytest.raises(InputError, match="no record of used OFF runs"):
        read_pool(tmp_path / "none.json")


def test_records_of_a_run_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "run.json"
    write_run_records(path, [_RECORD, _RECORD], {"data/run_3.fits.gz": "12"})

    assert read_run_records(path) == (
        (_RECORD, _RECORD),
        {"data/run_3.fits.gz": "12"},
    )


@pytest.mark.parametrize("text", ["", "{}", '{"records": [1], "inputs": {}}'])
def test_damaged_records_are_told(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)

    with pytest.raises(InputError, match="Remove it and the events file of the run"):
        read_run_records(path)


def test_matches_are_plain_json(tmp_path):
    path = tmp_path / "matches.json"
    matches = {7: {"matching": [3], "too different": {"zenith": [1]}}, 8: {}}

    write_matches(path, matches)

    assert json.loads(path.read_text()) == {"7": matches[7], "8": {}}
