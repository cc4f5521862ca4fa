"""What a batch job does."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from bkgpipe.errors import SettingsError
from bkgpipe.grid.waves import find_tasks
from bkgpipe.numerics.geometry import load_earth_orientation
from bkgpipe.settings import Settings
from bkgpipe.tasks.base import StageTask
from bkgpipe.tasks.engine import build

__all__ = ["run_job"]

_log = logging.getLogger(__name__)


def run_job(settings: Settings, word: str, chunks: Iterable[int], *, log: Path) -> bool:
    """Make some chunks, one after the other, and go on past one that fails.

    Parameters
    ----------
    settings : Settings
        Settings that a production keeps beside its products.
    word : str
        What to make, one of `bkgpipe.grid.waves.WORDS`.
    chunks : iterable of int
        Chunks.
    log : Path
        File that keeps the messages.

    Returns
    -------
    bool
        Whether all of them are there now.

    Raises
    ------
    SettingsError
        If the production has no such chunk.
    """
    tasks = find_tasks(word, settings.path)
    wanted = tuple(chunks)
    unknown = [chunk for chunk in wanted if chunk not in tasks]
    if unknown:
        raise SettingsError(
            what=f"no chunk {', '.join(map(str, unknown))} of {word}",
            where=str(settings.path),
            fix="Name the settings that bkgpipe run keeps in the output folder",
        )
    load_earth_orientation()
    made = [_make(tasks[chunk], settings, log=log) for chunk in wanted]
    return all(made)


def _make(task: StageTask, settings: Settings, *, log: Path) -> bool:
    if task.complete():
        _log.info("%s is there already", task.output().path)
        return True
    started = time.monotonic()
    build(task, settings, log=log)
    is_made = bool(task.complete())
    _log.info(
        "%s %s after %.1f s",
        task.output().path,
        "made" if is_made else "not made",
        time.monotonic() - started,
    )
    return is_made
