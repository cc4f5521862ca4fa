"""List everything that would stop a production, before it starts."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from bkgpipe.cli.estimate import (
    disk_space,
    duration_words,
    estimate_bytes,
    estimate_seconds,
    size_words,
    tell_left_out,
    workers_words,
)
from bkgpipe.cli.memory import memory_doubts, memory_words
from bkgpipe.cli.sample import Look, look_at_runs, tell_of_plane
from bkgpipe.datamodel import RunTable
from bkgpipe.errors import BkgpipeError, InputError
from bkgpipe.grid.resources import site_doubts
from bkgpipe.grid.waves import list_waves
from bkgpipe.io.store import file_problem, read_runs, require_permitted
from bkgpipe.numerics.propose_energies import require_energies
from bkgpipe.numerics.select import select_runs
from bkgpipe.production.clocks import ClockSurvey
from bkgpipe.production.cost import Cost, find_costs
from bkgpipe.settings import Settings, read_settings
from bkgpipe.tasks.exclusion import read_exclusion_regions
from bkgpipe.view.clock_words import clock_words, outside_words

__all__ = [
    "Findings",
    "check_production",
    "check_settings",
    "find_unreadable",
    "preview_selection",
]

_LISTED = 10
_MAX_READ = 200  # runs, which take some seconds
_MAX_OUTSIDE = 0.3  # share of the events in the field that no model is made of


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found in settings and store.

    Attributes
    ----------
    told : tuple of str
        Lines about what is fine.
    warnings : tuple of str
        Each a sentence about what would not stop a production, but may spoil it.
    problems : tuple of str
        Each a sentence about what would stop a production.
    """

    told: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


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
    findings = check_settings(settings)
    for line in findings.told:
        click.echo(line)
    problems = findings.problems
    _list("Warning", findings.warnings)
    _list("Problem", problems)
    click.echo(f"{len(problems)} problem(s)." if problems else "No problems.")
    return 1 if problems else 0


def _list(kind: str, sentences: tuple[str, ...]) -> None:
    for sentence in sentences[:_LISTED]:
        click.echo(f"{kind}: {sentence}")
    if len(sentences) > _LISTED:
        click.echo(f"  and {len(sentences) - _LISTED} more")


def check_settings(settings: Settings) -> Findings:
    """Look at the store, the regions and the output folder; change nothing.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    Findings
        What is fine, and what is not.
    """
    return _join(
        _check_runs(settings),
        _check_regions(settings),
        _check_output(settings.data.output),
    )


def _join(*parts: Findings) -> Findings:
    return Findings(
        told=tuple(line for part in parts for line in part.told),
        warnings=tuple(warning for part in parts for warning in part.warnings),
        problems=tuple(problem for part in parts for problem in part.problems),
    )


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
    table = read_runs(settings.store)
    require_permitted(settings.store, table.runs)
    return select_runs(
        table,
        settings.select.cuts,
        export_obs_ids=settings.export.obs_ids,
    )


def find_unreadable(settings: Settings, table: RunTable) -> list[InputError]:
    """Find runs of which the events file cannot be read, without opening any.

    Parameters
    ----------
    settings : Settings
        Settings.
    table : RunTable
        Runs of the store, with the decision on each.

    Returns
    -------
    list of InputError
        What `run` will say of each.
    """
    lost = (run for run in table.used if run.file_size < 0)
    errors = (file_problem(settings.store, run) for run in lost)
    return [error for error in errors if error]


def _check_runs(settings: Settings) -> Findings:
    try:
        table = preview_selection(settings)
    except BkgpipeError as error:
        return Findings(problems=(str(error),))
    hours = sum(run.livetime for run in table.selected if run.livetime > 0) / 3600
    store = (
        f"Store:    {settings.store}: {len(table.runs)} runs, "
        f"{len(table.selected)} selected ({hours:.1f} h), "
        f"{len(table.exported)} get a model"
    )
    told = [store, *tell_left_out(table)]
    if not table.selected:
        return Findings(
            told=tuple(told), problems=("no run is selected: widen [select]",)
        )
    costs = find_costs(settings, table)
    look = look_at_runs(settings, table.selected, max_runs=_MAX_READ)
    plane = tell_of_plane(table.selected, settings.mask.catalogs)
    problems = (
        *map(str, find_unreadable(settings, table)),
        *_check_pointings(settings, table),
        *_check_space(settings, costs),
    )
    return _join(
        Findings(told=tuple(told), warnings=table.doubts, problems=problems),
        _check_cost(settings, costs),
        _check_clocks(table, look.clocks),
        _check_events(settings, look),
        Findings(told=tuple(f"Plane:    {line}" for line in plane)),
    )


def _check_cost(settings: Settings, costs: Mapping[str, Cost]) -> Findings:
    """Say what a first run takes, and whether there is the memory and time for it."""
    n_workers = settings.run.workers
    seconds = estimate_seconds(costs, n_workers=n_workers)
    time = (
        f"Takes:    about {duration_words(seconds)} with {workers_words(n_workers)}, "
        f"if nothing is made yet; {size_words(estimate_bytes(costs))} on disk"
    )
    memory = f"Memory:   {memory_words(costs, n_workers=n_workers)}"
    words = list_waves(settings, None)
    sites = (
        doubt
        for name, site in settings.sites.items()
        for doubt in site_doubts(site, costs, words, name=name)
    )
    doubts = memory_doubts(costs, n_workers=n_workers)
    return Findings(told=(time, memory), warnings=(*doubts, *sites))


def _check_clocks(table: RunTable, found: ClockSurvey) -> Findings:
    """Compare events, good time intervals and observation table."""
    told = (
        f"Clock:    {found.n_runs} of {len(table.selected)} runs read: "
        f"{found.n_outside} of {found.n_events} events are outside good time"
    )
    outside = outside_words(found.n_outside, found.n_events)
    doubts = (
        f"run {obs_id}: {clock_words(clock)}"
        for obs_id, clock in sorted(found.doubtful.items())
    )
    warnings = (*[outside] * bool(outside), *doubts)
    return Findings(told=(told,), warnings=warnings)


def _check_events(settings: Settings, look: Look) -> Findings:
    """Compare the energies of the settings with those of the events of some runs."""
    try:
        look.require_usable(str(settings.store))
        require_energies(look.sample, where=str(settings.store))
    except InputError as error:
        return Findings(problems=(str(error),))
    problems = tuple(str(error) for error in look.errors)
    energy = look.sample.in_field(settings.binning.offset_max)
    if not energy.size:
        return Findings(problems=problems)
    edges = settings.binning.axes.energy_edges
    below, above = (energy < edges[0]).mean(), (energy > edges[-1]).mean()
    span = f"[binning], {edges[0]:.4g} to {edges[-1]:.4g} TeV"
    whose = f"of the events in the field ({look.sample.n_read} runs looked at)"
    told = f"Energies: {1 - below - above:.1%} {whose} are within {span}"
    if below + above > _MAX_OUTSIDE:
        told = (
            f"Energies: {below + above:.0%} {whose} are outside {span}: {below:.0%} "
            f"below, {above:.0%} above; bkgpipe init proposes energies that hold them"
        )
    return Findings(told=(told,), problems=problems)


def _check_pointings(settings: Settings, table: RunTable) -> list[str]:
    """Find runs without the angles that their models depend on."""
    method = settings.smooth.method
    names = {"zenith": "ZEN_PNT"} if method == "regression" else {}
    if settings.in_groups:
        names = {"zenith": "ZEN_PNT", "azimuth": "AZ_PNT"}
    problems = []
    for name, column in names.items():
        lost = [run.obs_id for run in table.used if math.isnan(getattr(run, name))]
        if lost:
            problems.append(
                f"{name} unknown for {len(lost)} of {len(table.used)} runs, such as "
                f"{lost[0]}, but models depend on it: add {column} to the observation "
                "table, leave the runs out with [select] exclude_obs_ids, or set "
                "[stack] strategy = ranked and [smooth] method = gaussian"
            )
    return problems


def _check_space(settings: Settings, costs: Mapping[str, Cost]) -> list[str]:
    needed = estimate_bytes(costs)
    place, free = disk_space(settings.data.output)
    # in a folder that exists much of it may be made already
    if needed <= free or settings.data.output.exists():
        return []
    fix = ", or set [export] store = index" * (settings.export.store == "full")
    problem = (
        f"about {size_words(needed)} are needed, but {size_words(free)} are free in "
        f"{place}: choose another [data] output{fix}"
    )
    return [problem]


def _check_regions(settings: Settings) -> Findings:
    try:
        regions = read_exclusion_regions(settings)
    except BkgpipeError as error:
        return Findings(problems=(str(error),))
    n_capped = sum(region.is_capped for region in regions)
    capped = f", {n_capped} of them cut to [mask] max_radius" * bool(n_capped)
    told = f"Regions:  {len(regions)} excluded{capped}"
    if not regions and not settings.mask.masks:
        told = "Regions:  none: gamma-ray sources are taken for background; see [mask]"
    return Findings(told=(told,))


def _check_output(output: Path) -> Findings:
    place, free = disk_space(output)
    is_writable = place.is_dir() and os.access(place, os.W_OK)
    problem = f"{place} cannot be written: choose [data] output"
    return Findings(
        told=(f"Output:   {output} ({size_words(free)} free)",),
        problems=() if is_writable else (problem,),
    )
