"""Run the blocks of a page of the documentation in order, in one folder.

``console``: each line that starts with ``$ `` is a command (``\\`` at its end goes on
in the next line), the lines after it are what it prints. ``python``: all blocks of
a page have their names in common. Any other block whose first line is ``# NAME.cfg``
(or .yaml, .txt, .reg) is written to that file. A block after
``<!-- not run: REASON -->`` is left out.

By hand, to see what a page prints: ``python tests/docs/run_page.py PAGE.md [FOLDER]``.
Otherwise it reads one ``[page, folder, result]`` a line as JSON, runs the page in a
fork, so that none waits for the imports, and answers with its exit code.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bkgpipe.api
import bkgpipe.cli.check
import bkgpipe.cli.closure
import bkgpipe.cli.compare
import bkgpipe.cli.mixing
import bkgpipe.cli.monitor
import bkgpipe.cli.plan
import bkgpipe.cli.report
import bkgpipe.cli.run
import bkgpipe.cli.validate  # noqa: F401
from bkgpipe.cli.main import main

__all__ = ["Block", "Done", "read_blocks", "run_page", "split_commands"]

_NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
_FENCE = re.compile(r"^```(\S*)$")
_NAMED = re.compile(r"^# ([\w-]+\.(?:cfg|yaml|txt|reg))$")
_EXIT = re.compile(r"# exit code (\d)")
_OUTSIDE = re.compile(r"[|;&<]")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, lines, first line in the page, and why not run."""

    language: str
    lines: tuple[str, ...]
    number: int
    reason: str = ""

    @property
    def file(self) -> str:
        """Name of the file that the block is; empty when it is none."""
        found = _NAMED.match(self.lines[0]) if self.lines else None
        return found[1] if found else ""


@dataclass(frozen=True)
class Done:
    """What ran: text, first line in the page, exit codes, lines printed and shown."""

    text: str
    number: int
    code: int
    wanted: int
    printed: str
    shown: tuple[str, ...] = ()
    seconds: float = 0.0


def read_blocks(text: str) -> Iterator[Block]:
    """Find the fenced blocks of a page."""
    language: str | None = None
    reason, held, start = "", [], 0
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _FENCE.match(line)
        if language is not None and line == "```":
            yield Block(language, tuple(held), start, reason)
            language, reason = None, ""
        elif language is not None:
            held.append(line)
        elif fence:
            language, held, start = fence[1], [], number + 1
        elif line.strip():
            found = _NOT_RUN.match(line)
            reason = found[1] if found else ""


def split_commands(block: Block) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Split a console block: each command, its line, and what it is said to print."""
    command, number, shown = "", 0, []
    for at, line in enumerate(block.lines, start=block.number):
        if command.endswith("\\"):
            command = command[:-1] + line.strip()
        elif line.startswith("$ "):
            if command:
                yield command, number, tuple(shown)
            command, number, shown = line[2:], at, []
        else:
            shown.append(line)
    if command:
        yield command, number, tuple(shown)


def run_page(page: Path, tell: Callable[[Done], None]) -> None:
    """Run all blocks in the working folder; end after the first that fails."""
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in read_blocks(page.read_text(encoding="utf-8")):
        for done in () if block.reason else _run_block(block, names):
            tell(done)
            if done.code != done.wanted:
                return


def _run_block(block: Block, names: dict[str, Any]) -> Iterator[Done]:
    if block.file:
        Path(block.file).write_text("\n".join(block.lines) + "\n", encoding="utf-8")
    elif block.language == "python":
        yield _run_python(block, names)
    elif block.language == "console":
        for command, number, shown in split_commands(block):
            started = time.monotonic()
            code, printed = _run_command(command)
            wanted = int(found[1]) if (found := _EXIT.search(command)) else 0
            seconds = time.monotonic() - started
            yield Done(command, number, code, wanted, printed, shown, seconds)


def _run_python(block: Block, names: dict[str, Any]) -> Done:
    printed, code, text = io.StringIO(), 0, "\n".join(block.lines)
    started = time.monotonic()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            exec(compile(text, "<page>", "exec"), names)  # noqa: S102
        except Exception:  # noqa: BLE001
            traceback.print_exc(file=printed)
            code = 1
    seconds = time.monotonic() - started
    return Done(text, block.number, code, 0, printed.getvalue(), (), seconds)


def _run_command(command: str) -> tuple[int, str]:
    """Run bkgpipe in a fork, any other command in a shell."""
    words = shlex.split(command, comments=True)
    if words[0] != "bkgpipe" or _OUTSIDE.search(command):
        shell = shutil.which("bash") or "/bin/bash"
        ended = subprocess.run(  # noqa: S603
            [shell, "-c", command], check=False, capture_output=True, text=True
        )
        return ended.returncode, ended.stdout + ended.stderr
    into = Path(words.pop()) if len(words) > 2 and words[-2] == ">" else None
    if into:
        words.pop()
    words = [name for word in words[1:] for name in _expand(word)]
    with TemporaryDirectory() as folder:
        log = Path(folder, "log")
        pid = os.fork()
        if pid == 0:
            _become(words, log=log)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        printed = log.read_text(encoding="utf-8")
    if into:
        into.write_text(printed, encoding="utf-8")
        printed = ""
    return code, printed


def _expand(word: str) -> list[str]:
    return sorted(map(str, Path().glob(word))) or [word] if "*" in word else [word]


def _become(words: list[str], *, log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (0, 1, 2):
        os.dup2(file, number)
    try:
        main(words)
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(70)


def _save(page: str, folder: str, result: str) -> None:
    done: list[dict[str, Any]] = []
    os.chdir(folder)
    try:
        run_page(Path(page), lambda one: done.append(asdict(one)))
    finally:
        Path(result).write_text(json.dumps(done), encoding="utf-8")
        os._exit(0)


def _serve() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _save(*json.loads(line))
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _show(done: Done) -> None:
    how = f"{done.seconds:.1f} s, exit code {done.code}"
    sys.stdout.write(f"--- line {done.number}, {how}\n")
    sys.stdout.write(f"$ {done.text}\n{done.printed}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ.pop("GAMMAPY_DATA", None)
    if len(sys.argv) == 1:
        _serve()
    else:
        asked = Path(sys.argv[1]).absolute()
        with TemporaryDirectory() as made:
            os.chdir(sys.argv[2] if len(sys.argv) > 2 else made)
            run_page(asked, _show)
