"""Only regular files are opened: a pipe or a device would be waited for for ever."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

__all__ = ["require_regular"]


def require_regular(path: Path) -> None:
    """Refuse what is no regular file, or a link to one.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    OSError
        If it is not there, or a folder, a pipe, a socket or a device.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
