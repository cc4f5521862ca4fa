"""How long a worker in a batch job may stay."""

from __future__ import annotations

import math

import pytest

from bkgpipe.batch.pilot import find_limits, time_left
from bkgpipe.errors import SettingsError

_NOW = 1_790_000_000


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bkgpipe.batch.pilot.time.time", lambda: _NOW + 0.25)


def _find(time_limit: str = "", margin: str = "5 min", **environment: str):
    return find_limits(
        time_limit, margin=margin, idle="10 min", environment=environment
    )


def test_time_limit_is_given():
    limits = _find("2 h", SLURM_JOB_END_TIME=str(_NOW + 600))

    assert limits.no_new == 7200 - 300
    assert limits.stop == 7200 - 30
    assert limits.idle == 600


def test_short_margin_leaves_half_of_it_to_stop():
    limits = _find("60 s", margin="8 s")

    assert limits.no_new == 52
    assert limits.stop == 56


def test_slurm_says_when_the_job_ends():
    limits = _find(SLURM_JOB_END_TIME=str(_NOW + 1000))

    assert limits.no_new == pytest.approx(999.75 - 300)
    assert limits.stop == pytest.approx(999.75 - 30)


def test_nothing_limits_the_time():
    limits = _find()

    assert limits.no_new == limits.stop == math.inf
    assert time_left({}) == math.inf


def test_margin_leaves_no_time():
    with pytest.raises(SettingsError, match="200 s are left and 300 s") as caught:
        _find("200 s")

    assert caught.value.where == "--margin"
    assert "longer job" in caught.value.fix


@pytest.mark.parametrize("text", ["5", "3 TeV", "soon", "-5 s", "nan s"])
def test_no_time(text):
    with pytest.raises(SettingsError) as caught:
        _find(text)

    assert caught.value.where == "--time-limit"
    assert "'2 h'" in caught.value.fix


def test_slurm_says_something_else():
    with pytest.raises(SettingsError, match="expected seconds since 1970") as caught:
        time_left({"SLURM_JOB_END_TIME": "tomorrow"})

    assert caught.value.where == "SLURM_JOB_END_TIME"
    assert "--time-limit" in caught.value.fix
