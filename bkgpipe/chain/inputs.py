"""What tasks are made from: the store, and the selected runs.

All of it is kept for the life of the process, so that a thousand tasks read it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from bkgpipe.chain.contents import find_checksums, forget_contents
from bkgpipe.chain.kept import forget_settings
from bkgpipe.chain.listing import forget_listings
from bkgpipe.chain.runs import digest, digest_all, run_digests
from bkgpipe.core.run import RunTable
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.settings import Settings
from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.fit.files import FIT
from bkgpipe.stages.select.files import read_runs_table
from bkgpipe.stages.select.rules import select_runs
from bkgpipe.store.store import read_runs, require_permitted

__all__ = [
    "choose_runs",
    "digest_record",
    "digest_selection",
    "digest_store",
    "forget",
    "is_selected",
    "load_fit",
    "load_table",
    "preview",
    "read_store",
]

_previews: dict[Path, RunTable] = {}


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


def load_fit(path: Path) -> RegressionFit:
    """Read a fit, once for each state of its file, as each chunk needs it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    RegressionFit
        The fit.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return _load_fit(path, path.stat().st_mtime_ns if path.exists() else 0)


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


@lru_cache(maxsize=4)
def _load_table(path: Path, _changed: int) -> RunTable:
    return read_runs_table(path)


@lru_cache(maxsize=1)
def _load_fit(path: Path, _changed: int) -> RegressionFit:
    return FIT.read_one(path)


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


def choose_runs(settings: Settings) -> RunTable:
    """Apply the selection to the runs of the store; nothing is written.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    RunTable
        Runs of the store, with the decision on each.

    Raises
    ------
    InputError
        If the store cannot be read, or the settings name runs that it has not.
    SettingsError
        If a condition cannot be understood.
    """
    return select_runs(
        read_store(settings),
        settings.select.cuts,
        export_obs_ids=settings.export.obs_ids,
    )


def digest_store(settings: Settings) -> str:
    """Hash what the index of the store says of all runs.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    str
        Digest. Neither the place of the store counts nor the times of its files.
    """
    return digest(run_digests(read_store(settings)).values())


def is_selected(settings: Settings) -> bool:
    """Tell whether the runs were selected from the store as it is now.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    bool
        False also when the table of runs is damaged, or a file that is read of a run
        holds something else.
    """
    path = settings.folder("select") / "runs.ecsv"
    if path in _previews:
        return True
    if not path.exists():
        return False
    return _is_current(settings, path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _is_current(settings: Settings, path: Path, changed: int) -> bool:
    try:
        table = _load_table(path, changed)  # with all its rows, which are needed anyway
        return read_table_header(path).inputs == digest_selection(settings, table)
    except DamagedFileError:
        return False


def digest_selection(settings: Settings, table: RunTable) -> str:
    """Hash what a table of selected runs is made from.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        The table.

    Returns
    -------
    str
        Digest of the index of the store, and of what the files of the runs that are
        read hold at this moment.
    """
    found = find_checksums(settings, table.used)
    return digest([digest_store(settings), sorted(found.items())])


@lru_cache(maxsize=2)
def _read_store(store: Path) -> RunTable:
    table = read_runs(store)
    require_permitted(store, table.runs)
    return table


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
    for cached in (_load_table, _load_fit, _read_store, _is_current):
        cached.cache_clear()
    forget_settings()
    forget_contents()
    forget_listings()
