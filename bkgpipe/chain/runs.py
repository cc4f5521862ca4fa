"""Blocks and digests of the runs of a store, kept for the life of the process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from bkgpipe.core.run import Run, RunTable

__all__ = [
    "chunk_identities",
    "chunk_numbers",
    "digest",
    "digest_all",
    "digest_selected",
    "digest_targets",
    "index_runs",
    "run_digests",
    "runs_by_chunk",
    "undecided",
    "used_ids",
]


def digest(values: Iterable[object]) -> str:
    """Hash values by what they print as.

    Parameters
    ----------
    values : iterable of object
        Plain values and dataclasses of them.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    total = hashlib.sha256()
    for value in values:
        total.update(repr(value).encode())
    return total.hexdigest()[:16]


@lru_cache(maxsize=8)
def chunk_numbers(
    table: RunTable, chunk_size: int, *, exported: bool
) -> tuple[int, ...]:
    """List the chunks that hold any run of a kind.

    Parameters
    ----------
    table : RunTable
        Runs of the store.
    chunk_size : int
        Runs share a chunk by ``obs_id // chunk_size``.
    exported : bool
        Look at runs that get a model only, instead of all that are read.

    Returns
    -------
    tuple of int
        Numbers, sorted.
    """
    runs = table.exported if exported else table.used
    return tuple(sorted({run.obs_id // chunk_size for run in runs}))


@lru_cache(maxsize=4)
def runs_by_chunk(table: RunTable, chunk_size: int) -> dict[int, tuple[Run, ...]]:
    """Sort the runs that are read at all into chunks.

    Parameters
    ----------
    table : RunTable
        Runs of the store.
    chunk_size : int
        Runs share a chunk by ``obs_id // chunk_size``.

    Returns
    -------
    dict of int to tuple of Run
        Runs of each chunk.
    """
    blocks: dict[int, list[Run]] = {}
    for run in table.used:
        blocks.setdefault(run.obs_id // chunk_size, []).append(run)
    return {chunk: tuple(runs) for chunk, runs in blocks.items()}


@lru_cache(maxsize=4)
def index_runs(table: RunTable) -> dict[int, Run]:
    """Look runs up by their numbers.

    Parameters
    ----------
    table : RunTable
        Runs of the store.

    Returns
    -------
    dict of int to Run
        Every run of the store.
    """
    return {run.obs_id: run for run in table.runs}


@lru_cache(maxsize=4)
def run_digests(table: RunTable) -> dict[int, str]:
    """Hash what is known of each run, whether it is selected or not.

    To print 10^5 runs takes a second, so each is hashed once.

    Parameters
    ----------
    table : RunTable
        Runs of the store.

    Returns
    -------
    dict of int to str
        Digest of each, by its number.
    """
    return {run.obs_id: digest([undecided(run)]) for run in table.runs}


def undecided(run: Run) -> Run:
    """Take from a run what was decided on it, and when its file was written.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    Run
        What masks and counts are made from.
    """
    return replace(run, selected=True, exported=True, reason="", file_time=0)


def chunk_identities(table: RunTable, chunk_size: int, chunk: int) -> dict[int, str]:
    """Tell the runs of a chunk that are read, and what is known of each.

    Parameters
    ----------
    table : RunTable
        Runs of the store, with the decision on each.
    chunk_size : int
        Runs share a chunk by ``obs_id // chunk_size``.
    chunk : int
        Number of the chunk.

    Returns
    -------
    dict of int to str
        Digest of each.
    """
    digests = run_digests(table)
    runs = runs_by_chunk(table, chunk_size)[chunk]
    return {run.obs_id: digests[run.obs_id] for run in runs}


@lru_cache(maxsize=4)
def digest_targets(table: RunTable, chunk_size: int) -> dict[int, str]:
    """Hash the runs of each chunk that get a model.

    Parameters
    ----------
    table : RunTable
        Runs of the store.
    chunk_size : int
        Runs share a chunk by ``obs_id // chunk_size``.

    Returns
    -------
    dict of int to str
        Digest of each chunk.
    """
    digests = run_digests(table)
    return {
        chunk: digest(digests[run.obs_id] for run in runs if run.exported)
        for chunk, runs in runs_by_chunk(table, chunk_size).items()
    }


@lru_cache(maxsize=4)
def digest_all(table: RunTable) -> str:
    """Hash all runs of the store, with the decision on each.

    Parameters
    ----------
    table : RunTable
        Runs of the store.

    Returns
    -------
    str
        Digest.
    """
    decisions = ((run.selected, run.exported, run.reason) for run in table.runs)
    return digest([*run_digests(table).values(), *decisions])


@lru_cache(maxsize=4)
def digest_selected(table: RunTable) -> str:
    """Hash all runs that may contribute to models.

    Parameters
    ----------
    table : RunTable
        Runs of the store.

    Returns
    -------
    str
        Digest.
    """
    if table.digest_selected:
        return table.digest_selected
    digests = run_digests(table)
    return digest(digests[run.obs_id] for run in table.selected)


@lru_cache(maxsize=4)
def used_ids(table: RunTable) -> frozenset[int]:
    """List the runs that are read at all.

    Masks and counts of others may be there, made for other selections.

    Parameters
    ----------
    table : RunTable
        Runs of the store.

    Returns
    -------
    frozenset of int
        Their numbers.
    """
    return frozenset(run.obs_id for run in table.used)
