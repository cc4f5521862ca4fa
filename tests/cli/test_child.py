from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bkgpipe.cli import child
from bkgpipe.cli.child import call_command
from bkgpipe.errors import BkgpipeError, SettingsError


@pytest.fixture
def stand_in(monkeypatch):
    """Call Python code in place of the command."""

    def use(code: str) -> list[subprocess.Popen[str]]:
        started: list[subprocess.Popen[str]] = []

        def start(words, **options):
            assert words[1:3] == ["-m", "bkgpipe"]
            started.append(_POPEN([sys.executable, "-c", code], **options))
            return started[0]

        monkeypatch.setattr(child.subprocess, "Popen", start)
        return started

    return use


_POPEN = subprocess.Popen


def test_what_it_tells_is_passed_on(stand_in, capsys, tmp_path):
    stand_in("import sys; print('out'); print('count: 1 of 2', file=sys.stderr)")

    call_command(["run"], folder=tmp_path, where="here")

    captured = capsys.readouterr()
    assert captured.err == "count: 1 of 2\n"
    assert captured.out == ""


def test_its_last_error_is_raised(stand_in, capsys, tmp_path):
    stand_in(
        "import sys\n"
        "for text in ('Refused: run 3', 'Error: here: it', '  2 problems.'):\n"
        "    print(text, file=sys.stderr)\n"
        "sys.exit(1)"
    )

    with pytest.raises(BkgpipeError) as caught:
        call_command(["run"], folder=tmp_path, where="luigi.cfg")

    assert not isinstance(caught.value, SettingsError)
    assert str(caught.value) == (
        "luigi.cfg: the command ended with exit code 1: here: it   2 problems. "
        "Correct that, and run it again: it goes on where it was."
    )
    assert "Error: " not in capsys.readouterr().err


def test_an_end_without_words_is_told(stand_in, tmp_path):
    stand_in("raise SystemExit(7)")

    with pytest.raises(BkgpipeError, match="exit code 7: it does not say why"):
        call_command(["run"], folder=tmp_path, where="here")


def test_wrong_use_is_an_error_of_settings(tmp_path):
    with pytest.raises(SettingsError, match=r"exit code 2: .*No such option"):
        call_command(["run", "--nonsense"], folder=tmp_path, where="here")


@pytest.mark.parametrize(
    ("handler", "patience"),
    [("signal.default_int_handler", 30.0), ("signal.SIG_IGN", 0.3)],
)
def test_an_interrupt_ends_the_command(
    stand_in, tmp_path, monkeypatch, *, handler, patience
):
    monkeypatch.setattr(child, "_PATIENCE", patience)
    ready = tmp_path / "ready"
    started = stand_in(
        f"import signal, time, pathlib; signal.signal(signal.SIGINT, {handler})\n"
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    threading.Thread(target=_interrupt_when, args=(ready,), daemon=True).start()

    with pytest.raises(KeyboardInterrupt):
        call_command(["run"], folder=tmp_path, where="here")

    assert started[0].wait(timeout=20) != 0


def _interrupt_when(ready: Path) -> None:
    end = time.monotonic() + 20
    while not ready.exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
