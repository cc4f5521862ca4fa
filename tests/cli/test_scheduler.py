"""Several workers of one production, by way of a central scheduler."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from bkgpipe.cli.run import freeze_settings, run_production
from bkgpipe.errors import OutputError
from bkgpipe.settings import read_settings
from bkgpipe.tasks.presence import announce, submitters

_PATIENCE = 180.0


class Central:
    """A luigid on this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.where = ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(port))
        self._folder = folder
        self.start()

    def start(self) -> None:
        words = ("--address", "127.0.0.1", "--port", str(self.port))
        self._process = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-c", "from luigi.cmdline import luigid; luigid()"),
                *(*words, "--logdir", str(self._folder)),
            ],
            env=os.environ | {"LUIGI_CONFIG_PATH": str(self._folder / "luigid.cfg")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(self._answers)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def tasks(self) -> list[dict[str, object]]:
        question = urlencode(
            {"data": json.dumps({"status": "", "upstream_status": ""})}
        )
        address = f"http://127.0.0.1:{self.port}/api/task_list?{question}"
        with urlopen(address, timeout=30) as answer:
            return list(json.load(answer)["response"].values())

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _wait(is_so) -> None:
    end = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def shared(prepare, tmp_path: Path) -> Path:
    prepare(tmp_path, data__chunk_size="1")
    with (tmp_path / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("[worker]\nmax_keep_alive_idle_duration = 3 seconds\n")
        file.write("[core]\nrpc_retry_wait = 1\n")
    return tmp_path


@pytest.fixture
def central(shared: Path) -> Iterator[Central]:
    (shared / "luigid.cfg").write_text(
        "[scheduler]\nworker_disconnect_delay = 3\nretry_delay = 1\n"
        "prune_on_get_work = true\n"
        f"state_path = {shared / 'luigid.state'}\n"
    )
    found = Central(shared, _free_port())
    yield found
    found.kill()


def _finish(process: subprocess.Popen[str]) -> str:
    stdout, stderr = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, stdout + stderr
    return stderr


def _n_done(folder: Path) -> int:
    return len(list(folder.glob("out/mask-*/mask_*.h5")))


def test_workers_share_a_production(shared, central, start):
    words = ("run", "export", *central.where)
    first = start(shared, "bkgpipe", *words)
    second = start(shared, "bkgpipe", *words, "--workers", "2")

    for process in (first, second):
        _finish(process)

    assert submitters(shared / "out") == ()
    assert len(list(shared.glob("out/count-*/count_*.h5"))) == 8
    assert {task["status"] for task in central.tasks()} == {"DONE"}


def test_one_that_does_not_share_is_refused(shared, start):
    with announce(shared / "out", scheduler="there:8082"):
        process = start(shared, "bkgpipe", "run", "export")
        _, stderr = process.communicate(timeout=_PATIENCE)

    assert process.returncode == 1
    assert f"process {os.getpid()} on " in stderr
    assert "(scheduler: there:8082)" in stderr


def test_scheduler_that_is_started_anew(shared, central, start):
    process = start(shared, "bkgpipe", "run", "export", *central.where)
    _wait(lambda: _n_done(shared) >= 2)

    central.kill()
    time.sleep(1)
    central.start()

    _finish(process)
    assert _n_done(shared) == 8


def test_worker_that_is_killed_leaves_its_work_to_the_others(shared, central, start):
    words = ("run", "export", *central.where)
    processes = [start(shared, "bkgpipe", *words) for _ in range(3)]
    _wait(lambda: _n_done(shared) >= 1)

    os.killpg(processes[0].pid, signal.SIGKILL)

    processes[0].communicate()
    for process in processes[1:]:
        _finish(process)
    assert _n_done(shared) == 8


def test_worker_that_is_stopped_for_longer_than_the_delay(shared, central, start):
    words = ("run", "export", *central.where)
    processes = [start(shared, "bkgpipe", *words) for _ in range(2)]
    _wait(lambda: _n_done(shared) >= 1)

    os.killpg(processes[0].pid, signal.SIGSTOP)
    time.sleep(5)
    _finish(processes[1])
    os.killpg(processes[0].pid, signal.SIGCONT)

    _finish(processes[0])
    assert _n_done(shared) == 8


def test_no_scheduler_answers(folder, bkgpipe):
    port = str(_free_port())

    with pytest.raises(OutputError, match="no scheduler answers") as caught:
        _run_production(folder, port)

    assert caught.value.where == f"127.0.0.1:{port}"
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
