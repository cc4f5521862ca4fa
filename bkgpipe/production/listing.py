"""What files a folder holds, by one look at it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from bkgpipe.io.passing import require_lasting

__all__ = ["find_lost", "forget_listings"]


def find_lost(folder: Path, names: Iterable[str]) -> str:
    """Look for files that should be there.

    Folders are listed once for each state of them, and no file is looked at by itself.

    Parameters
    ----------
    folder : Path
        Folder.
    names : iterable of str
        Files, relative to it.

    Returns
    -------
    str
        Which ones are missing, in words; empty when none is.
    """
    wanted: dict[str, list[str]] = {}
    for name in names:
        place, _, file = name.rpartition("/")
        wanted.setdefault(place, []).append(file)
    lost = [
        f"{place}/{file}" if place else file
        for place, files in sorted(wanted.items())
        for file in sorted(set(files) - _list(folder / place))
    ]
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    return f"{lost[0]}{more} missing" if lost else ""


def forget_listings() -> None:
    """Forget what folders held."""
    _list_state.cache_clear()


def _list(folder: Path) -> frozenset[str]:
    try:
        return _list_state(folder, folder.stat().st_mtime_ns)
    except OSError as error:
        require_lasting(error, where=str(folder))
        return frozenset()


@lru_cache(maxsize=16)
def _list_state(folder: Path, _changed: int) -> frozenset[str]:
    return frozenset(os.listdir(folder))  # noqa: PTH208, quicker for 1e5 names
