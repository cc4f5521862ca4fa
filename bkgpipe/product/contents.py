"""What files hold: checksums, kept so that no file is read twice for them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bkgpipe.core.passing import passing_reason
from bkgpipe.core.sums import sum_file
from bkgpipe.product.whole_file import write_text

__all__ = [
    "UNREAD",
    "Contents",
    "read_contents",
    "write_contents",
]

UNREAD = "unread"
"""Stands for the checksum of a file that cannot be read at the moment."""

_THREADS = 4  # that wait for a file system at a time
_TRIALS = 3  # to read a file that may be back at once

_State = tuple[int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """Checksums of files, each as long as its size and time are the same.

    Attributes
    ----------
    known : mapping of str to tuple
        Size [bytes], time of the last change [ns] and SHA-256, by absolute path.
    unread : frozenset of str
        Absolute paths of files that could not be read; not kept.
    """

    known: Mapping[str, tuple[int, int, str]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def look(self, paths: Iterable[Path]) -> Contents:
        """Look at files, and read those that are not as they were.

        Parameters
        ----------
        paths : iterable of Path
            Files, absolute. Those that are missing are left out.

        Returns
        -------
        Contents
            With the checksums of these files as they are now; the same object when all
            were known.
        """
        states = {str(path): _state(path) for path in paths}
        new = {path for path, state in states.items() if self._is_new(path, state)}
        if not new:
            return self
        there = sorted(path for path in new if states[path] is not None)
        with ThreadPoolExecutor(_THREADS) as pool:
            sums = dict(zip(there, pool.map(_sum_file, there), strict=True))
        known = {path: each for path, each in self.known.items() if path not in new}
        for path, found in sums.items():
            state = states[path]
            if found not in {"", UNREAD} and state is not None:
                known[path] = (*state, found)
        unread = frozenset(path for path, found in sums.items() if found == UNREAD)
        return Contents(known=known, unread=unread)

    def checksum(self, path: Path) -> str:
        """Return the checksum of a file that was looked at.

        Parameters
        ----------
        path : Path
            The file, absolute.

        Returns
        -------
        str
            SHA-256; empty for a file that is missing, `UNREAD` for one that could not
            be read.
        """
        if str(path) in self.unread:
            return UNREAD
        return self.known.get(str(path), (0, 0, ""))[2]

    def _is_new(self, path: str, state: _State | None) -> bool:
        known = self.known.get(path)
        return state != (None if known is None else known[:2])


def read_contents(path: Path) -> Contents:
    """Read the checksums that are kept.

    Parameters
    ----------
    path : Path
        JSON file; one that is missing or damaged knows nothing.

    Returns
    -------
    Contents
        Checksums.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {
            str(name): (int(size), int(changed), str(found))
            for name, (size, changed, found) in values.items()
        }
    except (AttributeError, OSError, TypeError, ValueError):
        return Contents()
    return Contents(known=known)


def write_contents(path: Path, contents: Contents) -> None:
    """Keep checksums.

    Parameters
    ----------
    path : Path
        JSON file; its folder is made.
    contents : Contents
        Checksums.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(path, json.dumps(contents.known))


def _state(path: Path) -> _State | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # a pipe would be waited for
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _sum_file(path: str) -> str:
    """Compute a checksum; whoever reads the file next tells why that cannot be done."""
    found = ""
    for _ in range(_TRIALS):
        try:
            return sum_file(Path(path))
        except OSError as error:
            found = UNREAD if passing_reason(error) else ""
    return found
