"""What is sent to a site one after the other, as jobs of chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bkgpipe.flow import (
    AllCounts,
    AllExports,
    AllMasks,
    AllRankings,
    AllSmooths,
    AllStacks,
    Fit,
    GatherCandidates,
    Select,
    SolveNodes,
)
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.settings import Settings
from bkgpipe.stages.table import has_stage

__all__ = ["WORDS", "find_tasks", "list_waves", "split_chunks", "wave_folder"]

_CHUNKED: Mapping[str, type[AllChunks]] = {
    "mask": AllMasks,
    "count": AllCounts,
    "rank": AllRankings,
    "stack": AllStacks,
    "smooth": AllSmooths,
    "export": AllExports,
}
WORDS = (*_CHUNKED, "fit", "candidates", "nodes")


def list_waves(settings: Settings, stage: str | None) -> tuple[str, ...]:
    """Tell what must be whole, in turn, before the next can be sent.

    Jobs of a wave need nothing of each other. What a chunk needs of stages that are
    not named here, as the masks of its runs, its job makes first.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    stage : str or None
        Last stage to run; None for all.

    Returns
    -------
    tuple of str
        Words as ``count``; the rest, as the report, is for the submitter itself.
    """
    if stage in {"select", "mask", "count"}:
        return () if stage == "select" else (stage,)
    waves = ["count"]
    if not has_stage(settings, "stack"):
        waves.append("fit")
    elif has_stage(settings, "rank"):
        waves += ["candidates", "rank"]
    if stage in {"stack", "smooth"}:
        return (*waves, stage)
    if stage in {"rank", "fit"}:
        return tuple(waves)
    # the groups share one chunk, which all exports read
    return (*waves, "nodes", "export") if settings.in_groups else (*waves, "export")


def find_tasks(word: str, config: Path) -> dict[int, StageTask]:
    """Make the tasks of a wave.

    Parameters
    ----------
    word : str
        One of `WORDS`.
    config : Path
        Settings file of the production, of which the runs are selected.

    Returns
    -------
    dict of int to StageTask
        Task of each chunk; number 0 for what is made at once.
    """
    if word == "fit":
        return {0: Fit(config=str(config))}
    if word == "candidates":
        return {0: GatherCandidates(config=str(config))}
    if word == "nodes":
        return {0: SolveNodes(config=str(config), chunk=0)}
    whole: AllChunks = Select(config=str(config)).sibling(_CHUNKED[word])
    return {int(task.chunk): task for task in whole.chunks()}


def wave_folder(settings: Settings, word: str) -> str:
    """Name the folder of the products of a wave.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    word : str
        One of `WORDS`.

    Returns
    -------
    str
        Name, with the fingerprint of the settings and of the code.
    """
    stage = {"candidates": "rank", "nodes": "export"}.get(word, word)
    return settings.folder(stage).name


def split_chunks(chunks: Iterable[int], *, size: int) -> list[tuple[int, ...]]:
    """Split chunks into those of each job.

    Parameters
    ----------
    chunks : iterable of int
        Chunks.
    size : int
        Chunks for each job.

    Returns
    -------
    list of tuple of int
        Chunks of each job, in order of their numbers.
    """
    ordered = sorted(chunks)
    starts = range(0, len(ordered), size)
    return [tuple(ordered[start : start + size]) for start in starts]
