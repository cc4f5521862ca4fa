"""What cannot be read of a product is damage, whatever the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bkgpipe.errors import BinningMismatchError, DamagedFileError

__all__ = ["WrongSumError", "reading"]

_UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    BinningMismatchError,
)


class WrongSumError(Exception):
    """A checksum is wrong."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Take whatever cannot be read in the block for damage of a file.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    try:
        yield
    except WrongSumError as damage:
        raise _damaged(path, str(damage)) from damage
    except _UNREADABLE as error:
        raise _damaged(path, f"the file cannot be read ({error})") from error


def _damaged(path: Path, what: str) -> DamagedFileError:
    return DamagedFileError(
        what=what,
        where=str(path),
        fix="Run the stage again: the file will be set aside and made anew",
    )
