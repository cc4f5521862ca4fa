"""Run bkgpipe commands in forked processes, so that none waits for the imports.

Reads one command a line as JSON, ``[folder, log, word, ...]``, and prints the number of
its process, which leads a process group of its own; an empty line asks for the exit
code of the last one, negative when a signal ended it.
"""

from __future__ import annotations

import json
import os
import sys

import bkgpipe.cli.demo
import bkgpipe.cli.run  # noqa: F401
from bkgpipe.cli.main import main


def _become(folder: str, log: str, words: list[str]) -> None:
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (0, 1, 2):
        os.dup2(file, number)
    os.chdir(folder)
    try:
        main(words)
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
    finally:
        os._exit(70)


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _serve() -> None:
    pid = 0
    for line in sys.stdin:
        if line.strip():
            folder, log, *words = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _become(folder, log, words)
            _answer(pid)
        else:
            _, status = os.waitpid(pid, 0)
            _answer(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _serve()
