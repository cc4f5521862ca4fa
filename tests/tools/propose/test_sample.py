from __future__ import annotations

import pytest

from bkgpipe.chain import refusals
from bkgpipe.settings import read_settings
from bkgpipe.store.store import read_events, read_runs
from bkgpipe.tools.propose import sample
from bkgpipe.tools.propose.sample import look_at_runs


@pytest.fixture
def look(folder):
    settings = read_settings(folder / "luigi.cfg")
    runs = read_runs(settings.store).runs
    return lambda **given: look_at_runs(settings, runs, **given)


def test_clocks_are_of_all_runs_and_energies_of_some(look, monkeypatch):
    monkeypatch.setattr(sample, "_MAX_SAMPLE", 3)
    opened = []

    def read(store, run):
        opened.append(run.obs_id)
        return read_events(store, run)

    monkeypatch.setattr(refusals, "read_events", read)

    found = look(max_runs=200)

    assert sorted(opened) == list(range(1001, 1009))
    assert (found.clocks.n_runs, found.sample.n_read, found.n_tried) == (8, 3, 3)
    assert 0 < found.sample.energy.size < found.clocks.n_events
    assert len(found.sample.safe) == 3


def test_of_many_runs_some_are_read(look):
    found = look(max_runs=3)
    assert (found.clocks.n_runs, found.sample.n_read) == (3, 3)
    assert look(max_runs=1).clocks.n_runs == 1


def test_runs_that_cannot_be_used_are_told_in_order(look, folder, find_events):
    for obs_id in (1006, 1002):
        find_events(folder / "store", obs_id).write_bytes(b"words")

    found = look(max_runs=200)

    assert [str(error)[:9] for error in found.errors] == ["run 1002 ", "run 1006 "]
    assert (found.clocks.n_runs, found.sample.n_read, found.n_tried) == (6, 6, 8)


def test_of_a_run_with_many_events_some_are_kept_for_as_much_less_time(
    look, monkeypatch
):
    whole = look().sample
    per_run = whole.energy.size / whole.n_read
    monkeypatch.setattr(sample, "_MAX_EVENTS", int(per_run / 3))

    thinned = look().sample

    assert thinned.energy.size < whole.energy.size / 2
    rates = [each.energy.size / each.hours_read for each in (whole, thinned)]
    assert rates[1] == pytest.approx(rates[0], rel=0.05)
