from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.core.run import Events, Run
from bkgpipe.errors import NoEventsError
from bkgpipe.geometry.frames import from_fov
from bkgpipe.stages.validate.plan import (
    choose_energies,
    count_in_range,
    glance_at_run,
    share_nights,
)
from bkgpipe.stages.validate.plan_data import RunGlance

MakeRun = Callable[..., Run]


def _glance(run: Run, energy: np.ndarray, *, safe: float = 0.0) -> RunGlance:
    lon = np.zeros(energy.size)
    ra, dec = from_fov(lon, lon, pointing=(run.ra, run.dec))
    gti = np.array([[run.time_start, run.time_stop]])
    time = np.full(energy.size, run.time_start)
    events = Events(
        obs_id=run.obs_id, ra=ra, dec=dec, energy=energy, time=time, gti=gti
    )
    return glance_at_run(run, events, offset_max=2.0, safe_energy_min=safe)


def _falling(low: float, n_events: int = 20000) -> np.ndarray:
    """Energies of a spectrum of E**-3 from the lowest on, without any randomness."""
    share = (np.arange(n_events) + 0.5) / n_events
    return low / np.sqrt(share)


def test_events_outside_good_time_are_not_looked_at(make_run: MakeRun) -> None:
    run = make_run()
    seconds = np.array([-3.0, -1.0, 10.0, np.nan])
    events = Events(
        obs_id=run.obs_id,
        ra=np.full(4, run.ra),
        dec=np.full(4, run.dec),
        energy=np.ones(4),
        time=run.time_start + seconds / 86400.0,
        gti=np.array([[run.time_start, run.time_stop]]),
    )
    found = glance_at_run(run, events, offset_max=2.0, safe_energy_min=0.0)
    assert found.counts.sum() == 2


def test_energies_begin_where_most_runs_are_safe(make_run: MakeRun) -> None:
    safe = (0.2, 0.3, 0.4, 1.3)
    glances = [_glance(make_run(), _falling(0.1), safe=value) for value in safe]
    found = choose_energies(glances, energy_min=0.1, energy_max=100.0)
    # 0.4 rounded up, and 20 of the 3200 events above that
    assert (found.low, found.high) == (0.5, 7.0)
    assert found.n_bins == 5
    assert "three quarters of the runs are safe" in found.reason
    np.testing.assert_allclose(found.edges[[0, -1]], [0.5, 7.0])


def test_energies_begin_at_the_peak_without_safe_energies(make_run: MakeRun) -> None:
    glances = [_glance(make_run(), _falling(0.056))]
    found = choose_energies(glances, energy_min=0.02, energy_max=100.0)
    assert found.low == 0.07
    assert "events peak" in found.reason


def test_energies_stay_within_those_of_the_models(make_run: MakeRun) -> None:
    glances = [_glance(make_run(), _falling(0.056), safe=0.05)]
    found = choose_energies(glances, energy_min=0.3, energy_max=0.7)
    assert (found.low, found.high, found.n_bins) == (0.3, 0.7, 1)


def test_few_events_leave_one_bin(make_run: MakeRun) -> None:
    glances = [_glance(make_run(), np.full(30, 1.1), safe=1.0)]
    found = choose_energies(glances, energy_min=0.1, energy_max=100.0)
    assert found.n_bins == 1
    assert found.low <= 1.1 < found.high


def test_no_events_are_told_before_the_first_fold(make_run: MakeRun) -> None:
    glances = [_glance(make_run(), np.array([300.0, np.nan]))]
    with pytest.raises(NoEventsError, match=r"0\.1 to 100 TeV.*\[binning\]"):
        choose_energies(glances, energy_min=0.1, energy_max=100.0)


def test_events_are_counted_above_the_safe_energy(make_run: MakeRun) -> None:
    energy = np.array([0.3, 0.9, 1.5, 5.0, 40.0])
    first = _glance(make_run(obs_id=3), energy, safe=0.5)
    second = _glance(make_run(obs_id=4), energy, safe=1.2)
    assert count_in_range([first, second], 0.2, 30.0) == {3: 3, 4: 2}


def test_poor_runs_are_joined_by_night(make_run: MakeRun) -> None:
    nights = {1: 0.0, 2: 0.1, 3: 0.2, 4: 1.0, 5: 1.1, 6: 2.0}
    runs = [make_run(obs_id=i, time_start=53000.9 + t) for i, t in nights.items()]
    n_events = {1: 200, 2: 500, 3: 150, 4: 80, 5: 90, 6: 20}
    found = share_nights(runs, n_events, min_events=300)
    assert found.alone == (2,)
    assert found.joined == ((1, 3),)
    assert found.left_out == {
        4: "80 events to score, 170 with 1 more of its night, fewer than 300",
        5: "90 events to score, 170 with 1 more of its night, fewer than 300",
        6: "20 events to score, fewer than 300",
    }


def test_runs_without_a_time_are_not_joined(make_run: MakeRun) -> None:
    runs = [make_run(obs_id=i, time_start=np.nan) for i in (1, 2)]
    found = share_nights(runs, {1: 200, 2: 200}, min_events=300)
    assert found.joined == ()
    assert sorted(found.left_out) == [1, 2]
