"""Bring what was written to the disk itself, so that a loss of power does no harm."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["flush", "make_folder", "put_in_place"]

# What file systems answer that cannot flush a folder
_NO_FOLDERS = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file that is complete, its content first and its name last on the disk.

    Without the first flush the name may stand for an empty file after a loss of power.

    Parameters
    ----------
    temporary : Path
        The file as it was written.
    path : Path
        Its name to be, in the same folder.

    Raises
    ------
    OSError
        If the disk is full, or fails.
    """
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Parameters
    ----------
    path : Path
        File or folder.

    Raises
    ------
    OSError
        If the disk is full, or fails.
    """
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if not path.is_dir() or error.errno not in _NO_FOLDERS:
            raise
    finally:
        os.close(number)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, if they are not there.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    flush(path.parent)
