from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.core.run import Events
from bkgpipe.core.usable import require_deadc, require_events, require_livetime
from bkgpipe.errors import InputError


def make_events(time: list[float], *, stop: float = 100.0) -> Events:
    ones = np.ones(len(time))
    return Events(
        obs_id=7,
        ra=ones,
        dec=ones,
        energy=ones,
        time=np.array(time) / 86400.0,
        gti=np.array([[0.0, stop]]) / 86400.0,
    )


def test_live_time_is_on_time_less_dead_time(make_run):
    assert require_livetime(make_run(deadc=0.9), make_events([])) == pytest.approx(90.0)


@pytest.mark.parametrize("deadc", [0.0, np.nan])
def test_a_dead_time_fraction_must_be_known(make_run, deadc):
    with pytest.raises(InputError, match=r"run 7: dead-time fraction.*Add DEADC"):
        require_deadc(make_run(7, deadc=deadc))
    with pytest.raises(InputError, match=r"run 7: dead-time fraction.*Add DEADC"):
        require_livetime(make_run(7, deadc=deadc), make_events([]))


def test_there_must_be_on_time(make_run):
    with pytest.raises(InputError, match=r"run 7: on-time is 0.0 s.*Check its GTI"):
        require_livetime(make_run(7), make_events([], stop=0.0))


def test_of_events_one_must_be_in_good_time(make_run):
    require_events(make_run(7), make_events([]))
    require_events(make_run(7), make_events([50.0, 500.0]))
    with pytest.raises(InputError, match=r"run 7: none of 2 events.*Check TIME"):
        require_events(make_run(7), make_events([300.0, 500.0]))
