from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from bkgpipe.errors import InputError, OutputError
from bkgpipe.simulate.archive.pool import map_chunks


def _square(number: int) -> int:
    return number * number


def _where(_number: int) -> int:
    return os.getpid()


def _refuse(number: int, *, bad: int) -> int:
    if number == bad:
        raise InputError(what="is bad", where=f"run {number}", fix="Leave it out")
    return number


def _die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _touch(number: int, *, folder: Path) -> int:
    time.sleep(0.01)
    (folder / str(number)).touch()
    return number


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk_size", [1, 4, 100])
def test_results_are_in_order(workers: int, chunk_size: int) -> None:
    found = map_chunks(_square, range(23), workers=workers, chunk_size=chunk_size)
    assert list(found) == [number * number for number in range(23)]


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_gives_nothing(workers: int) -> None:
    assert list(map_chunks(_square, [], workers=workers)) == []


def test_one_worker_is_this_process() -> None:
    assert set(map_chunks(_where, range(3), workers=1)) == {os.getpid()}


def test_several_workers_are_other_processes() -> None:
    assert os.getpid() not in set(map_chunks(_where, range(8), workers=2, chunk_size=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_come_as_they_were_raised(workers: int) -> None:
    results = map_chunks(
        partial(_refuse, bad=7), range(20), workers=workers, chunk_size=2
    )
    assert [next(results) for _ in range(6)] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(InputError, match=r"run 7: is bad\. Leave it out") as caught:
        list(results)
    assert (caught.value.what, caught.value.fix) == ("is bad", "Leave it out")


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(OutputError, match=r"worker process died.*lack of memory"):
        list(map_chunks(_die, range(8), workers=2, chunk_size=1))


def test_what_is_left_alone_is_not_worked_on(tmp_path: Path) -> None:
    results = map_chunks(
        partial(_touch, folder=tmp_path), range(1000), workers=2, chunk_size=1
    )
    next(results)
    results.close()
    assert len(list(tmp_path.iterdir())) < 20


def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_chunks(_square, items(), workers=2, chunk_size=3)
    next(results)
    assert len(taken) < 20
    results.close()
