"""Tell which products were made from other runs than those of the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from bkgpipe.datamodel import RunTable
from bkgpipe.errors import DamagedFileError
from bkgpipe.io.hdf5 import read_header
from bkgpipe.io.identities import read_identities
from bkgpipe.production.inputs import load_table
from bkgpipe.production.runs import (
    digest,
    digest_selected,
    digest_targets,
    run_digests,
    runs_by_chunk,
)
from bkgpipe.settings import Settings
from bkgpipe.settings.stages import has_stage, stage_grain

__all__ = ["find_outdated", "identities", "known_inputs", "serves"]

_MAX_FILES = 100_000  # headers to keep in mind, some hundred bytes each


def known_inputs(settings: Settings, stage: str, chunk: int) -> str:
    """Hash what the runs alone tell of the inputs of a chunk.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    stage : str
        Stage, as ``count``.
    chunk : int
        Number of the chunk.

    Returns
    -------
    str
        Digest of all inputs, or the first part of it.
    """
    table = load_table(settings)
    if stage_grain(settings, stage) == "groups":
        return digest_selected(table)
    own = digest_targets(table, settings.data.chunk_size)[chunk]
    if stage == "rank" or (
        stage in {"smooth", "export"} and not has_stage(settings, "stack")
    ):
        return digest([digest_selected(table), own])
    return own


def find_outdated(settings: Settings, stage: str, paths: Iterable[Path]) -> list[Path]:
    """List the products of a stage that were made from other runs than the present.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    stage : str
        Stage, as ``count``.
    paths : iterable of Path
        Its product files.

    Returns
    -------
    list of Path
        Those that the next run makes again. Of models of groups and rankings that
        changed although the runs are the same, only the run itself knows.
    """
    selected = settings.folder("select") / "runs.ecsv"
    since = selected.stat().st_mtime_ns if selected.exists() else 0
    is_made = _holds_runs if stage_grain(settings, stage) == "runs" else _is_made_from
    outdated = []
    for path in paths:
        # one that is gone, or damaged, is told of elsewhere
        with suppress(OSError, DamagedFileError):
            if not is_made(settings, path, stage, since):
                outdated.append(path)
    return outdated


def identities(table: RunTable, chunk_size: int, chunk: int) -> dict[int, str]:
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


def serves(path: Path, wanted: Mapping[int, str]) -> bool:
    """Tell whether a file of single runs holds those that are asked for.

    Parameters
    ----------
    path : Path
        The file.
    wanted : mapping of int to str
        Digest of each run.

    Returns
    -------
    bool
        True also when it holds others as well.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    OSError
        If it is not there.
    """
    found = path.stat()
    state = found.st_mtime_ns, found.st_size, found.st_ino
    return wanted.items() <= _read_identities(path, state)


def _holds_runs(settings: Settings, path: Path, _stage: str, _since: int) -> bool:
    # another selection may have made it after this one
    size = settings.data.chunk_size
    return serves(path, identities(load_table(settings), size, _number(path)))


def _is_made_from(settings: Settings, path: Path, stage: str, since: int) -> bool:
    changed = path.stat().st_mtime_ns
    # what was made after the selection was made from it: most need no look
    return changed >= since or _read_inputs(path, changed).startswith(
        known_inputs(settings, stage, _number(path))
    )


def _number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


@lru_cache(maxsize=_MAX_FILES)
def _read_inputs(path: Path, _changed: int) -> str:
    return read_header(path).inputs


@lru_cache(maxsize=_MAX_FILES)
def _read_identities(
    path: Path, _state: tuple[int, int, int]
) -> frozenset[tuple[int, str]]:
    return frozenset(read_identities(path).items())
