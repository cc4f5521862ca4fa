"""Tell whether a product is there and complete: one answer for all who ask.

`run`, `status`, `plan` and the Python API ask here, so that none says done where
another says missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from bkgpipe.chain.listing import find_lost
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.chunk_file import read_identities
from bkgpipe.product.hdf5 import opened
from bkgpipe.stages.export.files import read_seals

__all__ = [
    "file_state",
    "find_unsealed",
    "made_from",
    "product_fault",
    "require_place",
    "runs_fault",
]

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


def runs_fault(path: Path, wanted: Mapping[int, str]) -> str:
    """Tell why a file of masks or counts must be made, or made longer.

    Parameters
    ----------
    path : Path
        The file.
    wanted : mapping of int to str
        Digest of each run that is asked for.

    Returns
    -------
    str
        ``missing``, ``outdated`` (one of the runs is not in it, or has changed), or
        empty, also when it holds others as well.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    PassingError
        If it cannot be read at the moment.
    """
    state = file_state(path)
    if state is None:
        return "missing"
    return "" if wanted.items() <= _read_identities(path, state) else "outdated"


def find_unsealed(path: Path) -> str:
    """Look for models and events files that a chunk of `export` stands for.

    Parameters
    ----------
    path : Path
        Chunk of `export`.

    Returns
    -------
    str
        Which ones are missing or have another size, in words; empty when none is.

    Raises
    ------
    DamagedFileError
        If the chunk is not what was written.
    """
    return find_lost(path.parent, read_seals(path))


# each task that needs all chunks asks all of them: 10^5 runs have 6000 files
@lru_cache(maxsize=20_000)
def _read_once(
    read_header: ReadHeader, path: Path, _state: tuple[int, int, int]
) -> ProductHeader:
    header = read_header(path)
    require_place(path, header)
    return header


@lru_cache(maxsize=20_000)
def _read_identities(
    path: Path, _state: tuple[int, int, int]
) -> frozenset[tuple[int, str]]:
    with opened(path) as file:
        require_place(path, file.header)
        return frozenset(read_identities(file).items())


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
