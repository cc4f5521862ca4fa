"""Run bkgpipe commands in forked processes whose calls to the system are disturbed.

A process like this has the preloaded library (see `intercept.c`) and all that a command
imports, so that a command starts at once. Reads one order a line as JSON, and answers
each with a line of JSON; `world.py` is the other side.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import bkgpipe.cli.check
import bkgpipe.cli.run  # noqa: F401
from bkgpipe.cli.main import main
from bkgpipe.geometry.frames import load_earth_orientation

_LIBRARY = ctypes.CDLL(os.environ["LD_PRELOAD"])
_TICK = 0.005


def _call(name: str, *values: str | int) -> int:
    given = [v.encode() if isinstance(v, str) else ctypes.c_long(v) for v in values]
    return int(getattr(_LIBRARY, name)(*given))


def _become(order: dict[str, Any]) -> None:
    os.setsid()
    file = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (0, 1, 2):
        os.dup2(file, number)
    os.chdir(order["folder"])
    for name, *values in order["calls"]:
        _call(name, *values)
    try:
        main(order["words"])
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(70)


def _wait(pid: int, seconds: float) -> int | None:
    """Exit code of a process, negative after a signal; None when it took too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_TICK)
    return None


def _obey(order: dict[str, Any]) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        _become(order)
    code = _wait(pid, order["seconds"])
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if code is None:
        os.waitpid(pid, 0)
    n_failed, n_changes = _call("faults_failed"), _call("faults_changed")
    return {"code": code, "n_failed": n_failed, "n_changes": n_changes}


def _serve() -> None:
    load_earth_orientation()  # takes as long as all the rest of a small production
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(_obey(json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    _serve()
