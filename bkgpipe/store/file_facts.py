"""Size and time of the files of a store."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from bkgpipe.core.passing import require_lasting
from bkgpipe.store.store_folder import is_permitted

__all__ = ["file_facts"]


def file_facts(store: Path, files: Sequence[str]) -> list[tuple[int, int]]:
    """Look up size and time of files, (-1, 0) for missing or forbidden ones.

    Each folder is listed once: asking for 10^5 files one by one takes minutes on the
    file systems of sites.

    Parameters
    ----------
    store : Path
        Folder of the store.
    files : sequence of str
        Files relative to it.

    Returns
    -------
    list of tuple of int
        Size [bytes] and time of the last change [ns] of each.

    Raises
    ------
    PassingError
        If a folder cannot be read at the moment.
    """
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for file in files:
        folder, name = os.path.split(file)
        wanted[folder][name] = file
    facts: dict[str, tuple[int, int]] = {}
    for folder, names in wanted.items():
        facts |= _list_folder(store, folder, names)
    return [facts.get(file, (-1, 0)) for file in files]


def _list_folder(
    store: Path, folder: str, names: Mapping[str, str]
) -> dict[str, tuple[int, int]]:
    """Look for names in a folder; each stands for a file of the index."""
    real = os.path.realpath(store / folder)
    if not is_permitted(store, real):
        return {}
    try:
        with os.scandir(real) as entries:
            found = (entry for entry in entries if entry.name in names)
            return {names[entry.name]: _facts(store, entry) for entry in found}
    except OSError as error:
        require_lasting(error, where=real)
        return {}


def _facts(store: Path, entry: os.DirEntry[str]) -> tuple[int, int]:
    if not entry.is_file() or (
        entry.is_symlink() and not is_permitted(store, os.path.realpath(entry.path))
    ):
        return -1, 0
    status = entry.stat()
    return status.st_size, status.st_mtime_ns
