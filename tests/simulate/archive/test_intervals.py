from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.intervals import draw_intervals, draw_times

_DAY = 86400.0


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_run_without_gaps_is_one_interval(make_run: Callable[..., Run]) -> None:
    run = make_run()
    gti = draw_intervals(_rng(), run, 0)
    np.testing.assert_array_equal(gti, [[run.time_start, run.time_stop]])


@pytest.mark.parametrize("n_gaps", [1, 4])
def test_gaps_take_what_the_ontime_leaves(
    make_run: Callable[..., Run], n_gaps: int
) -> None:
    run = make_run()
    length = (run.time_stop - run.time_start) * _DAY
    run = replace(run, ontime=length - 120.0)
    gti = draw_intervals(_rng(), run, n_gaps)
    assert gti.shape == (n_gaps + 1, 2)
    assert np.diff(gti).sum() * _DAY == pytest.approx(run.ontime, abs=1e-4)
    gaps = (gti[1:, 0] - gti[:-1, 1]) * _DAY
    assert gaps == pytest.approx(np.full(n_gaps, 120.0 / n_gaps), abs=1e-4)
    assert gti[0, 0] == run.time_start
    assert gti[-1, 1] == pytest.approx(run.time_stop, abs=1e-9)


def test_times_are_uniform_in_the_intervals_alone() -> None:
    gti = np.array([[10.0, 11.0], [14.0, 14.5], [20.0, 23.0]])
    times = draw_times(_rng(), gti, 9000)
    which = np.searchsorted(gti[:, 0], times, side="right") - 1
    assert (times <= gti[which, 1]).all()
    counts = np.bincount(which, minlength=3)
    expected = np.array([1.0, 0.5, 3.0]) * 2000
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    last = times[which == 2]
    assert last.mean() == pytest.approx(21.5, abs=0.06)


def test_no_events_have_no_times() -> None:
    assert draw_times(_rng(), np.array([[1.0, 2.0]]), 0).size == 0
