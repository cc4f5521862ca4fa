"""Where a store is, and into which other folders its files may lead."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PosixPath
from typing import Any

__all__ = ["StoreFolder", "is_inside", "is_permitted", "outer_folders", "store_folder"]

_MAX_FOLDERS = 5  # more of them are named by the folder that holds them all


class StoreFolder(PosixPath):
    """The folder of a store, which knows what the settings say of it.

    It is a path like any other; a plain path stands for a store that may not lead
    anywhere else, with index files of the usual names.

    Attributes
    ----------
    allow : tuple of Path
        Other folders that its index and its links may lead into.
    index : Path or None
        File with both indexes; None looks for them in the folder.
    """

    allow: tuple[Path, ...] = ()
    index: Path | None = None

    def __eq__(self, other: object) -> bool:
        """Tell whether the same files can be read in the same way."""
        if isinstance(other, StoreFolder) and (self.allow, self.index) != (
            other.allow,
            other.index,
        ):
            return False
        return super().__eq__(other)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep what the settings say when it goes to another process."""
        return _make, (str(self), self.allow, self.index)

    def __hash__(self) -> int:
        """Return the hash of the path."""
        return super().__hash__()


def store_folder(path: Path, *, allow: Iterable[Path] = ()) -> StoreFolder:
    """Make the folder of a store from what a user names.

    Parameters
    ----------
    path : Path
        The folder, or a FITS file in it that holds both indexes.
    allow : iterable of Path
        Other folders that the files of the store may be in.

    Returns
    -------
    StoreFolder
        The folder.
    """
    if path.is_file():
        return _make(str(path.parent), tuple(allow), path)
    return _make(str(path), tuple(allow), None)


def _make(folder: str, allow: tuple[Path, ...], index: Path | None) -> StoreFolder:
    made = StoreFolder(folder)
    made.allow, made.index = allow, index
    return made


def is_inside(folder: str, path: str) -> bool:
    """Tell whether a path is in a folder.

    Parameters
    ----------
    folder, path : str
        Both as `os.path.realpath` returns them.

    Returns
    -------
    bool
        True also for the folder itself.
    """
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def is_permitted(store: Path, path: str) -> bool:
    """Tell whether files of a store may be at a place.

    Parameters
    ----------
    store : Path
        Folder of the store; a `StoreFolder` may allow others.
    path : str
        The place, as `os.path.realpath` returns it.

    Returns
    -------
    bool
        True within the store, and within what it allows.
    """
    allow = store.allow if isinstance(store, StoreFolder) else ()
    return any(is_inside(os.path.realpath(root), path) for root in (store, *allow))


def outer_folders(store: Path, files: Iterable[str]) -> list[str]:
    """Name the folders outside a store that hold some of its files.

    Parameters
    ----------
    store : Path
        Folder of the store.
    files : iterable of str
        Files relative to it, in use or not.

    Returns
    -------
    list of str
        Folders that ``[data] allow`` would have to name, sorted: those of the files,
        or the one that holds all of them when they are many. Files that are not there
        count for none.
    """
    paths = {Path(os.path.realpath(store / file)) for file in files if file}
    folders = {
        str(path.parent)
        for path in paths
        if not is_permitted(store, str(path)) and path.is_file()
    }
    if len(folders) > _MAX_FOLDERS:
        shared = os.path.commonpath(folders)
        folders = folders if shared == os.sep else {shared}
    return sorted(
        folder
        for folder in folders
        if not any(is_inside(other, folder) for other in folders - {folder})
    )
