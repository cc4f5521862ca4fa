"""Which errors say something about the moment, and nothing about the content of a file.

A server that does not answer, a disk that fails to read once, or too many open files
are no reason to refuse a run, or to take a product for damaged: the task fails, and is
tried again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from bkgpipe.errors import PassingError

__all__ = ["error_causes", "passing_reason", "require_lasting"]

_PASSING = frozenset(
    {
        errno.EACCES,
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EDQUOT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENODEV,
        errno.ENOLCK,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.ENXIO,
        errno.EPERM,
        errno.EREMOTEIO,
        errno.EROFS,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
# HDF5 tells of the system in words, and h5py makes errors of any class of them
_IN_WORDS = re.compile(r"\berrno = (\d+), error message")


def passing_reason(error: BaseException) -> str:
    """Say what the system answered, if that is why something could not be done.

    Parameters
    ----------
    error : BaseException
        What was raised, with what it was raised from.

    Returns
    -------
    str
        Words of the system; empty when the content is at fault.
    """
    for each in error_causes(error):
        number = _system_number(each)
        if number in _PASSING:
            return os.strerror(number)
    return ""


def require_lasting(error: BaseException, *, where: str) -> None:
    """Refuse to judge a file by an error that may be gone at the next look.

    Parameters
    ----------
    error : BaseException
        What was raised when the file was read.
    where : str
        The file, and the run that it is of.

    Raises
    ------
    PassingError
        If the system could not read the file at this moment.
    """
    reason = passing_reason(error)
    if reason:
        raise PassingError(
            what=f"cannot be read at the moment ({reason})",
            where=where,
            fix="Check disk and permissions, then run again",
        ) from error


def error_causes(error: BaseException) -> Iterator[BaseException]:
    """Follow an error to what it was raised from.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Yields
    ------
    BaseException
        The error itself, then each cause that a traceback would show.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        hidden = None if each.__suppress_context__ else each.__context__
        each = each.__cause__ or hidden


def _system_number(error: BaseException) -> int:
    """Return the number that the system gives to an error; 0 when it has none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _IN_WORDS.search(str(error))
    return int(found[1]) if found else 0
