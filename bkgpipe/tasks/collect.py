"""One bad run takes no other run down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from bkgpipe.datamodel import Chunk
from bkgpipe.errors import BkgpipeError

__all__ = ["collect"]

_log = logging.getLogger(__name__)

_Record = TypeVar("_Record")


def collect(
    numbers: Iterable[int],
    make: Callable[[int], _Record],
    *,
    refused: Mapping[int, str],
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

    Returns
    -------
    Chunk
        Products and reasons.
    """
    chunk: Chunk[_Record] = Chunk()
    for number in numbers:
        if number in refused:
            chunk.refused[number] = refused[number]
            continue
        try:
            chunk.records[number] = make(number)
        except BkgpipeError as error:
            _log.warning("Refused: %s", error)
            chunk.refused[number] = str(error)
    return chunk
