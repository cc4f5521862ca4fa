"""Checksums of files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

__all__ = ["join_sums", "sum_file"]


def sum_file(path: Path) -> str:
    """Read a file, and return its checksum.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        SHA-256, in hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def join_sums(sums: Sequence[str]) -> str:
    """Put the checksums of several files together.

    Parameters
    ----------
    sums : sequence of str
        SHA-256 of each, in hexadecimal digits.

    Returns
    -------
    str
        That of a single file itself, for several one of all.
    """
    if len(sums) == 1:
        return sums[0]
    return hashlib.sha256("".join(sums).encode()).hexdigest()
