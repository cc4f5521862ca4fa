from __future__ import annotations

from bkgpipe.io.store import read_runs
from bkgpipe.production import clocks
from bkgpipe.production.clocks import survey_clocks


def _file(store, obs_id):
    (path,) = (store / "data").glob(f"*{obs_id}*")
    return path


def test_events_and_clocks_of_a_store(production, tmp_path, halve_good_time):
    production()
    store = tmp_path / "store"
    halve_good_time(_file(store, 1002))
    _file(store, 1003).write_bytes(b"words")

    found = survey_clocks(store, read_runs(store).runs)

    assert found.n_runs == 7
    assert list(found.doubtful) == [1002]
    assert 0.02 < found.n_outside / found.n_events < 0.15
    (problem,) = found.problems
    assert problem.startswith("run 1003 ")


def test_of_many_runs_some_are_read(production, tmp_path, monkeypatch):
    production()
    runs = read_runs(tmp_path / "store").runs
    monkeypatch.setattr(clocks, "_MAX_RUNS", 3)
    assert survey_clocks(tmp_path / "store", runs).n_runs == 3
    assert survey_clocks(tmp_path / "store", runs[:1]).n_runs == 1


def test_no_runs(tmp_path):
    found = survey_clocks(tmp_path, ())
    assert (found.n_runs, found.n_events, found.problems) == (0, 0, ())
