from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.run import Events, Run, RunTable
from bkgpipe.errors import BinningMismatchError

_WORDS = {"target", "telescopes", "events_file", "events_hdu", "reason"}
_WORDS |= {"gti_file", "gti_hdu"}
_CHOICES = {"selected", "exported"}


def _run(obs_id: int, **changes: object) -> Run:
    values = {
        name: "" if name in _WORDS else 1
        for name in Run.__dataclass_fields__
        if name not in _CHOICES
    }
    return replace(Run(**{**values, "obs_id": obs_id}), **changes)


def test_table_sorts_runs_by_what_happens_to_them():
    table = RunTable(
        runs=(
            _run(1),
            _run(2, selected=False, exported=True),
            _run(3, selected=False, exported=False),
            _run(4, exported=False),
        )
    )

    assert [run.obs_id for run in table.selected] == [1, 4]
    assert [run.obs_id for run in table.exported] == [1, 2]
    assert [run.obs_id for run in table.used] == [1, 2, 4]
    assert table.column("obs_id").tolist() == [1, 2, 3, 4]


def test_ontime_is_the_sum_of_the_intervals():
    events = Events(
        obs_id=1,
        ra=np.zeros(3),
        dec=np.zeros(3),
        energy=np.ones(3),
        time=np.zeros(3),
        gti=np.array([[0.0, 0.1], [0.2, 0.5]]),
    )

    assert events.n_events == 3
    assert events.ontime == pytest.approx(0.4 * 86400)


def test_events_of_unequal_length_are_refused():
    with pytest.raises(BinningMismatchError, match="dec: shape is"):
        Events(
            obs_id=1,
            ra=np.zeros(3),
            dec=np.zeros(2),
            energy=np.ones(3),
            time=np.zeros(3),
            gti=np.zeros((1, 2)),
        )


def test_events_that_count(make_run):
    run = make_run()
    seconds = np.array([-2.5, 0.0, 1.0, np.nan, 2.0, 3.0])
    events = Events(
        obs_id=1,
        ra=np.array([0.0, 1.0, np.nan, 3.0, 4.0, 5.0]),
        dec=np.zeros(6),
        energy=np.array([1.0, 1.0, 1.0, 1.0, 0.0, 2.0]),
        time=run.time_start + seconds / 86400.0,
        gti=np.array([[run.time_start, run.time_stop]]),
    )
    assert events.is_valid.tolist() == [True, True, False, False, False, True]
    assert events.is_in_good_time.tolist() == [False, True, True, False, True, True]
    kept = events.keep(events.is_valid & events.is_in_good_time)
    assert kept.ra.tolist() == [1.0, 5.0]
    assert kept.energy.tolist() == [1.0, 2.0]
    assert kept.ontime == events.ontime
    assert kept.keep(np.ones(2, dtype=bool)) is kept
