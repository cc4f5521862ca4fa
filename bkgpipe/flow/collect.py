"""One bad run takes no other run down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from bkgpipe.core.passing import passing_reason
from bkgpipe.core.product import Chunk
from bkgpipe.errors import BkgpipeError, DamagedFileError, OutputError, PassingError

__all__ = ["collect"]

_log = logging.getLogger(__name__)

_MAX_LATER = 3  # failures that pass, after which a file system is taken to be gone

_Record = TypeVar("_Record")


def collect(
    numbers: Iterable[int],
    make: Callable[[int], _Record],
    *,
    refused: Mapping[int, str],
    require: Callable[[], None] = lambda: None,
    tell: Callable[[int, int], None] = lambda _n_done, _n_total: None,
    later: list[PassingError] | None = None,
) -> Chunk[_Record]:
    """Make a product for each number, and keep the reason where that fails.

    Parameters
    ----------
    numbers : iterable of int
        Runs or stacks.
    make : callable
        Makes the product of one of them, or raises a BkgpipeError.
    refused : mapping of int to str
        Those that an earlier stage refused, with its reasons; not tried again.
    require : callable
        Is called before one is refused; raises a BkgpipeError when what all are made
        from is gone, which is no fault of that one.
    tell : callable
        Is given how many are done, and how many there are, before each and at the end.
    later : list of PassingError, optional
        Is given why some are not made this time, neither in the products nor refused;
        after the third no other is tried. Without it the first is raised.

    Returns
    -------
    Chunk
        Products and reasons.

    Raises
    ------
    DamagedFileError
        If a product of an earlier stage is damaged: it is to be made again.
    OutputError
        If the disk is full or cannot be written: that is no fault of the run.
    PassingError
        If a file cannot be read at the moment, and it is not put into `later`.
    BkgpipeError
        That `require` raises.
    """
    chunk: Chunk[_Record] = Chunk()
    wanted = list(numbers)
    for n_done, number in enumerate(wanted):
        tell(n_done, len(wanted))
        if number in refused:
            chunk.refused[number] = refused[number]
            continue
        try:
            chunk.records[number] = make(number)
        except PassingError as error:
            if later is None:
                raise
            require()
            later.append(error)
            if len(later) == _MAX_LATER:
                break
        except BkgpipeError as error:
            if _concerns_all(error):
                raise
            require()
            _log.warning("Refused: %s", error)
            chunk.refused[number] = str(error)
    tell(len(wanted), len(wanted))
    return chunk


def _concerns_all(error: BkgpipeError) -> bool:
    is_disk = isinstance(error, OutputError) and isinstance(error.__cause__, OSError)
    is_damaged = isinstance(error, DamagedFileError)
    return is_disk or is_damaged or bool(passing_reason(error))
