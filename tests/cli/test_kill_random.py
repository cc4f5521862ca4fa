"""Productions that are killed, told to stop or held up at random moments.

``BKGPIPE_KILLS`` says how many times each way; ``make test-kill`` takes 50.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_KILLS = int(os.environ.get("BKGPIPE_KILLS", "3"))
_PATIENCE = 120.0


def _finished(out: Path) -> dict[str, int]:
    """Products that are whole, and when they were written."""
    files = [*out.glob("*-*/*.h5"), *out.glob("*-*/*.ecsv")]
    found = {}
    for path in files:
        if not path.name.startswith("."):
            found[str(path.relative_to(out))] = path.stat().st_mtime_ns
    return found


def _leftovers(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.name.startswith(".")]


@pytest.fixture
def begin(prepare, fork, tmp_path: Path) -> Callable[..., Any]:
    """Start a command on a production in chunks of one run."""
    prepare(tmp_path, data__chunk_size="1", smooth__method="regression")
    with (tmp_path / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("[worker]\nmax_keep_alive_idle_duration = 4 seconds\n")
    return lambda *words: fork(tmp_path, *words, is_merged=True)


def _succeed(process: Any) -> None:
    assert process.wait() == 0, process.told()


@pytest.fixture
def central(tmp_path: Path) -> Iterator[int]:
    """Central scheduler that soon takes a silent worker for gone; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (tmp_path / "luigid.cfg").write_text(
        "[scheduler]\nworker_disconnect_delay = 3\nretry_delay = 1\n"
        "disable_window = 1\ndisable_persist = 1\n"
        "stable_done_cooldown_secs = 1\nprune_on_get_work = true\n"
        f"state_path = {tmp_path / 'luigid.state'}\n"
    )
    server = subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-c", "from luigi.cmdline import luigid; luigid()"),
            *("--address", "127.0.0.1"),
            *("--port", str(port), "--logdir", str(tmp_path)),
        ],
        env=os.environ | {"LUIGI_CONFIG_PATH": str(tmp_path / "luigid.cfg")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + _PATIENCE
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < end
        time.sleep(0.1)
    yield port
    server.kill()
    server.wait()


def _undisturbed(
    begin: Callable[..., Any], folder: Path, words: tuple[str, ...]
) -> float:
    """Run once to the end, keep the products aside; return the seconds it took."""
    started = time.monotonic()
    _succeed(begin(*words))
    seconds = time.monotonic() - started
    (folder / "out").rename(folder / "whole")
    return seconds


def _kill_and_go_on(
    begin: Callable[..., Any],
    folder: Path,
    words: tuple[str, ...],
    *,
    after: float,
    number: int,
) -> int:
    """End a new production after some seconds, run it again; return what it kept."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    process = begin(*words)
    time.sleep(after)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    # it may have been done, or not have begun to listen
    assert process.wait() in {0, -number, 128 + number}, process.told()
    assert "Traceback" not in process.told()
    kept = _finished(out)

    _succeed(begin(*words))

    final = _finished(out)
    assert {name: final[name] for name in kept} == kept
    assert not _leftovers(out)
    return len(kept)


@pytest.fixture
def kill_many(begin, tmp_path, assert_same_products):
    """End a command at as many moments as asked for, and compare each time."""

    def kill(*words: str, number: int = signal.SIGKILL) -> None:
        rng = np.random.default_rng(1)
        seconds = _undisturbed(begin, tmp_path, words)
        kept = []
        for moment in rng.uniform(0.0, seconds, _KILLS):
            kept += [
                _kill_and_go_on(
                    begin, tmp_path, words, after=float(moment), number=number
                )
            ]
            assert_same_products(tmp_path / "out", tmp_path / "whole")
        # some were killed in the middle of the work, not all before or after it
        assert any(kept)

    return kill


def test_killed_production_goes_on(kill_many):
    kill_many("run", "export", "--workers", "2")


def test_killed_production_goes_on_under_a_central_scheduler(kill_many, central):
    where = ("--scheduler-host", "127.0.0.1", "--scheduler-port", str(central))
    kill_many("run", "export", "--workers", "2", *where)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_production_that_is_told_to_stop_goes_on(kill_many, number):
    kill_many("run", "export", "--workers", "2", number=number)


def _stop_a_process(group: int) -> bool:
    """Stop the youngest process that a command started, if there is one."""
    found = Path(f"/proc/{group}/task/{group}/children")
    children = found.read_text().split() if found.exists() else []
    try:
        os.kill(int(children[-1]), signal.SIGSTOP)
    except (IndexError, ProcessLookupError):
        return False
    return True


def test_production_with_a_stopped_process_goes_on(
    begin, tmp_path, assert_same_products
):
    words = ("run", "export", "--workers", "2", "--set", "run.hung_after=3 s")
    seconds = _undisturbed(begin, tmp_path, words)
    n_stopped = 0
    for moment in np.random.default_rng(2).uniform(0.2, 0.8, _KILLS) * seconds:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        process = begin(*words)
        time.sleep(float(moment))
        n_stopped += _stop_a_process(process.pid)
        _succeed(process)
        assert not _leftovers(tmp_path / "out")
        assert_same_products(tmp_path / "out", tmp_path / "whole")
    assert n_stopped
