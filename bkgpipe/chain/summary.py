"""Gather what a production says of itself on disk."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bkgpipe.chain.inputs import digest_record, is_selected, load_table
from bkgpipe.chain.look import ChunkFacts, ChunkLook, look_into
from bkgpipe.chain.record import read_record_header, read_record_summary
from bkgpipe.chain.runs import chunk_numbers, used_ids
from bkgpipe.core.run import RunTable
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.settings import Settings
from bkgpipe.stages.count.data import Conservation, RunTally
from bkgpipe.stages.count.files import read_tallies
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.export.files import ENTRIES
from bkgpipe.stages.report.summary import StageState, Summary
from bkgpipe.stages.stack.groups import refusal
from bkgpipe.stages.table import list_chain, stage_grain

__all__ = [
    "count_chunks",
    "find_chunks",
    "number_chunks",
    "read_export_entries",
    "read_states",
    "read_status",
    "read_summary",
    "read_used_tallies",
]

_Each = TypeVar("_Each")
_Looks = dict[str, list[ChunkLook]]


def read_summary(settings: Settings) -> Summary:
    """Read the numbers of a production from its product files.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    Summary
        Numbers; those of stages that did not run yet are empty.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    return _add_up(settings, _look(settings, with_runs=True))


def read_status(settings: Settings) -> tuple[list[StageState], Summary]:
    """Tell how far a production is, by one look at its files.

    Each folder is listed once, and each chunk file is read once; those of a production
    whose record is right, while a product is gone, are read once more.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    tuple of list of StageState and Summary
        As `read_states` and `read_summary` return them; the numbers of a production
        that is done are those of its record.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    recorded = _recall(settings)
    looks = _look(settings, with_runs=recorded is None)
    states = _make_states(settings, looks)
    if recorded is None:
        return states, _add_up(settings, looks)
    is_done = all(state.n_done == state.n_total for state in states)
    return states, recorded if is_done else read_summary(settings)


def read_states(settings: Settings) -> list[StageState]:
    """Tell how far each stage is, by looking into the folders.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    list of StageState
        In order of the chain; `rank` only where it is needed.
    """
    return _make_states(settings, _look(settings, with_runs=False))


def _recall(settings: Settings) -> Summary | None:
    """Read the record of a production, if it is of the present runs and settings."""
    path = settings.data.output / "production.json"
    if path.exists():
        # it is made again by the next run, and the products tell the same
        with suppress(DamagedFileError):
            present = digest_record(settings, load_table(settings))
            if read_record_header(path).inputs == present:
                # the folder may have been moved since
                return replace(read_record_summary(path), store=_store(settings))
    return None


def _store(settings: Settings) -> str:
    return str(settings.folder("export") / "store")


def _look(settings: Settings, *, with_runs: bool) -> _Looks:
    looks: _Looks = {}
    for stage in count_chunks(settings, load_table(settings)):
        found = (
            look_into(settings, stage, path, with_runs=with_runs)
            for path in find_chunks(settings, stage)
        )
        looks[stage] = [look for look in found if look]
    return looks


def _make_states(settings: Settings, looks: _Looks) -> list[StageState]:
    selected = is_selected(settings)
    table = load_table(settings) if selected else RunTable(runs=())
    totals = {"select": 1} | count_chunks(settings, table)
    faults = {stage: [look.fault for look in found] for stage, found in looks.items()}
    faults["select"] = [""] * selected
    return [
        StageState(
            stage=stage,
            folder=str(settings.folder(stage)),
            n_done=faults[stage].count(""),
            n_total=total if selected or stage == "select" else -1,
            n_outdated=faults[stage].count("outdated"),
        )
        for stage, total in totals.items()
        if total or not selected
    ]


def _add_up(settings: Settings, looks: _Looks) -> Summary:
    table = load_table(settings)
    facts = {stage: [look.facts for look in found] for stage, found in looks.items()}
    used = used_ids(table)
    tallies = _merge((one.tallies for one in facts["count"]), only=used)
    # of a run that `count` refused it has the reason
    both = (*facts["export"], *facts["count"])
    refused = _merge((one.refused for one in both), only=used)
    entries = _merge(one.entries for one in facts["export"]).values()
    return Summary(
        store=_store(settings),
        models=tuple(
            name for entry in entries for name in (entry.bkg_3d, entry.bkg_2d) if name
        ),
        n_used=len(tallies),
        hours=sum(tally.livetime for tally in tallies.values()) / 3600,
        refused=refused,
        left_out={run.obs_id: run.reason for run in table.runs if not run.selected},
        timing=_read_timing(settings, facts),
        conservation=_sum_events(tallies),
        unfit=_find_unfit(settings, tallies, refused),
    )


def _merge(
    parts: Iterable[Mapping[int, _Each]], *, only: Container[int] | None = None
) -> dict[int, _Each]:
    """Join what several files say of runs, in order of their numbers."""
    merged: dict[int, _Each] = {}
    for part in parts:
        merged.update(part)
    return {key: merged[key] for key in sorted(merged) if only is None or key in only}


def read_export_entries(settings: Settings) -> list[ExportEntry]:
    """Read what was written for each run.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    list of ExportEntry
        In order of ``obs_id``.
    """
    files = (ENTRIES.read(path).records for path in find_chunks(settings, "export"))
    return list(_merge(files).values())


def find_chunks(settings: Settings, stage: str) -> list[Path]:
    """List the product files of a stage that are there.

    A chunk of which all runs were withdrawn may have left a file: it is not listed.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    stage : str
        Stage, as ``count``.

    Returns
    -------
    list of Path
        Files, in order of their names.
    """
    numbers = number_chunks(settings, load_table(settings), stage)
    folder = settings.folder(stage)
    # one look at the folder, however many chunks there are
    present = set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208
    is_one = stage_grain(settings, stage) == "all"
    named = [stage] if is_one else [f"{stage}_{number}" for number in numbers]
    names = sorted({f"{name}.h5" for name in named} & present)
    return [folder / name for name in names]


def number_chunks(settings: Settings, table: RunTable, stage: str) -> tuple[int, ...]:
    """List the chunks of a stage; all stacks of groups are in chunk 0.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        Runs of the store.
    stage : str
        Stage, as ``count``.

    Returns
    -------
    tuple of int
        Numbers, sorted.
    """
    grain = stage_grain(settings, stage)
    if grain in {"groups", "all"}:
        return (0,) if table.used else ()
    return chunk_numbers(table, settings.data.chunk_size, exported=grain == "targets")


def count_chunks(settings: Settings, table: RunTable) -> dict[str, int]:
    """Count the chunks of each stage that has any, with these settings.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        Runs of the store.

    Returns
    -------
    dict of str to int
        In the order of the chain.
    """
    words = (stage.word for stage in list_chain(settings))
    return {
        word: len(number_chunks(settings, table, word))
        for word in words
        if stage_grain(settings, word) != "once"
    }


def read_used_tallies(settings: Settings) -> dict[int, RunTally]:
    """Read what was counted of each run that is read with these settings.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    dict of int to RunTally
        Numbers of events, and what may speak against a run, by ``obs_id``.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    used = used_ids(load_table(settings))
    files = (read_tallies(path) for path in find_chunks(settings, "count"))
    return _merge(files, only=used)


def _sum_events(tallies: Mapping[int, RunTally]) -> Conservation:
    return Conservation(
        **{
            place: sum(getattr(tally.conservation, place) for tally in tallies.values())
            for place in Conservation.__dataclass_fields__
        }
    )


def _find_unfit(
    settings: Settings, tallies: Mapping[int, RunTally], refused: Mapping[int, str]
) -> dict[int, str]:
    least = settings.mask.min_kept_fraction
    reasons = {
        run.obs_id: refusal(tallies[run.obs_id], min_kept_fraction=least)
        for run in load_table(settings).selected
        if run.obs_id in tallies and run.obs_id not in refused
    }
    return {obs_id: reason for obs_id, reason in sorted(reasons.items()) if reason}


def _read_timing(
    settings: Settings, facts: Mapping[str, Sequence[ChunkFacts]]
) -> dict[str, float]:
    timing = {}
    path = settings.folder("select") / "runs.ecsv"
    if path.exists():
        timing["select"] = read_table_header(path).seconds
    for stage, found in facts.items():
        if found:
            timing[stage] = sum(one.header.seconds for one in found)
    return timing
