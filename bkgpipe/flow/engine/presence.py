"""Which processes work on a production at this moment."""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bkgpipe.errors import BusyError
from bkgpipe.product.whole_file import HOST, is_alive, write_text

__all__ = ["Submitter", "announce", "submitters"]

_log = logging.getLogger(__name__)

# A submitter touches its file far more often, so one that has not is gone
_SILENT = 300.0


@dataclass(frozen=True, kw_only=True)
class Submitter:
    """A process that works on a production.

    Attributes
    ----------
    host : str
        Name of its machine.
    pid : int
        Its number there.
    started : float
        When it began, by the clock of its machine [s since 1970].
    scheduler : str
        Scheduler that shares out its work; ``local`` for one of its own.
    """

    host: str
    pid: int
    started: float
    scheduler: str

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.started))
        return f"process {self.pid} on {self.host} since {since}"


@contextmanager
def announce(folder: Path, *, scheduler: str) -> Iterator[Callable[[], None]]:
    """Tell others that this process works on a production while the block runs.

    Any number may work on it by way of one central scheduler, which never gives a task
    to two of them. Two that do not know of each other would do all work twice, so the
    second one is refused. Nothing is corrupted even then: files are renamed when they
    are whole.

    Parameters
    ----------
    folder : Path
        Output folder of the production.
    scheduler : str
        Address of the central scheduler, or ``local``.

    Yields
    ------
    callable
        Says that this process is still there, to be called every minute or so.

    Raises
    ------
    BusyError
        If another one works on it that does not share the scheduler.
    OutputError
        If the folder cannot be written.
    """
    me = Submitter(host=HOST, pid=os.getpid(), started=time.time(), scheduler=scheduler)
    path = folder / "running" / f"{me.host}-{me.pid}.json"
    text = json.dumps(asdict(me))
    write_text(path, text)
    try:
        _require_shared(folder, me)
        yield partial(_beat, path)
    finally:
        with suppress(OSError):
            path.unlink()


def submitters(folder: Path) -> tuple[Submitter, ...]:
    """List the processes that work on a production.

    Parameters
    ----------
    folder : Path
        Output folder of the production.

    Returns
    -------
    tuple of Submitter
        The oldest first; those that died or have been silent for five minutes are
        not there any more.
    """
    found = [_read(path) for path in (folder / "running").glob("*.json")]
    alive = [one for one in found if one is not None]
    return tuple(sorted(alive, key=_age_key))


def _beat(path: Path) -> None:
    # the file is gone when the production has just ended, and must not come back
    with suppress(OSError):
        os.utime(path)


def _require_shared(folder: Path, me: Submitter) -> None:
    others = [one for one in submitters(folder) if one != me]
    for other in others:
        is_shared = other.scheduler == me.scheduler != "local"
        # of two that start together each sees the other: the older one goes on
        if not is_shared and _age_key(other) < _age_key(me):
            raise BusyError(
                what=f"{other} works on this production (scheduler: {other.scheduler})",
                where=str(folder),
                fix="Wait for it, or stop it and start all with the same "
                "--scheduler-host; if it is gone, remove the folder running in there",
            )
    if others:
        _log.info("%d more work on this production, %s first", len(others), others[0])


def _age_key(submitter: Submitter) -> tuple[float, str, int]:
    return submitter.started, submitter.host, submitter.pid


def _read(path: Path) -> Submitter | None:
    """Read what a submitter says of itself; None when it is gone."""
    try:
        submitter = Submitter(**json.loads(path.read_text(encoding="utf-8")))
        silence = _now(path.parent) - path.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return None
    is_dead = submitter.host == HOST and not is_alive(submitter.pid)
    # a number that is alive but silent was given to another process
    return None if is_dead or silence > _SILENT else submitter


def _now(folder: Path) -> float:
    """Time by the clock of the file system, which all machines share."""
    # a name that `find_stale` knows
    probe = folder / f".clock.{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:  # of a folder that may only be read: clocks agree in minutes
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink()
