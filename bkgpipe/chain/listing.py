"""What files a folder holds, and how large they are, by one look at it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from bkgpipe.core.passing import require_lasting
from bkgpipe.core.seal import Seal

__all__ = ["find_lost", "forget_listings"]


def find_lost(folder: Path, seals: Iterable[Seal]) -> str:
    """Look for files that should be there, and compare their sizes.

    Folders are listed once for each state of them, and no file is opened.

    Parameters
    ----------
    folder : Path
        Folder.
    seals : iterable of Seal
        Files, named relative to it, and their sizes.

    Returns
    -------
    str
        Which ones are missing or have another size, in words; empty when none is.

    Raises
    ------
    PassingError
        If a folder cannot be listed at the moment.
    """
    missing, cut = [], []
    for seal in seals:
        place, _, name = seal.name.rpartition("/")
        size = _list(folder / place).get(name)
        if size is None:
            missing.append(seal.name)
        elif size != seal.size:
            cut.append(f"{seal.name} has {size} of {seal.size} bytes")
    if missing:
        return f"{_first_of(missing)} missing"
    return _first_of(cut)


def forget_listings() -> None:
    """Forget what folders held."""
    _list_state.cache_clear()


def _first_of(words: list[str]) -> str:
    more = f" and {len(words) - 1} more" if len(words) > 1 else ""
    return f"{min(words)}{more}" if words else ""


def _list(folder: Path) -> Mapping[str, int]:
    """Return the size of each file in a folder."""
    try:
        return _list_state(folder, folder.stat().st_mtime_ns)
    except OSError as error:
        require_lasting(error, where=str(folder))
        return {}


@lru_cache(maxsize=16)
def _list_state(folder: Path, _changed: int) -> Mapping[str, int]:
    sizes = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            # one that is being written may just have got its name
            with suppress(FileNotFoundError):
                sizes[entry.name] = entry.stat().st_size
    return sizes
