"""Gather what a production says of itself on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bkgpipe.chain.inputs import digest_record, is_selected, load_table
from bkgpipe.chain.record import read_record_header, read_record_summary
from bkgpipe.chain.runs import chunk_numbers, used_ids
from bkgpipe.chain.whole import chunk_fault
from bkgpipe.core.run import RunTable
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.chunk_file import read_refused
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.product.hdf5 import read_header
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
    "read_summary",
    "read_used_tallies",
    "recall_summary",
]


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
    table = load_table(settings)
    entries = read_export_entries(settings)
    refused = _read_refused(settings)
    tallies = read_used_tallies(settings)
    return Summary(
        store=_store(settings),
        models=tuple(
            name for entry in entries for name in (entry.bkg_3d, entry.bkg_2d) if name
        ),
        n_used=len(tallies),
        hours=sum(tally.livetime for tally in tallies.values()) / 3600,
        refused=refused,
        left_out={run.obs_id: run.reason for run in table.runs if not run.selected},
        timing=_read_timing(settings),
        conservation=_add_up(tallies),
        unfit=_find_unfit(settings, tallies, refused),
    )


def recall_summary(settings: Settings) -> Summary:
    """Read the numbers of a production, from its record when it is done.

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
    path = settings.data.output / "production.json"
    is_done = all(state.n_done == state.n_total for state in read_states(settings))
    if is_done and path.exists():
        # it is made again by the next run, and the products tell the same
        with suppress(DamagedFileError):
            present = digest_record(settings, load_table(settings))
            if read_record_header(path).inputs == present:
                # the folder may have been moved since
                return replace(read_record_summary(path), store=_store(settings))
    return read_summary(settings)


def _store(settings: Settings) -> str:
    return str(settings.folder("export") / "store")


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
    entries: dict[int, ExportEntry] = {}
    for path in find_chunks(settings, "export"):
        entries.update(ENTRIES.read(path).records)
    return [entries[obs_id] for obs_id in sorted(entries)]


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
    table = load_table(settings) if is_selected(settings) else RunTable(runs=())
    totals = count_chunks(settings, table)
    selected = int(is_selected(settings))
    return [
        StageState(
            stage="select",
            folder=str(settings.folder("select")),
            n_done=selected,
            n_total=1,
        ),
        *(
            _state(settings, stage, n_total=total if selected else -1)
            for stage, total in totals.items()
            if total or not selected
        ),
    ]


def _state(settings: Settings, stage: str, *, n_total: int) -> StageState:
    faults = [
        chunk_fault(settings, stage, path) for path in find_chunks(settings, stage)
    ]
    return StageState(
        stage=stage,
        folder=str(settings.folder(stage)),
        n_done=faults.count(""),
        n_total=n_total,
        n_outdated=faults.count("outdated"),
    )


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


def _read_refused(settings: Settings) -> dict[int, str]:
    """Reasons of `count`, then of `export` for runs that `count` had no fault with."""
    refused: dict[int, str] = {}
    for stage in ("export", "count"):
        for path in find_chunks(settings, stage):
            refused.update(read_refused(path))
    used = used_ids(load_table(settings))
    return {key: why for key, why in sorted(refused.items()) if key in used}


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
    return {
        obs_id: tally
        for path in find_chunks(settings, "count")
        for obs_id, tally in read_tallies(path).items()
        if obs_id in used
    }


def _add_up(tallies: Mapping[int, RunTally]) -> Conservation:
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


def _read_timing(settings: Settings) -> dict[str, float]:
    timing = {}
    path = settings.folder("select") / "runs.ecsv"
    if path.exists():
        timing["select"] = read_table_header(path).seconds
    for stage in count_chunks(settings, load_table(settings)):
        headers = [read_header(path) for path in find_chunks(settings, stage)]
        if headers:
            timing[stage] = sum(header.seconds for header in headers)
    return timing
