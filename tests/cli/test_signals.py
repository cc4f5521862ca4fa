"""Commands that are told to stop: by Ctrl-C, by a batch system, by a shutdown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bkgpipe.cli.signals import stoppable

_KILL: dict[str, Callable[[int, int], None]] = {"one": os.kill, "all": os.killpg}
_PATIENCE = 180.0


@pytest.fixture(autouse=True)
def _hook(monkeypatch):
    """Leave what is made of lost errors as it was."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()]


def _end(process: Any) -> tuple[int, str]:
    _, stderr = process.communicate(timeout=_PATIENCE)
    return process.returncode, stderr


@pytest.mark.parametrize("whom", ["one", "all"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_run_that_is_told_to_stop(
    prepare, fork, wait_until, tmp_path, *, whom, number, code
):
    prepare(tmp_path, data__chunk_size="1")
    process = fork(tmp_path, "run", "count", "--workers", "2")
    wait_until(lambda: list(tmp_path.glob("out/mask-*/mask_*.h5")))
    workers = _children(process.pid)

    _KILL[whom](process.pid, number)

    found, stderr = _end(process)
    assert found == code
    assert f"Stopped by {signal.Signals(number).name}. What is finished is" in stderr
    assert "resumes where it left off" in stderr
    assert "Traceback" not in stderr
    assert "Aborted" not in stderr
    # whoever takes care of orphans may need a moment
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert not list(tmp_path.glob("out/running/*"))
    assert not list(tmp_path.glob("out/*/.*"))

    again = fork(tmp_path, "run", "count", "--workers", "2")
    found, stderr = _end(again)
    assert found == 0, stderr


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("simulate", "store", "big", "--runs", "500"), "What is finished is kept"),
        (
            ("simulate", "store", "big", "--runs", "500", "--workers", "2"),
            "What is finished is kept",
        ),
        (("check",), "Nothing is left half written"),
        (("init", "--data", "store", "--config", "x.cfg"), "Nothing is left half"),
    ],
)
def test_every_command_can_be_stopped(folder, *, words, kept):
    process = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _STOPPED_FROM_WITHIN, *words],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        start_new_session=True,
    )

    assert process.returncode == 130
    assert process.stderr.startswith(f"Stopped by SIGINT. {kept}")
    assert process.stderr.count("\n") == 1


# from outside, a busy machine may be too late: some commands last a second
_STOPPED_FROM_WITHIN = """
import os, signal, threading, time

def stop():
    while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        time.sleep(0.001)
    os.killpg(0, signal.SIGINT)

threading.Thread(target=stop).start()
from bkgpipe.cli.main import main
main()
"""


@pytest.mark.parametrize("last", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_begins_to_listen(monkeypatch, capsys, *, last):
    listen = signal.signal

    def listen_and_hear(number, handler):
        before = listen(number, handler)
        if number == last and handler != signal.SIG_DFL:
            monkeypatch.undo()
            signal.raise_signal(signal.SIGINT)
        return before

    monkeypatch.setattr(signal, "signal", listen_and_hear)
    with pytest.raises(SystemExit) as caught, stoppable(lambda: "All is kept."):
        raise AssertionError

    assert caught.value.code == 130
    assert capsys.readouterr().err == "Stopped by SIGINT. All is kept.\n"
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_the_second_signal_ends_at_once():
    pid = os.fork()
    if pid == 0:
        with stoppable(lambda: "kept"):
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
        os._exit(0)

    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == -signal.SIGINT


def test_what_is_ignored_is_still_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable(lambda: "kept"):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_errors_pass_and_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(ValueError, match="other"), stoppable(lambda: "kept"):
        raise ValueError("other")

    assert signal.getsignal(signal.SIGTERM) == before


def test_a_stop_that_becomes_another_error_is_still_a_stop(capsys):
    with pytest.raises(SystemExit) as caught:
        _make_another_error_of_a_stop()

    assert caught.value.code == 143
    assert capsys.readouterr().err == "Stopped by SIGTERM. All is kept.\n"


def _make_another_error_of_a_stop() -> None:
    with stoppable(lambda: "All is kept."):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise RuntimeError from error


def test_what_an_interrupt_left_half_made_goes_without_words(capsys):
    half_made = [_HalfMade()]
    with pytest.raises(SystemExit), stoppable(lambda: "All is kept."):
        os.kill(os.getpid(), signal.SIGTERM)

    half_made.clear()

    assert capsys.readouterr().err == "Stopped by SIGTERM. All is kept.\n"


class _HalfMade:
    """Fails when it goes."""

    def __del__(self) -> None:
        raise AttributeError


class _Swallowing:
    """Is gone amid a signal: Python passes over errors there."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_that_python_passes_over_comes_again(capsys):
    with pytest.raises(SystemExit) as caught, stoppable(lambda: "All is kept."):
        _be_stopped_where_errors_are_lost()

    assert caught.value.code == 143
    assert capsys.readouterr().err == "Stopped by SIGTERM. All is kept.\n"


def _be_stopped_where_errors_are_lost() -> None:
    _Swallowing()
    time.sleep(20)
