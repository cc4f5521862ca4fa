from __future__ import annotations

import time
from pathlib import Path

import pytest

from bkgpipe.flow import Count
from bkgpipe.flow.base import StageTask


@pytest.fixture
def task(production, monkeypatch):
    """Chunk in the hands of a worker that notes what it is told."""
    found = production().clone(Count, chunk=1)
    told = []
    for name in ("status_message", "progress_percentage"):
        monkeypatch.setattr(
            found, f"set_{name}", lambda *a, n=name: told.append((n, *a))
        )
    monkeypatch.setattr(StageTask, "log", Path("/logs/one.log"))
    return found, told


def test_a_worker_is_told_how_far_the_chunk_is(task):
    chunk, told = task

    chunk.tell(3, 8)

    told = dict(told)
    assert told["status_message"].startswith("3 of 8 done, process ")
    assert told["progress_percentage"] == 37
    assert "Runs: " in told["status_message"]
    assert "Log: /logs/one.log" in told["status_message"]


def test_a_worker_is_not_told_again_at_once(task, monkeypatch):
    chunk, told = task
    chunk.tell(0, 8)
    chunk.tell(1, 8)
    assert len(told) == 2

    later = time.monotonic() + 3
    monkeypatch.setattr(time, "monotonic", lambda: later)
    chunk.tell(2, 8)
    assert len(told) == 4


def test_a_task_without_a_worker_tells_nobody(production):
    production().clone(Count, chunk=1).tell(0, 0)
