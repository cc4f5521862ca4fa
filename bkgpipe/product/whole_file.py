"""Files that are there only when they are whole, and what killed processes left."""

from __future__ import annotations

import os
import platform
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bkgpipe.errors import OutputError
from bkgpipe.product.flush import make_folder, put_in_place

__all__ = [
    "HOST",
    "find_stale",
    "is_alive",
    "remove_stale",
    "whole_file",
    "write_file",
    "write_part",
    "write_text",
]

_NAMESPACE = Path("/proc/self/ns/pid")
_TEMPORARY = re.compile(r"\..+\.(?P<host>[^.]*)-(?P<pid>\d{1,7})-[0-9a-f]{8}")
_DAY = 86400.0


def _find_host() -> str:
    """Name the set of processes that a process number means something in."""
    name = platform.node().replace(".", "_")
    # in a container numbers can be others, while its name is that of the machine
    numbers = (
        re.sub(r"\D", "", str(_NAMESPACE.readlink())) if _NAMESPACE.is_symlink() else ""
    )
    return f"{name}-{numbers}" if numbers else name


HOST = _find_host()


@contextmanager
def whole_file(
    path: Path, *, place: Callable[[Path, Path], object] = put_in_place
) -> Iterator[Path]:
    """Write a file under another name, and rename it when it is whole and on the disk.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    place : callable, optional
        Renames the first file to the second.

    Yields
    ------
    Path
        Name to write to.

    Raises
    ------
    OutputError
        If the folder cannot be written or is full.
    """
    unique = f"{HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    temporary = path.with_name(f".{path.name}.{unique}")
    try:
        make_folder(path.parent)
        yield temporary
        place(temporary, path)
    except OutputError as error:
        # a writer knows only the name it was given
        raise OutputError(
            what=error.what, where=str(path), fix=error.fix
        ) from error.__cause__
    except OSError as error:
        raise OutputError(
            what=f"cannot be written ({error.strerror or error})",
            where=str(path),
            fix="Set [data] output to a folder that you may write to, with free space",
        ) from error
    finally:
        # what went wrong before is the error to tell
        with suppress(OSError):
            temporary.unlink()


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file that is there only when it is whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    write : callable
        Writes to the path that it is given.

    Raises
    ------
    OutputError
        If the folder cannot be written or is full.
    """
    with whole_file(path) as temporary:
        write(temporary)


def write_text(path: Path, text: str) -> None:
    """Write plain text.

    Parameters
    ----------
    path : Path
        File, which is there as a whole or not at all.
    text : str
        Text.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_part(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file as `write_file`, for `seal_files` to flush it with many others.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    write : callable
        Writes to the path that it is given.

    Raises
    ------
    OutputError
        If the folder cannot be written or is full.
    """
    with whole_file(path, place=Path.replace) as temporary:
        write(temporary)


def find_stale(folder: Path) -> list[Path]:
    """List what killed processes left: files under the names of `whole_file`.

    A file is stale when the process that began it is gone from this machine, or when
    nobody has written to it for a day: of processes elsewhere nothing is known.

    Parameters
    ----------
    folder : Path
        Folder, searched with all below it; need not exist.

    Returns
    -------
    list of Path
        Files.
    """
    stale = []
    for place, _, names in os.walk(folder):
        for name in names:
            found = _TEMPORARY.fullmatch(name)
            path = Path(place, name)
            # another production may remove it at the same time
            with suppress(OSError):
                if found and _is_stale(path, found["host"], int(found["pid"])):
                    stale.append(path)
    return stale


def remove_stale(folder: Path) -> int:
    """Remove the files that `find_stale` lists.

    Parameters
    ----------
    folder : Path
        Folder, searched with all below it; need not exist.

    Returns
    -------
    int
        Number of files that were removed.
    """
    n_removed = 0
    for path in find_stale(folder):
        with suppress(OSError):
            path.unlink()
            n_removed += 1
    return n_removed


def _is_stale(path: Path, host: str, pid: int) -> bool:
    if host == HOST and not is_alive(pid):
        return True
    return time.time() - path.stat().st_mtime > _DAY


def is_alive(pid: int) -> bool:
    """Tell whether a process runs on this machine.

    Parameters
    ----------
    pid : int
        Its number.

    Returns
    -------
    bool
        True also when it belongs to another user.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process is dead, but nobody has asked how it ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(") ")[2].startswith("Z")
