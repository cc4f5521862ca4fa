"""Several workers of one production, by way of a central scheduler."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from bkgpipe.cli.run import freeze_settings, run_production
from bkgpipe.errors import OutputError
from bkgpipe.flow.engine.presence import announce, submitters
from bkgpipe.settings import read_settings

_PATIENCE = 180.0


def _finish(process: Any) -> str:
    stdout, stderr = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, stdout + stderr
    return stderr


def _n_done(folder: Path) -> int:
    return len(list(folder.glob("out/mask-*/mask_*.h5")))


def test_workers_share_a_production(shared, central, fork):
    words = ("run", "export", *central.where)
    first = fork(shared, *words)
    second = fork(shared, *words, "--workers", "2")

    for process in (first, second):
        _finish(process)

    assert submitters(shared / "out") == ()
    assert len(list(shared.glob("out/count-*/count_*.h5"))) == 8
    tasks = central.tasks()
    assert {task["status"] for task in tasks} == {"DONE"}
    counts = {t["params"]["chunk"]: t for t in tasks if t["name"] == "Count"}
    count = counts["1003"]
    assert count["params"]["runs"] == "1003"
    assert "1 of 1 done, process " in count["status_message"]
    assert f"Log: {shared / 'out' / 'logs'}" in count["status_message"]
    assert not any(task["tracking_url"] for task in tasks)


def test_one_that_does_not_share_is_refused(shared, fork):
    with announce(shared / "out", scheduler="there:8082"):
        process = fork(shared, "run", "export")
        _, stderr = process.communicate(timeout=_PATIENCE)

    assert process.returncode == 1
    assert f"process {os.getpid()} on " in stderr
    assert "(scheduler: there:8082)" in stderr


def test_scheduler_that_is_started_anew(shared, central, fork, wait_until):
    process = fork(shared, "run", "export", *central.where)
    wait_until(lambda: _n_done(shared) >= 2)

    central.kill()
    time.sleep(1)
    central.start()

    _finish(process)
    assert _n_done(shared) == 8


def test_worker_that_is_killed_leaves_its_work_to_the_others(
    shared, central, fork, wait_until
):
    words = ("run", "export", *central.where)
    processes = [fork(shared, *words) for _ in range(3)]
    wait_until(lambda: _n_done(shared) >= 1)

    os.killpg(processes[0].pid, signal.SIGKILL)

    processes[0].communicate()
    for process in processes[1:]:
        _finish(process)
    assert _n_done(shared) == 8


def test_worker_that_is_stopped_for_longer_than_the_delay(
    shared, central, fork, wait_until
):
    words = ("run", "export", *central.where)
    processes = [fork(shared, *words) for _ in range(2)]
    wait_until(lambda: _n_done(shared) >= 1)

    os.killpg(processes[0].pid, signal.SIGSTOP)
    time.sleep(5)
    _finish(processes[1])
    os.killpg(processes[0].pid, signal.SIGCONT)

    _finish(processes[0])
    assert _n_done(shared) == 8


def test_no_scheduler_answers(folder, bkgpipe, free_port):
    port = str(free_port())

    with pytest.raises(OutputError, match="no scheduler answers") as caught:
        _run_production(folder, port)

    assert caught.value.where == f"http://127.0.0.1:{port}"
    assert "luigid" in caught.value.fix
    result = bkgpipe("run", "--scheduler-host", "127.0.0.1", "--scheduler-port", port)
    assert result.exit_code == 1


def _run_production(folder: Path, port: str) -> None:
    overrides = ["run.scheduler_host=127.0.0.1", f"run.scheduler_port={port}"]
    run_production(read_settings(folder / "luigi.cfg", overrides), stage="select")


def test_workers_of_any_number_have_the_same_tasks(folder):
    settings = read_settings(folder / "luigi.cfg", [])
    other = read_settings(
        folder / "luigi.cfg", ["run.workers=7", "run.scheduler_host=there"]
    )

    assert freeze_settings(settings) == freeze_settings(other)
