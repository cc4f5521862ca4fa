"""List what would stop a production before it starts, or which of its files changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import click

from bkgpipe.batch.resources import site_doubts
from bkgpipe.batch.transfer.probe import probe_site
from bkgpipe.batch.waves import list_waves
from bkgpipe.chain.clocks import ClockSurvey
from bkgpipe.chain.cost import Cost, find_costs
from bkgpipe.chain.deep import verify_all
from bkgpipe.chain.estimate import (
    disk_space,
    duration_words,
    estimate_bytes,
    estimate_seconds,
    size_words,
    tell_left_out,
    workers_words,
)
from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.inputs import choose_runs
from bkgpipe.chain.memory import memory_doubts, memory_words
from bkgpipe.chain.refusals import Refusal, find_doubts, find_refusals, require_selected
from bkgpipe.core.run import RunTable
from bkgpipe.errors import BkgpipeError, InputError, NoRunsError
from bkgpipe.flow.exclusion import read_exclusion_regions
from bkgpipe.settings import Settings
from bkgpipe.stages.report.clock_words import clock_words, outside_words
from bkgpipe.tools.propose.data import StoreSample
from bkgpipe.tools.propose.energies import require_energies
from bkgpipe.tools.propose.sample import look_at_runs, tell_of_plane

__all__ = [
    "Findings",
    "check_command",
    "check_files",
    "check_production",
    "check_settings",
]

_LISTED = 10
_KINDS = ("checkpoint", "deliverable", "input")
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


def check_command(
    config: Path, overrides: Iterable[str], *, deep: bool, site: str | None
) -> int:
    """Check a production, or its files.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    deep : bool
        Check its files.
    site : str or None
        Batch site of which proxy, token and storage are tried too.

    Returns
    -------
    int
        Exit code: 1 if there are problems.

    Raises
    ------
    SettingsError
        If the settings cannot be used.
    """
    if deep and site:
        raise click.UsageError("--deep and --site check other things: give one of them")
    if deep:
        return check_files(config, overrides)
    return check_production(config, overrides, site=site)


def check_production(
    config: Path, overrides: Iterable[str], *, site: str | None = None
) -> int:
    """Print what was checked, and every problem found.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    site : str, optional
        Batch site of which proxy, token and storage are tried too.

    Returns
    -------
    int
        Exit code: 1 if there are problems.

    Raises
    ------
    SettingsError
        If the settings cannot be used.
    """
    settings = read_with_found(config, overrides)
    click.echo(f"Settings: {config}")
    findings = check_settings(settings)
    if site:
        findings = _join(findings, _check_site(settings, site))
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


def _check_runs(settings: Settings) -> Findings:
    try:
        table = choose_runs(settings)
        told = _tell_runs(settings, table)
        require_selected(table)
    except NoRunsError as error:
        return Findings(told=told, problems=(str(error),))
    except BkgpipeError as error:
        return Findings(problems=(str(error),))
    costs = find_costs(settings, table)
    plane = tell_of_plane(table.selected, settings.mask.catalogs)
    doubts = (str(doubt.error) for doubt in find_doubts(settings, table))
    return _join(
        Findings(
            told=told,
            warnings=(*table.doubts, *doubts),
            problems=_check_space(settings, costs),
        ),
        _check_cost(settings, costs),
        _check_events(settings, table),
        Findings(told=tuple(f"Plane:    {line}" for line in plane)),
    )


def _tell_runs(settings: Settings, table: RunTable) -> tuple[str, ...]:
    hours = sum(run.livetime for run in table.selected if run.livetime > 0) / 3600
    store = (
        f"Store:    {settings.store}: {len(table.runs)} runs, "
        f"{len(table.selected)} selected ({hours:.1f} h), "
        f"{len(table.exported)} get a model"
    )
    return (store, *tell_left_out(table))


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


def _check_events(settings: Settings, table: RunTable) -> Findings:
    """Find runs that will be refused, by all headers and the events of some runs."""
    refusals = find_refusals(settings, table)
    refused = {refusal.obs_id for refusal in refusals if refusal.is_of_events}
    others = [run for run in table.used if run.obs_id not in refused]
    look = look_at_runs(settings, others, max_runs=_MAX_READ)
    errors = (*_by_turns(refusals), *look.errors)
    return _join(
        Findings(problems=tuple(map(str, errors))),
        _check_clocks(len(table.used), look.clocks),
        _check_energies(settings, look.sample),
    )


def _by_turns(refusals: Iterable[Refusal]) -> list[BkgpipeError]:
    """Sort errors so that one of each kind comes first, as not all may be printed."""
    n_before: Counter[str] = Counter()
    turns: list[tuple[int, BkgpipeError]] = []
    for refusal in refusals:
        turns.append((n_before[refusal.check.kind], refusal.error))
        n_before[refusal.check.kind] += 1
    return [error for _, error in sorted(turns, key=itemgetter(0))]


def _check_clocks(n_runs: int, found: ClockSurvey) -> Findings:
    """Compare events, good time intervals and observation table."""
    told = (
        f"Clock:    {found.n_runs} of {n_runs} runs read: "
        f"{found.n_outside} of {found.n_events} events are outside good time"
    )
    outside = outside_words(found.n_outside, found.n_events)
    doubts = (
        f"run {obs_id}: {clock_words(clock)}"
        for obs_id, clock in sorted(found.doubtful.items())
    )
    warnings = (*[outside] * bool(outside), *doubts)
    return Findings(told=(told,), warnings=warnings)


def _check_energies(settings: Settings, sample: StoreSample) -> Findings:
    """Compare the energies of the settings with those of the events of some runs."""
    try:
        require_energies(sample, where=str(settings.store))
    except InputError as error:
        return Findings(warnings=(str(error),))
    energy = sample.in_field(settings.binning.offset_max)
    if not energy.size:
        return Findings()
    edges = settings.binning.axes.energy_edges
    below, above = (energy < edges[0]).mean(), (energy > edges[-1]).mean()
    span = f"[binning], {edges[0]:.4g} to {edges[-1]:.4g} TeV"
    whose = f"of the events in the field ({sample.n_read} runs looked at)"
    told = f"Energies: {1 - below - above:.1%} {whose} are within {span}"
    if below + above > _MAX_OUTSIDE:
        told = (
            f"Energies: {below + above:.0%} {whose} are outside {span}: {below:.0%} "
            f"below, {above:.0%} above; bkgpipe init proposes energies that hold them"
        )
    return Findings(told=(told,))


def _check_space(settings: Settings, costs: Mapping[str, Cost]) -> tuple[str, ...]:
    needed = estimate_bytes(costs)
    place, free = disk_space(settings.data.output)
    # in a folder that exists much of it may be made already
    if needed <= free or settings.data.output.exists():
        return ()
    fix = ", or set [export] store = index" * (settings.export.store == "full")
    problem = (
        f"about {size_words(needed)} are needed, but {size_words(free)} are free in "
        f"{place}: choose another [data] output{fix}"
    )
    return (problem,)


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


def _check_site(settings: Settings, name: str) -> Findings:
    found = probe_site(settings.site(name), name=name)
    return Findings(told=found.told, warnings=found.warnings, problems=found.problems)


def check_files(config: Path, overrides: Iterable[str]) -> int:
    """Print which files were verified, which could not be, and every one that failed.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.

    Returns
    -------
    int
        Exit code: 1 if a file is not what was written.

    Raises
    ------
    SettingsError
        If the settings cannot be used.
    """
    settings = read_with_found(config, overrides)
    found = list(verify_all(settings))
    for kind in _KINDS:
        some = [each for each in found if each.kind == kind]
        n_failed = sum(bool(each.problem) for each in some)
        n_without = sum(not each.has_sum for each in some)
        n_verified = len(some) - n_failed - n_without
        click.echo(
            f"{kind.capitalize() + 's:':13} {n_verified} verified, "
            f"{n_without} without a checksum, {n_failed} failed"
        )
    problems = sorted({each.problem for each in found if each.problem})
    for problem in problems:
        click.echo(f"Problem: {problem}")
    click.echo(f"{len(problems)} problem(s)." if problems else "No problems.")
    return 1 if problems else 0
