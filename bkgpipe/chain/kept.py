"""Settings that tasks find in their process, or beside the products."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from bkgpipe.errors import SettingsError
from bkgpipe.settings import Settings, read_settings, settings_text
from bkgpipe.settings.fingerprint import stage_values

__all__ = [
    "find_changes",
    "forget_settings",
    "frozen_settings",
    "load_settings",
    "register",
]

_MAX_READ = 30

_registered: dict[str, Settings] = {}


def register(settings: Settings) -> str:
    """Let tasks of this process find settings without a file.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    str
        Name for tasks and `load_settings`, which has a hash of what they are: the path
        of the file that tells the same to other processes, if it is written.
    """
    path, _ = frozen_settings(settings)
    name = str(path)
    _registered[name] = replace(
        settings, path=path, run=settings.run.without_scheduler()
    )
    return name


def load_settings(name: str) -> Settings:
    """Find settings that are registered, else read their file once for each state.

    Parameters
    ----------
    name : str
        What `register` returned, or the path of a settings file.

    Returns
    -------
    Settings
        Settings.

    Raises
    ------
    SettingsError
        If the file cannot be used.
    """
    if name in _registered:
        return _registered[name]
    # tasks ask for it ten thousand times in a production of a hundred runs
    try:
        changed = os.stat(name).st_mtime_ns  # noqa: PTH116
    except OSError:  # which reading it tells of
        changed = 0
    return _read_once(name, changed)


@lru_cache(maxsize=8)
def _read_once(name: str, _changed: int) -> Settings:
    return read_settings(Path(name))


def forget_settings() -> None:
    """Forget what was registered or read."""
    _registered.clear()
    _read_once.cache_clear()


def frozen_settings(settings: Settings) -> tuple[Path, str]:
    """Put settings as they are kept, with absolute paths.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    tuple
        File in the output folder, and its text.
    """
    text = settings_text(replace(settings, run=settings.run.without_scheduler()))
    name = f"settings-{hashlib.sha256(text.encode()).hexdigest()[:6]}.cfg"
    return settings.data.output / "settings" / name, text


def find_changes(settings: Settings, stage: str) -> list[str]:
    """Name the keys that keep a stage from using products that are there.

    Parameters
    ----------
    settings : Settings
        Present settings.
    stage : str
        Stage, as ``count``.

    Returns
    -------
    list of str
        Keys as ``smooth.sigma`` that differ from the nearest settings with products of
        that stage; empty if there are none.
    """
    present = stage_values(settings, stage)
    changes = [
        sorted(
            key
            for key in present.keys() | values.keys()
            # NaN, for no limit, is not equal to itself
            if repr(present.get(key)) != repr(values.get(key))
        )
        for values in _earlier_values(settings, stage)
    ]
    return min(changes, key=len, default=[])


def _earlier_values(settings: Settings, stage: str) -> Iterator[dict[str, object]]:
    files = (settings.data.output / "settings").glob("settings-*.cfg")
    latest = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
    for path in latest[:_MAX_READ]:
        try:
            earlier = read_settings(path)
        except SettingsError:  # of another version
            continue
        if earlier.folder(stage).is_dir():
            yield stage_values(earlier, stage)
