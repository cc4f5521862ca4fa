"""Files of a store as bytes and as FITS, with all that can be wrong with them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from bkgpipe.errors import InputError

__all__ = ["MAX_BYTES", "inflate", "is_inside", "locate", "open_fits", "read_content"]

MAX_BYTES = 4 * 1024**3
"""Largest file of one run, inflated; more is not a run but a damaged or wrong file."""

_GZIP_MAGIC = b"\x1f\x8b"
_EXCLUDE = "Restore the file or exclude the run"
# ISA-L inflates twice as fast, and offers the same functions
_zlib = import_module("isal.isal_zlib" if find_spec("isal") else "zlib")


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


def locate(store: Path, file: str, *, where: str) -> Path:
    """Find a file of a store.

    Parameters
    ----------
    store : Path
        Folder of the store.
    file : str
        File relative to the store.
    where : str
        Run and file, for the error.

    Returns
    -------
    Path
        The file itself, links followed.

    Raises
    ------
    InputError
        If the index names no file, or one outside the store.
    """
    if not file:
        raise InputError(
            what="the HDU index names no such file",
            where=where,
            fix="Add the run to the HDU index or exclude the run",
        )
    root, path = os.path.realpath(store), os.path.realpath(store / file)
    if not is_inside(root, path):
        raise InputError(
            what=f"the file is at {path}, outside the store",
            where=where,
            fix="Copy the file into the store and correct its HDU index",
        )
    return Path(path)


def read_content(path: Path, *, where: str) -> bytes:
    """Read a file as it is.

    Parameters
    ----------
    path : Path
        The file.
    where : str
        Run and file, for the error.

    Returns
    -------
    bytes
        Its content.

    Raises
    ------
    InputError
        If it is missing, unreadable or too large.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _too_large(where)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            what=f"the file cannot be read ({reason})", where=where, fix=_EXCLUDE
        ) from error


def inflate(content: bytes, *, where: str) -> bytes:
    """Undo gzip, if there is any.

    Parameters
    ----------
    content : bytes
        Content of a file.
    where : str
        Run and file, for the error.

    Returns
    -------
    bytes
        Content, inflated.

    Raises
    ------
    InputError
        If it is damaged, truncated or too large.
    """
    if not content.startswith(_GZIP_MAGIC):
        return content
    parts: list[bytes] = []
    left = MAX_BYTES
    while content:
        part, content = _inflate_member(content, left, where)
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate_member(content: bytes, left: int, where: str) -> tuple[bytes, bytes]:
    """Inflate the first of the gzip streams that a file may consist of."""
    stream = _zlib.decompressobj(wbits=31)
    try:
        part = stream.decompress(content, left + 1)
    except _zlib.error as error:
        raise InputError(
            what=f"the gzip file is damaged ({error})", where=where, fix=_EXCLUDE
        ) from error
    if len(part) > left:
        raise _too_large(where)
    if not stream.eof:
        raise InputError(what="the gzip file is truncated", where=where, fix=_EXCLUDE)
    return part, stream.unused_data.lstrip(b"\0")


@contextmanager
def open_fits(content: bytes, *, where: str) -> Iterator[fits.HDUList]:
    """Open bytes as FITS; what goes wrong in the block is an input error as well.

    Parameters
    ----------
    content : bytes
        Content of a FITS file, inflated.
    where : str
        Run and file, for the error.

    Yields
    ------
    HDUList
        HDUs, read when asked for; words in tables are bytes.

    Raises
    ------
    InputError
        If the file is truncated or not FITS.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            warnings.filterwarnings("error", ".*truncated", AstropyUserWarning)
            options = {"lazy_load_hdus": True, "character_as_bytes": True}
            with fits.open(BytesIO(content), **options) as hdus:
                yield hdus
    except _UNREADABLE as error:
        raise InputError(
            what=f"the FITS file is damaged or truncated ({error})",
            where=where,
            fix=_EXCLUDE,
        ) from error


def _too_large(where: str) -> InputError:
    return InputError(
        what=f"the file has more than {MAX_BYTES} bytes when inflated",
        where=where,
        fix="Check what it is, and exclude the run",
    )


_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AstropyUserWarning,
    fits.VerifyError,
)
