"""Commands that are forked from a process which has imported everything."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 180.0


class Forked:
    """A command in a forked process, to be used as a `subprocess.Popen`."""

    def __init__(self, folder: Path, *, is_merged: bool) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self._code = folder / "code"
        self._stdout = folder / "stdout"
        self._stderr = self._stdout if is_merged else folder / "stderr"
        os.mkfifo(folder / "alive")
        self._alive = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
        self.order = {
            "alive": str(folder / "alive"),
            "code": str(self._code),
            "stdout": str(self._stdout),
            "stderr": str(self._stderr),
        }

    def poll(self) -> int | None:
        if self.returncode is None and self._code.exists():
            self.returncode = int(self._code.read_text())
        return self.returncode

    def wait(self, timeout: float = _PATIENCE) -> int | None:
        end = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < end, self.told()
            time.sleep(0.02)
        return self.returncode

    def communicate(self, timeout: float = _PATIENCE) -> tuple[str, str]:
        """Wait for the process, and for all that it started."""
        self.wait(timeout)
        if self._alive >= 0:
            assert select.select([self._alive], [], [], timeout)[0], self.told()
            os.close(self._alive)
            self._alive = -1
        stderr = "" if self._stderr == self._stdout else self._stderr.read_text()
        return self._stdout.read_text(), stderr

    def told(self) -> str:
        files = {self._stdout, self._stderr}
        return "".join(path.read_text() for path in files if path.exists())

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


@pytest.fixture(scope="session")
def serve_forks(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """What `fork` asks, to be entered: ``serve_forks(*words)``; words start it."""

    @contextmanager
    def serve(*before: str) -> Iterator[Callable[..., Forked]]:
        forker = str(Path(__file__).with_name("forker.py"))
        server = subprocess.Popen(  # noqa: S603
            [*before, sys.executable, forker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with server:
            yield partial(_fork, server, tmp_path_factory)

    return serve


def _fork(
    server: subprocess.Popen[str],
    folders: pytest.TempPathFactory,
    folder: Path,
    *words: str,
    is_merged: bool = False,
    program: str = "",
    pause: float | None = None,
    **environment: str,
) -> Forked:
    assert server.stdin is not None
    assert server.stdout is not None
    process = Forked(folders.mktemp("forked"), is_merged=is_merged)
    kept = {k: v for k, v in os.environ.items() if k != "GAMMAPY_DATA"}
    more = {
        "folder": str(folder),
        "environment": kept | environment,
        "pause": pause,
        "program": program,
        "words": words,
    }
    server.stdin.write(json.dumps(process.order | more) + "\n")
    server.stdin.flush()
    process.pid = int(server.stdout.readline())
    return process


@pytest.fixture(scope="session")
def fork(serve_forks: Callable[..., Any]) -> Iterator[Callable[..., Forked]]:
    """Start a command as `start` does, without the imports: ``fork(folder, *words)``.

    For tests of what becomes of processes, where it is the same how they began. A
    ``program`` takes the place of the command; more names are for the environment.
    With a ``pause`` [s] it soon tries again what could not be read or written.
    """
    with serve_forks() as run:
        yield run
