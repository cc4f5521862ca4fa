"""What the files of runs hold, by which products know them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from bkgpipe.core.run import Run, RunTable
from bkgpipe.core.sums import join_sums
from bkgpipe.errors import InputError, OutputError
from bkgpipe.product.contents import Contents, read_contents, write_contents
from bkgpipe.settings import Settings
from bkgpipe.store.files import locate

__all__ = [
    "add_checksums",
    "contents_file",
    "find_checksums",
    "forget_contents",
    "keep_checksums",
]

_unkept: dict[Path, Contents] = {}


def contents_file(settings: Settings) -> Path:
    """Name the file that keeps the checksums of a production.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    Path
        JSON file beside masks and counts; it need not exist.
    """
    return settings.folder("count").parent / "contents.json"


def add_checksums(settings: Settings, table: RunTable) -> RunTable:
    """Add to runs what their files hold.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        Runs of the store, with the decision on each.

    Returns
    -------
    RunTable
        The same, with the checksums of all runs that are read.
    """
    found = find_checksums(settings, table.used)
    nothing = "", ""
    runs = []
    for run in table.runs:
        checksum, aeff_checksum = found.get(run.obs_id, nothing)
        runs.append(replace(run, checksum=checksum, aeff_checksum=aeff_checksum))
    return replace(table, runs=tuple(runs))


def find_checksums(
    settings: Settings, runs: Iterable[Run]
) -> dict[int, tuple[str, str]]:
    """Find out what the files of runs hold; those that are as before are not read.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    runs : iterable of Run
        Runs of the store.

    Returns
    -------
    dict of int to tuple of str
        ``checksum`` and ``aeff_checksum`` of each `Run`; empty where a file is missing,
        and no checksum of anything where one cannot be read at the moment.
    """
    paths = {run.obs_id: _find_files(settings.store, run) for run in runs}
    wanted = {path for files in paths.values() for path in files if path is not None}
    contents = _look(contents_file(settings), frozenset(wanted))
    return {obs_id: _put_together(contents, *files) for obs_id, files in paths.items()}


def keep_checksums(settings: Settings) -> None:
    """Write down the checksums that were found, for the next process to know.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    """
    path = contents_file(settings)
    if path in _unkept:
        # they can be found again
        with suppress(OutputError):
            write_contents(path, _unkept.pop(path))


def forget_contents() -> None:
    """Look at files anew."""
    _look.cache_clear()
    _unkept.clear()


# a production keeps the runs that it started with
@lru_cache(maxsize=4)
def _look(path: Path, wanted: frozenset[Path]) -> Contents:
    before = _unkept.get(path) or read_contents(path)
    contents = before.look(wanted)
    if contents is not before:
        _unkept[path] = contents
    return contents


_Files = tuple[Path | None, Path | None, Path | None]


def _find_files(store: Path, run: Run) -> _Files:
    events, gti, aeff = (
        _locate(store, file) for file in (run.events_file, run.gti_file, run.aeff_file)
    )
    return events, gti, aeff


def _locate(store: Path, file: str) -> Path | None:
    # counting tells what is wrong with a place
    with suppress(InputError):
        return locate(store, file, where=file) if file else None
    return None


def _put_together(
    contents: Contents, events: Path | None, gti: Path | None, aeff: Path | None
) -> tuple[str, str]:
    """Put checksums together as `read_events` does."""
    parts = [contents.checksum(path) for path in (events, gti) if path is not None]
    checksum = join_sums(parts) if parts and all(parts) else ""
    return checksum, contents.checksum(aeff) if aeff is not None else ""
