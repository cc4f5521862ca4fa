"""What cannot be read of a product is damage, whatever the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bkgpipe.core.passing import require_lasting
from bkgpipe.errors import BinningMismatchError, DamagedFileError

__all__ = ["UNREADABLE", "WrongSumError", "damaged", "reading"]

# What libraries raise when a file is not what it says
UNREADABLE = (
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
    PassingError
        If it cannot be read at the moment.
    """
    try:
        yield
    except WrongSumError as damage:
        raise damaged(path, str(damage)) from damage
    except UNREADABLE as error:
        require_lasting(error, where=str(path))
        raise damaged(path, f"the file cannot be read ({error})") from error


def damaged(path: Path, what: str) -> DamagedFileError:
    """Make the error of a product that is not what was written.

    Parameters
    ----------
    path : Path
        Its file.
    what : str
        What is wrong with it.

    Returns
    -------
    DamagedFileError
        To be raised.
    """
    return DamagedFileError(
        what=what,
        where=str(path),
        fix="Run the stage again: the file will be set aside and made anew",
    )
