"""What tasks are made from: settings, the store, the selected runs, and their digests.

All of it is kept for the life of the process, so that a thousand tasks read it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from bkgpipe.datamodel import Run, RunTable
from bkgpipe.errors import DamagedFileError
from bkgpipe.io.select import read_runs_header, read_runs_table
from bkgpipe.io.store import read_runs
from bkgpipe.production.listing import forget_listings
from bkgpipe.settings import Settings, read_settings

__all__ = [
    "chunk_numbers",
    "digest",
    "digest_all",
    "digest_chunks",
    "digest_record",
    "digest_selected",
    "digest_store",
    "forget",
    "index_runs",
    "is_selected",
    "load_settings",
    "load_table",
    "preview",
    "read_store",
    "runs_by_chunk",
]

_previews: dict[Path, RunTable] = {}


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


def load_settings(config: str) -> Settings:
    """Read a settings file, once for each state of it.

    Parameters
    ----------
    config : str
        Path of the file.

    Returns
    -------
    Settings
        Settings.

    Raises
    ------
    SettingsError
        If the file cannot be used.
    """
    path = Path(config)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _load_settings(path, changed)


def load_table(settings: Settings) -> RunTable:
    """Read the selected runs, once for each state of their file.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    RunTable
        Runs of the store, with the decision on each; none before `select` has run.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    path = settings.folder("select") / "runs.ecsv"
    if path in _previews:
        return _previews[path]
    if not path.exists():
        return RunTable(runs=())
    return _load_table(path, path.stat().st_mtime_ns)


@contextmanager
def preview(settings: Settings, table: RunTable) -> Iterator[None]:
    """Take a table for that of the selected runs, although `select` has not run.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        What `select` would write.

    Yields
    ------
    None
        As long as the block runs, in this process alone.
    """
    path = settings.folder("select") / "runs.ecsv"
    _previews[path] = table
    try:
        yield
    finally:
        del _previews[path]


@lru_cache(maxsize=8)
def _load_settings(path: Path, _changed: int) -> Settings:
    return read_settings(path)


@lru_cache(maxsize=4)
def _load_table(path: Path, _changed: int) -> RunTable:
    return read_runs_table(path)


def read_store(settings: Settings) -> RunTable:
    """Read the index of the store, once in the life of a process.

    So a production keeps the list of runs that it started with.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    RunTable
        Runs of the store.

    Raises
    ------
    InputError
        If the store cannot be read.
    """
    return _read_store(settings.store)


def digest_store(settings: Settings) -> str:
    """Hash what the index of the store and its folders say of all runs.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    str
        Digest.
    """
    return _digest_store(settings.store)


def is_selected(settings: Settings) -> bool:
    """Tell whether the runs were selected from the store as it is now.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    bool
        False also when the table of runs is damaged.
    """
    path = settings.folder("select") / "runs.ecsv"
    if path in _previews:
        return True
    if not path.exists():
        return False
    return _selected_from(path, path.stat().st_mtime_ns) == digest_store(settings)


@lru_cache(maxsize=4)
def _selected_from(path: Path, changed: int) -> str:
    try:
        _load_table(path, changed)  # with all its rows, which are needed anyway
        return read_runs_header(path).inputs
    except DamagedFileError:
        return ""


@lru_cache(maxsize=2)
def _read_store(store: Path) -> RunTable:
    return read_runs(store)


@lru_cache(maxsize=2)
def _digest_store(store: Path) -> str:
    return digest(_run_digests(_read_store(store)).values())


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
def _run_digests(table: RunTable) -> dict[int, str]:
    """Hash each run once: to print 10^5 of them takes a second."""
    return {run.obs_id: digest([run]) for run in table.runs}


@lru_cache(maxsize=4)
def digest_chunks(table: RunTable, chunk_size: int) -> dict[int, str]:
    """Hash the runs of each chunk.

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
    digests = _run_digests(table)
    return {
        chunk: digest(digests[run.obs_id] for run in runs)
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
    return digest(_run_digests(table).values())


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
    digests = _run_digests(table)
    return digest(digests[run.obs_id] for run in table.selected)


def digest_record(settings: Settings, table: RunTable) -> str:
    """Hash all that a whole production depends on.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        Runs of the store.

    Returns
    -------
    str
        Digest.
    """
    # production.json has no fingerprint in its path
    return digest([settings.fingerprint("report"), digest_all(table)])


def forget() -> None:
    """Forget all that is kept, so that a new production in this process looks anew."""
    for cached in (_load_settings, _load_table, _read_store, _digest_store):
        cached.cache_clear()
    forget_listings()
