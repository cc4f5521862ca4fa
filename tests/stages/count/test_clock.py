from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.core.run import Events, Run
from bkgpipe.stages.count.clock import make_clock


def _events(run: Run, *seconds: tuple[float, float]) -> Events:
    nothing = np.empty(0)
    gti = run.time_start + np.array(seconds) / 86400.0
    return Events(
        obs_id=1, ra=nothing, dec=nothing, energy=nothing, time=nothing, gti=gti
    )


def test_statements_of_a_run_with_a_gap(make_run):
    run = make_run(ontime=1500.0, livetime=1350.0)
    clock = make_clock(run, _events(run, (900, 1680), (0, 720)))
    assert clock.ontime == clock.livetime_over_deadc == 1500.0
    assert clock.good_time == pytest.approx(1500.0, abs=1e-3)
    assert clock.start_to_stop == pytest.approx(1680.0, abs=1e-3)
    assert clock.first_to_last == pytest.approx(1680.0, abs=1e-3)
    assert not clock.is_doubtful


def test_intervals_that_are_half_of_the_run(make_run):
    run = make_run()
    clock = make_clock(run, _events(run, (0, 840)))
    assert clock.difference == pytest.approx(1.0, abs=1e-6)
    assert clock.is_doubtful


@pytest.mark.parametrize("deadc", [0.0, np.nan])
def test_unknown_dead_time_says_nothing(deadc, make_run):
    run = make_run(deadc=deadc)
    assert np.isnan(make_clock(run, _events(run, (0, 1680))).livetime_over_deadc)


def test_a_dead_time_that_does_not_fit_the_live_time(make_run):
    run = make_run(deadc=0.8)
    clock = make_clock(run, _events(run, (0, 1680)))
    assert clock.livetime_over_deadc == pytest.approx(1890.0)
    assert clock.difference == pytest.approx(0.125)
