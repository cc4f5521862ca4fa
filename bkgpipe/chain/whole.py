"""Tell whether a product is there and complete: one answer for all who ask.

`run`, `status`, `plan` and the Python API ask here, so that none says done where
another says missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError

__all__ = ["file_state", "made_from", "product_fault", "require_place"]

ReadHeader = Callable[[Path], ProductHeader]

_STAGE_FOLDER = re.compile(r"[a-z]+-[0-9a-f]{6}")


def product_fault(
    path: Path, *, read_header: ReadHeader, is_current: Callable[[str], bool]
) -> str:
    """Tell why a product must be made.

    Parameters
    ----------
    path : Path
        Its file.
    read_header : callable
        Reads the header of the file; raises DamagedFileError.
    is_current : callable
        Tells of a digest whether it is that of the present inputs.

    Returns
    -------
    str
        ``missing``, ``outdated`` (made from other inputs), or empty.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    PassingError
        If it cannot be read at the moment, so that nobody knows.
    """
    found = made_from(path, read_header)
    if found is None:
        return "missing"
    return "" if is_current(found) else "outdated"


def made_from(path: Path, read_header: ReadHeader) -> str | None:
    """Read the digest of the inputs that a product was made from.

    Parameters
    ----------
    path : Path
        Its file.
    read_header : callable
        Reads the header of the file; raises DamagedFileError.

    Returns
    -------
    str or None
        Digest; None if there is no such file.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    PassingError
        If it cannot be read at the moment.
    """
    state = file_state(path)
    return _read_once(read_header, path, state).inputs if state else None


def file_state(path: Path) -> tuple[int, int, int] | None:
    """Tell one state of a file from another, without opening it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tuple of int or None
        Time of the last change, size, number on the disk; None if it is not there.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


# each task that needs all chunks asks all of them: 10^5 runs have 6000 files
@lru_cache(maxsize=20_000)
def _read_once(
    read_header: ReadHeader, path: Path, _state: tuple[int, int, int]
) -> ProductHeader:
    header = read_header(path)
    require_place(path, header)
    return header


def require_place(path: Path, header: ProductHeader) -> None:
    """Refuse a product that was moved here from another production or stage.

    Parameters
    ----------
    path : Path
        Its file.
    header : ProductHeader
        Its header.

    Raises
    ------
    DamagedFileError
        If it belongs elsewhere.
    """
    expected = path.parent.name
    found = f"{header.stage}-{header.fingerprint}"
    if _STAGE_FOLDER.fullmatch(expected) and found != expected:
        raise DamagedFileError(
            what=f"is a product of {found}",
            where=str(path),
            fix="Leave the files in their folders",
        )
