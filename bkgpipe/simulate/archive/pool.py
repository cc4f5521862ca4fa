"""A pool of worker processes for what no scheduler needs to know of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from bkgpipe.chain.workers import become_worker
from bkgpipe.errors import OutputError

__all__ = ["map_chunks"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_chunks(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    workers: int = 1,
    chunk_size: int = 20,
) -> Iterator[_Result]:
    """Apply a function to items, several at a time, in worker processes.

    Few items are on their way at any time, so that memory does not grow with their
    number. An interrupt, or an error in one item, stops all workers after the chunk
    that they are at.

    Parameters
    ----------
    function : callable
        From an item to a result; both must pass between processes.
    items : iterable
        The items.
    workers : int
        Processes; one works in this process.
    chunk_size : int
        Items that a worker gets at once.

    Yields
    ------
    object
        Results in the order of the items, whatever the number of workers.

    Raises
    ------
    BkgpipeError
        The error of the first item that failed, as it was raised; or OutputError if
        a worker was killed.
    """
    if workers == 1:
        yield from map(function, items)
        return
    # a fork knows what is imported and read already
    context = get_context("fork")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=become_worker)
    try:
        yield from _results(pool, function, _chunks(items, chunk_size), workers)
    except BrokenProcessPool as error:
        raise OutputError(
            what="a worker process died",
            where="worker processes",
            fix="Look for a lack of memory, give fewer --workers, and start again",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def _results(
    pool: ProcessPoolExecutor,
    function: Callable[[_Item], _Result],
    chunks: Iterator[list[_Item]],
    workers: int,
) -> Iterator[_Result]:
    waiting: deque[Future[list[_Result]]] = deque()
    for chunk in islice(chunks, 2 * workers):
        waiting.append(pool.submit(_apply, function, chunk))
    while waiting:
        done = waiting.popleft().result()
        for chunk in islice(chunks, 1):
            waiting.append(pool.submit(_apply, function, chunk))
        yield from done


def _apply(function: Callable[[_Item], _Result], chunk: list[_Item]) -> list[_Result]:
    return [function(item) for item in chunk]
