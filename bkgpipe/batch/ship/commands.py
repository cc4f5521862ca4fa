"""Commands of batch systems: run, and read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bkgpipe.errors import SiteError

__all__ = ["ask", "ask_json", "write_private"]

_PATIENCE = 120.0  # s


def ask(
    command: Sequence[str], *, folder: Path, fine_codes: Sequence[int] = (0,)
) -> str:
    """Run a command of a batch system.

    Parameters
    ----------
    command : sequence of str
        Its words.
    folder : Path
        Folder to run it in.
    fine_codes : sequence of int
        Exit codes that are an answer.

    Returns
    -------
    str
        What it prints.

    Raises
    ------
    SiteError
        If it does not answer, with the last line that it printed.
    """
    try:
        done = subprocess.run(  # noqa: S603 the words are ours and the settings'
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C"},  # words that are read here
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _silence(command, str(error)) from error
    if done.returncode not in fine_codes:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise _silence(command, lines[-1] if lines else f"exit code {done.returncode}")
    return done.stdout


def ask_json(command: Sequence[str], *, folder: Path) -> list[dict[str, Any]]:
    """Run a command that prints a list in JSON, or nothing.

    Parameters
    ----------
    command : sequence of str
        Its words.
    folder : Path
        Folder to run it in.

    Returns
    -------
    list of dict
        What it prints.

    Raises
    ------
    SiteError
        If it does not answer, or with something else.
    """
    text = ask(command, folder=folder).strip()
    if not text:
        return []
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _silence(command, f"its answer is no JSON: {error}") from error
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        return found
    raise _silence(command, "its answer is no list of jobs")


def write_private(path: Path, text: str) -> Path:
    """Write a file that is for its owner alone: the environment may hold secrets.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        Its text.

    Returns
    -------
    Path
        The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o700)
    path.write_text(text, encoding="utf-8")
    return path


def _silence(command: Sequence[str], why: str) -> SiteError:
    return SiteError(
        what=f"{command[0]} does not do its part: {why}",
        where="batch system",
        fix="Jobs that were sent go on; run again to watch them",
    )
