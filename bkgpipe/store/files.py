"""Files of a store as bytes and as FITS, with all that can be wrong with them."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from bkgpipe.core.passing import require_lasting
from bkgpipe.errors import InputError
from bkgpipe.store.cards import mend_headers, outside_data
from bkgpipe.store.fits_sums import require_sums
from bkgpipe.store.store_folder import is_permitted
from bkgpipe.text import printable

__all__ = [
    "MAX_BYTES",
    "allow_words",
    "inflate",
    "locate",
    "open_fits",
    "read_content",
    "refuse_endless_units",
    "require_end",
]

MAX_BYTES = 4 * 1024**3
"""Largest file of one run, inflated; more is not a run but a damaged or wrong file."""

_GZIP_MAGIC = b"\x1f\x8b"
# Real files shrink to a third: what grows a hundredfold was made to fill the memory
_SMALL, _MAX_GROWTH, _MAX_MEMBERS = 64 * 1024**2, 100, 1000
# astropy works out powers of any size, such as those in 10**99999999 m. A pattern that
# starts with a plain word is found twenty times as fast as one that does not.
_ENDLESS_UNIT = re.compile(rb"UNIT\d{0,3} *= *'[^'/]{0,68}?\d{4}")
_NO_CHARACTER = "\N{REPLACEMENT CHARACTER}"  # of what was none in an index
_EXCLUDE = "Restore the file or exclude the run"
# ISA-L inflates twice as fast, and offers the same functions
_zlib = import_module("isal.isal_zlib" if find_spec("isal") else "zlib")


def locate(store: Path, file: str, *, where: str) -> Path:
    """Find a file of a store.

    Parameters
    ----------
    store : Path
        Folder of the store; a `StoreFolder` may allow others.
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
        If the index names no file, one that is no text, or one where files of the
        store may not be.
    """
    if not file:
        raise InputError(
            what="the HDU index names no such file",
            where=where,
            fix="Add the run to the HDU index or exclude the run",
        )
    if not file.isprintable() or _NO_CHARACTER in file:
        raise InputError(
            what=f"the HDU index names {file!r}, which holds control characters",
            where=where,
            fix="Rename the file and correct FILE_NAME in the HDU index, or exclude the"
            " run",
        )
    path = os.path.realpath(store / file)
    if not is_permitted(store, path):
        raise InputError(
            what=f"the file is at {path}, outside the store",
            where=where,
            fix=allow_words([str(Path(path).parent)]),
        )
    return Path(path)


def allow_words(folders: Sequence[str]) -> str:
    """Say what to do about files outside of a store.

    Parameters
    ----------
    folders : sequence of str
        Folders that hold them.

    Returns
    -------
    str
        Sentence for the fix of an error.
    """
    return f"If its files belong there, set [data] allow = {', '.join(folders)}"


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
        If it is missing or too large.
    PassingError
        If it cannot be read at the moment.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(where)
        if status.st_size > MAX_BYTES:
            raise _too_large(MAX_BYTES, where)
        return path.read_bytes()
    except OSError as error:
        require_lasting(error, where=where)
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
    limit = min(MAX_BYTES, max(_SMALL, _MAX_GROWTH * len(content)))
    left = limit
    while content:
        part, content = _inflate_member(content, left, where)
        parts.append(part)
        left -= len(part)
        if left < 0 or len(parts) > _MAX_MEMBERS:
            raise _too_large(limit, where)
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
    if not stream.eof and len(part) <= left:
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
        HDUs, read when asked for; words in tables are bytes, and headers are free of
        control characters.

    Raises
    ------
    InputError
        If the file is truncated or not FITS, or a checksum that it has is wrong.
    """
    try:
        refuse_endless_units(outside_data(content))
        require_sums(content, where=where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            warnings.filterwarnings("error", ".*truncated", AstropyUserWarning)
            options = {"lazy_load_hdus": True, "character_as_bytes": True}
            with fits.open(BytesIO(mend_headers(content)), **options) as hdus:
                yield hdus
    except _UNREADABLE as error:
        raise InputError(
            what=f"the FITS file is damaged or truncated ({printable(str(error))})",
            where=where,
            fix=_EXCLUDE,
        ) from error


def refuse_endless_units(content: bytes) -> None:
    """Refuse headers with a unit that astropy would work on for ever.

    Parameters
    ----------
    content : bytes
        FITS headers.

    Raises
    ------
    ValueError
        If there is one.
    """
    if found := _ENDLESS_UNIT.search(content):
        raise ValueError(found[0].decode(errors="replace"))


def require_end(hdus: fits.HDUList, content: bytes) -> None:
    """Refuse a file of which the last HDU is cut: astropy passes over it.

    Parameters
    ----------
    hdus : HDUList
        All HDUs, in a block of `open_fits`.
    content : bytes
        The file, inflated.

    Raises
    ------
    OSError
        If something follows that is no HDU.
    """
    place = hdus[-1].fileinfo()
    end = place["datLoc"] + place["datSpan"]
    if content[end:].strip(b"\0 "):
        raise OSError(f"what follows byte {end} of {len(content)} is no HDU")


def _no_file(where: str) -> InputError:
    """Make the error for a folder, or for a pipe or device, which would never end."""
    what = "the file cannot be read (it is no regular file)"
    return InputError(what=what, where=where, fix=_EXCLUDE)


def _too_large(limit: int, where: str) -> InputError:
    return InputError(
        what=f"the file has more than {limit} bytes when inflated",
        where=where,
        fix="Check what it is, and exclude the run",
    )


# What astropy makes of a damaged header is any of these
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    AstropyUserWarning,
    fits.VerifyError,
)
