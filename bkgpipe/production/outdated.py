"""Tell which products were made from other runs than those of the store."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from bkgpipe.errors import DamagedFileError
from bkgpipe.io.hdf5 import read_header
from bkgpipe.production.inputs import (
    digest,
    digest_chunks,
    digest_selected,
    load_table,
)
from bkgpipe.settings import Settings

__all__ = ["find_outdated", "known_inputs"]

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
    by_group = {
        "stack": settings.stack.strategy == "groups",
        "smooth": settings.in_groups,
    }
    if by_group.get(stage):
        return digest_selected(table)
    own = digest_chunks(table, settings.data.chunk_size)[chunk]
    is_fitted = settings.smooth.method == "regression" and stage in {"smooth", "export"}
    if stage == "rank" or is_fitted:
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
    outdated = []
    for path in paths:
        # one that is gone, or damaged, is told of elsewhere
        with suppress(OSError, DamagedFileError):
            changed = path.stat().st_mtime_ns
            # what was made after the selection was made from it: most need no look
            if changed < since and not _is_made_from(
                path, changed, known_inputs(settings, stage, _number(path))
            ):
                outdated.append(path)
    return outdated


def _number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


@lru_cache(maxsize=_MAX_FILES)
def _is_made_from(path: Path, changed: int, known: str) -> bool:  # noqa: ARG001
    return read_header(path).inputs.startswith(known)
