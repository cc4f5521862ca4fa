"""List everything that would stop a production, before it starts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from bkgpipe.datamodel import RunTable
from bkgpipe.errors import BkgpipeError
from bkgpipe.io.store import read_runs
from bkgpipe.numerics.select import select_runs
from bkgpipe.settings import Settings, read_settings
from bkgpipe.tasks.exclusion import read_exclusion_regions

__all__ = ["check_production", "preview_selection"]


def check_production(config: Path, overrides: Iterable[str]) -> int:
    """Print what was checked, and every problem found.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.

    Returns
    -------
    int
        Exit code: 1 if there are problems.

    Raises
    ------
    SettingsError
        If the settings cannot be used.
    """
    settings = read_settings(config, overrides)
    click.echo(f"Settings: {config}")
    problems = [
        *_check_runs(settings),
        *_check_regions(settings),
        *_check_output(settings.data.output),
    ]
    for problem in problems:
        click.echo(f"Problem: {problem}")
    click.echo(f"{len(problems)} problem(s)." if problems else "No problems.")
    return 1 if problems else 0


def preview_selection(settings: Settings) -> RunTable:
    """Apply the selection without writing anything.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    RunTable
        Runs of the store, with the decision on each.

    Raises
    ------
    InputError
        If the store cannot be read, or the settings name runs that it has not.
    """
    return select_runs(
        read_runs(settings.store),
        settings.select.cuts,
        export_obs_ids=settings.export.obs_ids,
    )


def _check_runs(settings: Settings) -> list[str]:
    try:
        table = preview_selection(settings)
    except BkgpipeError as error:
        return [str(error)]
    click.echo(
        f"Store:    {settings.store}: {len(table.runs)} runs, "
        f"{len(table.selected)} selected, {len(table.exported)} get a model"
    )
    problems = [
        f"run {run.obs_id}: events file {run.events_file or '(none in the index)'} "
        "is missing or outside the store"
        for run in table.used
        if run.file_size < 0
    ]
    if not table.selected:
        problems.append("no run is selected: widen [select]")
    return problems


def _check_regions(settings: Settings) -> list[str]:
    try:
        regions = read_exclusion_regions(settings)
    except BkgpipeError as error:
        return [str(error)]
    n_capped = sum(region.is_capped for region in regions)
    click.echo(
        f"Regions:  {len(regions)} excluded, {n_capped} cut to [mask] max_radius"
    )
    return []


def _check_output(output: Path) -> list[str]:
    place = output
    while not place.exists():
        place = place.parent
    click.echo(f"Output:   {output}")
    is_writable = place.is_dir() and os.access(place, os.W_OK)
    return [] if is_writable else [f"{place} cannot be written: choose [data] output"]
