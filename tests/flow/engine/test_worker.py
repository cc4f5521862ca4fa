from __future__ import annotations

import multiprocessing
import os
import signal

import pytest
from luigi.worker import TaskProcess

from bkgpipe.flow.engine import worker
from bkgpipe.flow.engine.worker import WatchfulFactory


@pytest.fixture
def watchful():
    factory = WatchfulFactory(hung_after=60.0)
    with factory.create_worker(factory.create_local_scheduler(), 2) as made:
        yield made


def _hold(lock) -> None:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_with_the_lock_of_the_results(watchful, monkeypatch):
    monkeypatch.setattr(worker, "_PATIENCE", 0.1)
    lock = watchful._task_result_queue._wlock
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(lock,))
    process.start()
    process.join()
    assert not lock.acquire(timeout=0.0)

    watchful._free_results()

    assert lock.acquire(timeout=0.0)
    lock.release()


def test_a_lock_that_is_free_stays_so(watchful):
    watchful._free_results()

    assert watchful._task_result_queue._wlock.acquire(timeout=0.0)
    watchful._task_result_queue._wlock.release()


class _Finished(TaskProcess):
    """A process that gave its result, and is stopped before it ends."""

    def __init__(self) -> None:
        multiprocessing.get_context("fork").Process.__init__(self)

    def run(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


def test_a_process_that_is_stopped_when_it_has_ended_its_task(monkeypatch):
    monkeypatch.setattr(worker, "_PATIENCE", 0.2)
    factory = WatchfulFactory(hung_after=60.0)
    process = _Finished()

    with factory.create_worker(factory.create_local_scheduler(), 2):
        process.start()

    assert process.exitcode == -signal.SIGKILL
