"""Run bkgpipe commands in forked processes, so that none waits for the imports.

Reads one order a line as JSON, and prints the number of the process, which leads a
session of its own; when it ends, its exit code is written into a file, negative when a
signal ended it. `of_forks` is the other side.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import luigi

import bkgpipe.cli.demo
import bkgpipe.cli.pilot
import bkgpipe.cli.run  # noqa: F401
from bkgpipe.cli.main import main
from bkgpipe.flow.engine import build as engine
from bkgpipe.geometry.frames import load_earth_orientation


def _become(order: dict[str, Any]) -> None:
    """Be a process as it would have been started; returns by `SystemExit`."""
    os.setsid()
    # closed when the last of its processes ends
    os.open(order["alive"], os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, order["stdout"]), (2, order["stderr"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    luigi.configuration.get_config().reload()  # it has looked in another folder
    sys.argv = ["bkgpipe", *order["words"]]
    if order["pause"] is not None:
        engine._PAUSE = order["pause"]
    if order["program"]:
        runpy.run_path(order["program"], run_name="__main__")
    main()


def _mind(pid: int, place: Path) -> None:
    """Wait for a process and write down how it ended."""
    sys.stdout.write(f"{pid}\n")
    sys.stdout.flush()
    _, status = os.waitpid(pid, 0)
    part = place.with_suffix(".part")
    part.write_text(str(os.waitstatus_to_exitcode(status)))
    part.rename(place)
    os._exit(0)


def _reap() -> None:
    """Let go of what has ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _serve() -> None:
    load_earth_orientation()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            pid = os.fork()
            if pid == 0:
                _become(order)
            _mind(pid, Path(order["code"]))
        _reap()


if __name__ == "__main__":
    _serve()
