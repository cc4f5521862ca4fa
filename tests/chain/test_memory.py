from __future__ import annotations

import os

import pytest

from bkgpipe.chain import memory
from bkgpipe.chain.cost import Cost
from bkgpipe.chain.memory import machine_memory, memory_doubts, memory_words

COSTS = {
    "count": Cost(seconds=60.0, memory=3e9, disk=0, n_tasks=3),
    "fit": Cost(seconds=60.0, memory=7e9, disk=0, n_tasks=1),
}


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 8_000_000_000)


def test_the_stage_that_needs_most_is_named():
    one, many = (memory_words(COSTS, n_workers=n) for n in (1, 9))

    assert one == "up to 7.0 GB (fit); this machine has 8.0 GB"
    assert many == "up to 3.0 GB in each of 3 (count); this machine has 8.0 GB"


def test_enough_memory_is_no_doubt():
    assert memory_doubts(COSTS, n_workers=2) == []


def test_too_many_workers_are_told():
    (doubt,) = memory_doubts(COSTS, n_workers=9)

    assert doubt == (
        "count needs about 3.0 GB for each of 3 workers, but this machine has 8.0 GB: "
        "take fewer --workers, make [binning] coarser, or lower [data] chunk_size, or "
        "use a machine with more memory"
    )


def test_fewer_workers_are_not_proposed_where_they_do_not_help(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 4_000_000_000)

    (doubt,) = memory_doubts(COSTS, n_workers=1)

    assert doubt.startswith("fit needs about 7.0 GB for each of 1 worker")
    assert "--workers" not in doubt
    assert "lower [fit] max_points" in doubt


def test_a_limit_of_the_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMIT", limit)
    whole = machine_memory()
    assert whole == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    limit.write_text("max\n")
    assert machine_memory() == whole
    limit.write_text("1000000\n")
    assert machine_memory() == 1_000_000
