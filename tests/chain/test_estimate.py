from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.chain.cost import Cost
from bkgpipe.chain.estimate import (
    count_reasons,
    disk_space,
    duration_words,
    estimate_bytes,
    estimate_seconds,
    size_words,
    tell_left_out,
    workers_words,
)
from bkgpipe.core.criteria import RunCuts
from bkgpipe.core.run import RunTable
from bkgpipe.stages.select.rules import select_runs
from bkgpipe.store.store import read_runs


@pytest.fixture
def table(archive: Path) -> RunTable:
    """Eight runs; each has a zenith angle of ten times its last digit."""
    table = read_runs(archive)
    runs = (replace(run, zenith=10.0 * (run.obs_id % 10)) for run in table.runs)
    return replace(table, runs=tuple(runs))


def test_runs_are_counted_by_reason_whatever_the_value(table):
    cuts = RunCuts(max_zenith=35.0, exclude_obs_ids=(1001,))

    found = count_reasons(select_runs(table, cuts).runs)

    assert found == {
        "zenith angle above 35 deg": [1004, 1005, 1006, 1007, 1008],
        "is among exclude_obs_ids": [1001],
    }
    assert next(iter(found)).startswith("zenith")


def test_all_kinds_of_limits_are_put_in_words(table):
    runs = tuple(replace(run, nsb=float("nan"), quality=3) for run in table.runs)
    cuts = RunCuts(
        min_livetime=300.0,
        max_quality=2,
        time_min=60000.0,
        telescopes="1,2",
        conditions=("MUONEFF > 2",),
    )

    found = count_reasons(select_runs(replace(table, runs=runs), cuts).runs)

    assert set(found) == {
        "live time below 300 s",
        "quality above 2",
        "start below 60000 MJD",
        "telescopes not 1,2",
        "MUONEFF not > 2",
    }


def test_what_is_not_known_is_a_reason_of_its_own(table):
    runs = tuple(replace(run, zenith=float("nan")) for run in table.runs)

    found = count_reasons(
        select_runs(replace(table, runs=runs), RunCuts(max_zenith=50.0)).runs
    )

    assert list(found) == ["zenith angle unknown"]


def test_few_runs_are_told_one_by_one_and_many_by_reason(table):
    few = tell_left_out(select_runs(table, RunCuts(max_zenith=65.0)))
    many = tell_left_out(select_runs(table, RunCuts(max_zenith=15.0)))

    assert few == [
        "  not selected 1007: zenith 70 deg is above max_zenith 65 deg",
        "  not selected 1008: zenith 80 deg is above max_zenith 65 deg",
    ]
    some = "1002, 1003, 1004, 1005, 1006 and 2 more"
    assert many == [f"  7 not selected: zenith angle above 15 deg ({some})"]
    assert tell_left_out(table) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "5 s"), (28.9, "30 s"), (89, "90 s"), (700, "12 min"), (12600, "3.5 h")],
)
def test_times_have_no_more_digits_than_an_estimate(seconds, words):
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(20, "1 MB"), (116e6, "116 MB"), (3.52e9, "3.5 GB"), (2e12, "2.0 TB")],
)
def test_sizes_are_put_in_words(n_bytes, words):
    assert size_words(n_bytes) == words


def test_workers_are_put_in_words():
    assert [workers_words(n) for n in (1, 3)] == ["1 worker", "3 workers"]


def test_free_space_is_that_of_the_nearest_folder(tmp_path):
    place, free = disk_space(tmp_path / "a" / "b")

    assert place == tmp_path
    assert free > 0


def test_time_is_shared_by_workers_as_far_as_there_are_tasks():
    costs = {
        "start": Cost(seconds=2.0, memory=1e8, disk=10, n_tasks=1),
        "count": Cost(seconds=60.0, memory=2e8, disk=20, n_tasks=3),
    }

    assert estimate_seconds(costs, n_workers=1) == 62.0
    assert estimate_seconds(costs, n_workers=2) == 32.0
    assert estimate_seconds(costs, n_workers=9) == 22.0
    assert estimate_bytes(costs) == 30
