from __future__ import annotations

from bkgpipe.chain.clocks import ClockSurvey
from bkgpipe.store.store import read_events, read_runs


def _survey(store):
    found = ClockSurvey()
    for run in read_runs(store).runs:
        found = found.add(run, read_events(store, run)[0])
    return found


def test_events_and_clocks_of_a_store(production, tmp_path, halve_good_time):
    production()
    (path,) = (tmp_path / "store" / "data").glob("*1002*")
    halve_good_time(path)

    found = _survey(tmp_path / "store")

    assert found.n_runs == 8
    assert list(found.doubtful) == [1002]
    assert 0.02 < found.n_outside / found.n_events < 0.15


def test_no_runs():
    found = ClockSurvey()
    assert (found.n_runs, found.n_events, found.doubtful) == (0, 0, {})
