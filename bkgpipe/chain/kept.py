"""Settings that are kept beside the products of a production."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bkgpipe.errors import SettingsError
from bkgpipe.settings import Settings, read_settings, settings_text
from bkgpipe.settings.fingerprint import stage_values

__all__ = ["find_changes", "frozen_settings"]

_MAX_READ = 30


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
    # where it runs is not part of what it is: all that share a scheduler name it alike
    run = replace(settings.run, workers=1, scheduler_host="", scheduler_port=1)
    text = settings_text(replace(settings, run=run))
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
