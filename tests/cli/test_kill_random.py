"""Productions that are killed, told to stop or held up at random moments.

``BKGPIPE_KILLS`` says how many times each way; ``make test-kill`` takes 50.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

_KILLS = int(os.environ.get("BKGPIPE_KILLS", "3"))
_PATIENCE = 120.0


class Forker:
    """Starts commands at once, and kills them with all their processes."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "last.log"
        self._folder = folder
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, str(Path(__file__).with_name("forker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _ask(self, line: str) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(line + "\n")
        stdin.flush()
        return int(stdout.readline())

    def start(self, *words: str) -> int:
        return self._ask(json.dumps([str(self._folder), str(self.log), *words]))

    def wait(self) -> int:
        return self._ask("")

    def end(self, group: int, number: int) -> int:
        """Send a signal to all processes; return the exit code of the first."""
        os.killpg(group, number)
        return self.wait()

    def close(self) -> None:
        self._process.communicate(timeout=_PATIENCE)


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
def forker(prepare, tmp_path: Path) -> Iterator[Forker]:
    prepare(tmp_path, data__chunk_size="1", smooth__method="regression")
    with (tmp_path / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write("[worker]\nmax_keep_alive_idle_duration = 4 seconds\n")
    found = Forker(tmp_path)
    yield found
    found.close()


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


def _undisturbed(forker: Forker, folder: Path, words: tuple[str, ...]) -> float:
    """Run once to the end, keep the products aside; return the seconds it took."""
    started = time.monotonic()
    forker.start(*words)
    assert forker.wait() == 0, forker.log.read_text()
    seconds = time.monotonic() - started
    (folder / "out").rename(folder / "whole")
    return seconds


def _kill_and_go_on(
    forker: Forker,
    folder: Path,
    words: tuple[str, ...],
    *,
    after: float,
    number: int,
) -> int:
    """End a new production after some seconds, run it again; return what it kept."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    group = forker.start(*words)
    time.sleep(after)
    code = forker.end(group, number)
    # it may have been done, or not have begun to listen
    assert code in {0, -number, 128 + number}, forker.log.read_text()
    assert "Traceback" not in forker.log.read_text()
    kept = _finished(out)

    forker.start(*words)
    assert forker.wait() == 0, forker.log.read_text()

    final = _finished(out)
    assert {name: final[name] for name in kept} == kept
    assert not _leftovers(out)
    return len(kept)


@pytest.fixture
def kill_many(forker, tmp_path, assert_same_products):
    """End a command at as many moments as asked for, and compare each time."""

    def kill(*words: str, number: int = signal.SIGKILL) -> None:
        rng = np.random.default_rng(1)
        seconds = _undisturbed(forker, tmp_path, words)
        kept = []
        for moment in rng.uniform(0.0, seconds, _KILLS):
            kept += [
                _kill_and_go_on(
                    forker, tmp_path, words, after=float(moment), number=number
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
    forker, tmp_path, assert_same_products
):
    words = ("run", "export", "--workers", "2", "--set", "run.hung_after=3 s")
    seconds = _undisturbed(forker, tmp_path, words)
    n_stopped = 0
    for moment in np.random.default_rng(2).uniform(0.2, 0.8, _KILLS) * seconds:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        group = forker.start(*words)
        time.sleep(float(moment))
        n_stopped += _stop_a_process(group)
        assert forker.wait() == 0, forker.log.read_text()
        assert not _leftovers(tmp_path / "out")
        assert_same_products(tmp_path / "out", tmp_path / "whole")
    assert n_stopped
