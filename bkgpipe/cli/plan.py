"""Say beforehand what a run will do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from bkgpipe.cli.check import preview_selection
from bkgpipe.datamodel import RunTable
from bkgpipe.settings import Settings, read_settings
from bkgpipe.tasks.summary import read_states

__all__ = ["show_plan"]

# Measured on the 105 runs of H.E.S.S. DL3 DR1 with the default binning.
_SECONDS = 10.0  # start, index and report
_SECONDS_PER_RUN = 0.06
_SECONDS_PER_MODEL = 0.12
_BYTES_PER_RUN = 18_000
_BYTES_PER_MODEL = 130_000
_INFLATION = 1.4


def show_plan(config: Path, overrides: Iterable[str], *, as_json: bool) -> None:
    """Print runs, hours, stages done and to do, estimated time and disk.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    as_json : bool
        Print one line of JSON instead.

    Raises
    ------
    BkgpipeError
        If settings or store cannot be used.
    """
    settings = read_settings(config, overrides)
    table = preview_selection(settings)
    states = read_states(settings)
    answer = {
        "runs": len(table.runs),
        "selected": len(table.selected),
        "hours": round(sum(run.livetime for run in table.selected) / 3600, 2),
        "models": len(table.exported),
        "cells": _count_cells(settings, table),
        "stages": {state.stage: [state.n_done, state.n_total] for state in states},
        "seconds": round(_estimate_seconds(settings, table), 1),
        "bytes": _estimate_bytes(settings, table),
    }
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(
        f"Runs:    {answer['runs']} in the store, {answer['selected']} selected "
        f"({answer['hours']} h), {answer['models']} get a model"
    )
    if settings.in_groups:
        click.echo(f"Groups:  {answer['cells']} before poor ones are merged")
    for state in states:
        total = str(state.n_total) if state.n_total >= 0 else "?"
        click.echo(f"{state.stage:8} {state.n_done} of {total} chunks done")
    click.echo(
        f"About {answer['seconds']} s with {settings.run.workers} worker(s) and "
        f"{_estimate_bytes(settings, table) / 1e6:.0f} MB for the whole chain."
    )
    _tell_left_out(table)


def _tell_left_out(table: RunTable) -> None:
    for run in table.runs:
        if not run.selected:
            click.echo(f"  not selected {run.obs_id}: {run.reason}")


def _count_cells(settings: Settings, table: RunTable) -> int:
    """Cells of the zenith and azimuth grid that hold any run."""
    low = settings.stack.azimuth_edges[0]
    cells = {
        (
            sum(run.zenith >= edge for edge in settings.stack.zenith_edges),
            sum(
                (run.azimuth - low) % 360 >= edge - low
                for edge in settings.stack.azimuth_edges
            ),
        )
        for run in table.selected
    }
    return len(cells)


def _estimate_seconds(settings: Settings, table: RunTable) -> float:
    cost = len(table.used) * _SECONDS_PER_RUN + len(table.exported) * _SECONDS_PER_MODEL
    return _SECONDS + cost / settings.run.workers


def _estimate_bytes(settings: Settings, table: RunTable) -> int:
    size = len(table.used) * _BYTES_PER_RUN
    size += len(table.exported) * _BYTES_PER_MODEL * len(settings.export.format)
    if settings.export.store == "full":
        size += int(_INFLATION * sum(max(0, run.file_size) for run in table.exported))
    return size
