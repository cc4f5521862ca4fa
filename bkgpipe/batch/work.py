"""What a batch job does."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable

from bkgpipe._version import __version__
from bkgpipe.batch.waves import find_tasks, wave_folder
from bkgpipe.errors import SettingsError, SiteError
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.engine.build import build
from bkgpipe.geometry.frames import load_earth_orientation
from bkgpipe.settings import Settings

__all__ = ["require_folder", "run_job"]

_log = logging.getLogger(__name__)


def require_folder(settings: Settings, word: str, *, folder: str) -> None:
    """Raise when the products would not be those that the submitter waits for.

    Parameters
    ----------
    settings : Settings
        Settings that a production keeps beside its products.
    word : str
        What to make.
    folder : str
        Name of the folder of the products, as the submitter knows it.

    Raises
    ------
    SiteError
        If this version of bkgpipe makes other ones.
    """
    found = wave_folder(settings, word)
    if found != folder:
        raise SiteError(
            what=f"bkgpipe {__version__} writes {found}, the submitter waits for "
            f"{folder}",
            where=sys.executable,
            fix="Use the same version of bkgpipe in jobs, or in their image, and where "
            "they are sent from",
        )


def run_job(settings: Settings, word: str, chunks: Iterable[int]) -> bool:
    """Make some chunks, one after the other, and go on past one that fails.

    Parameters
    ----------
    settings : Settings
        Settings that a production keeps beside its products.
    word : str
        What to make, one of `bkgpipe.batch.waves.WORDS`.
    chunks : iterable of int
        Chunks.

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
    made = [_make(tasks[chunk], settings) for chunk in wanted]
    return all(made)


def _make(task: StageTask, settings: Settings) -> bool:
    if task.complete():
        _log.info("%s is there already", task.output().path)
        return True
    started = time.monotonic()
    build(task, settings)
    is_made = bool(task.complete())
    _log.info(
        "%s %s after %.1f s",
        task.output().path,
        "made" if is_made else "not made",
        time.monotonic() - started,
    )
    return is_made
