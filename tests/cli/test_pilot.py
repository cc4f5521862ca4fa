"""Workers that live in batch jobs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bkgpipe.cli.pilot import run_pilot
from bkgpipe.errors import SettingsError

_PATIENCE = 240.0
_SLOW = Path(__file__).with_name("slow_pilot.py")
_COUNT = "Count 1004"


class Pilots:
    """Starts pilots of the production in a folder."""

    def __init__(self, fork: Callable[..., Any], folder: Path, where: tuple[str, ...]):
        self.out = folder / "out"
        self._fork = fork
        self._folder = folder
        self._where = where
        self._started: list[Any] = []

    def start(self, *words: str, **more: str) -> Any:
        process = self._fork(
            *(self._folder, "pilot", *self._where, *words), is_merged=True, **more
        )
        self._started.append(process)
        return process

    def start_slow(self, *words: str, task: str = _COUNT, seconds: float = 600) -> Any:
        """Start one for whom a task takes long; at 0 s it dies of it."""
        slow = {"SLOW_TASK": task, "SLOW_SECONDS": str(seconds)}
        return self.start(*words, program=str(_SLOW), **slow)

    def has_slow_task(self) -> bool:
        return (self.out / "in-hand").exists()

    def leftovers(self) -> list[Path]:
        return list(self.out.rglob(".*"))

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=_PATIENCE)


@pytest.fixture
def pilots(fork, shared, central):
    found = Pilots(fork, shared, central.where)
    yield found
    found.end()


@pytest.fixture
def patient(central_settings):
    """A scheduler that would wait for a lost worker for longer than a test."""
    central_settings(worker_disconnect_delay="3600", retry_delay="3600")


def _finish(process: Any, code: int) -> str:
    told, _ = process.communicate(timeout=_PATIENCE)
    assert process.returncode == code, told
    return told


@pytest.fixture
def whole(prepare, tmp_path_factory, fork):
    """Output of the same production, made by one process."""
    folder = prepare(tmp_path_factory.mktemp("whole"), data__chunk_size="1")
    _finish(fork(folder, "run", is_merged=True), 0)
    return folder / "out"


def test_two_pilots_share_a_production(pilots, whole, assert_same_products):
    both = [pilots.start(), pilots.start("--workers", "2")]

    told = [_finish(process, 0) for process in both]

    for words in told:
        assert "scheduler: 127.0.0.1:" in words
        assert "the production is done" in words
    counts = [line for line in "".join(told).splitlines() if "Done: Count " in line]
    assert len(counts) == 8
    assert all(line.endswith(" s") for line in counts)
    assert not pilots.leftovers()
    assert_same_products(pilots.out, whole)


def test_every_pilot_may_have_every_chunk(pilots, central, wait_until):
    # it holds a count, so that the others wait at last
    pilots.start_slow()
    wait_until(pilots.has_slow_task)

    pilots.start()
    pilots.start()

    wait_until(lambda: _n_workers(central.tasks(), "Export") == [3] * 8)


def _n_workers(tasks, name: str) -> list[int]:
    return [len(each["workers"]) for each in tasks if each["name"] == name]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_task_of_a_pilot_that_is_told_to_go_is_free(pilots, wait_until, number):
    first = pilots.start_slow()
    wait_until(pilots.has_slow_task)
    assert pilots.leftovers()

    first.send_signal(number)

    told = _finish(first, 3)
    assert f"after {number.name}; stopped and given back: {_COUNT}" in told
    assert "Failed" not in told
    assert not pilots.leftovers()
    assert f"Done: {_COUNT} in " in _finish(pilots.start(), 0)


@pytest.mark.usefixtures("patient")
def test_whole_group_is_told_to_go(pilots, wait_until):
    first = pilots.start_slow("--workers", "2")
    wait_until(pilots.has_slow_task)

    os.killpg(first.pid, signal.SIGTERM)

    assert f"{_COUNT}" in _finish(first, 3)
    assert not pilots.leftovers()
    _finish(pilots.start(), 0)


@pytest.mark.usefixtures("patient")
def test_task_that_waits_for_no_other_is_free_too(central, pilots, wait_until):
    first = pilots.start_slow(task="Select")
    wait_until(pilots.has_slow_task)

    first.terminate()

    assert "given back: Select" in _finish(first, 3)
    (select,) = [each for each in central.tasks() if each["name"] == "Select"]
    assert select["status"] == "PENDING"
    assert "Done: Select in " in _finish(pilots.start(), 0)


@pytest.mark.usefixtures("patient")
def test_task_in_hand_at_the_time_limit_is_free(pilots):
    first = pilots.start_slow("--time-limit", "16 s", "--margin", "4 s")

    told = _finish(first, 3)

    assert f"at the time limit; stopped and given back: {_COUNT}" in told
    assert not pilots.leftovers()
    _finish(pilots.start(), 0)


def test_task_in_hand_is_done_after_the_last_call(pilots, wait_until):
    first = pilots.start_slow(seconds=5)
    wait_until(pilots.has_slow_task)

    first.send_signal(signal.SIGUSR1)

    told = _finish(first, 3)
    assert f"Done: {_COUNT} in " in told
    assert "after SIGUSR1; stopped and given back: nothing" in told


def test_pilot_leaves_when_others_hold_the_rest(pilots, wait_until):
    first = pilots.start_slow()
    wait_until(pilots.has_slow_task)

    told = _finish(pilots.start("--idle", "2 s"), 3)

    assert "others hold it; stopped and given back: nothing" in told
    assert first.poll() is None


def test_task_that_fails(shared, pilots, find_events):
    find_events(shared / "store", 1003).unlink()

    told = _finish(pilots.start("--set", "run.retries=0"), 1)

    assert "1 run(s) could not be used" in told
    assert "exit code 1" in told
    # one that did not see it fail
    told = _finish(pilots.start("--set", "run.retries=0"), 1)
    assert "Given up, as it failed too often: MakeProduction" in told


def test_task_whose_process_dies(pilots):
    told = _finish(pilots.start_slow("--set", "run.retries=0", seconds=0), 1)

    assert "died unexpectedly with exit code 9" in told
    assert "the rest cannot be done" in told
    assert not pilots.leftovers()


def test_scheduler_is_gone_when_the_pilot_is_told_to_go(pilots, central, wait_until):
    first = pilots.start_slow()
    wait_until(pilots.has_slow_task)

    central.kill()
    first.send_signal(signal.SIGTERM)

    told = _finish(first, 3)
    assert "The scheduler does not answer" in told
    assert not pilots.leftovers()


def test_no_scheduler_is_named(folder, bkgpipe):
    with pytest.raises(SettingsError, match="no scheduler is named") as caught:
        run_pilot(Path("luigi.cfg"), [], time_limit="", margin="5 min", idle="10 min")

    assert caught.value.where == "[run] scheduler_host, scheduler_url"
    assert "--scheduler-host" in caught.value.fix
    assert bkgpipe("pilot").exit_code == 2
    assert not (folder / "out").exists()


def test_no_scheduler_answers(bkgpipe, folder, free_port: Callable[[], int]):
    where = ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(free_port()))

    result = bkgpipe("pilot", *where)

    assert result.exit_code == 1
    assert "no scheduler answers" in result.output
    assert not list((folder / "out" / "running").iterdir())


@pytest.mark.usefixtures("finished")
def test_nothing_to_do(bkgpipe):
    assert bkgpipe("pilot", "--scheduler-host", "nowhere").exit_code == 0
