"""Call the command in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bkgpipe.errors import BkgpipeError, SettingsError

__all__ = ["call_command"]

_GRACE = 2.0  # s, for a command that the terminal interrupted as well
_PATIENCE = 30.0  # s, for workers to stop
_LAST = 5  # lines of what was said, where no error is told
_ERROR = "Error: "


def call_command(words: Sequence[str], *, folder: Path, where: str) -> None:
    """Call the command, pass on what it tells, and wait until it is done.

    When the wait is interrupted, the command is interrupted as well.

    Parameters
    ----------
    words : sequence of str
        Arguments of ``bkgpipe``.
    folder : Path
        Working folder.
    where : str
        What it is about, for an error.

    Raises
    ------
    SettingsError
        If it was called wrongly, or the settings cannot be used.
    BkgpipeError
        If it failed otherwise.
    """
    told = []
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "bkgpipe", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with _ended(process):
        for line in process.stderr or ():
            told.append(line.rstrip())
            if not line.startswith((_ERROR, "Usage: ")):
                sys.stderr.write(line)
        code = process.wait()
    if code:
        raise _failure(code, told, where=where)


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        # a second interrupt would end it before it has tidied up
        if not _ends_within(process, _GRACE):
            process.send_signal(signal.SIGINT)
            if not _ends_within(process, _PATIENCE):
                process.kill()
        if process.stderr:
            process.stderr.close()


def _ends_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _failure(code: int, told: Sequence[str], *, where: str) -> BkgpipeError:
    """Make an error of what a command said at last."""
    starts = [i for i, line in enumerate(told) if line.startswith(_ERROR)]
    said = told[starts[-1] :] if starts else told[-_LAST:]
    words = " ".join(line.removeprefix(_ERROR) for line in said).rstrip(".")
    words = words or "it does not say why"
    kind = SettingsError if code == 2 else BkgpipeError
    return kind(
        what=f"the command ended with exit code {code}: {words}",
        where=where,
        fix="Correct that, and run it again: it goes on where it was",
    )
