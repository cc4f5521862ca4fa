"""Run a production with Luigi, and tell what came out of it."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from bkgpipe.batch.resources import site_doubts
from bkgpipe.batch.waves import list_waves
from bkgpipe.chain.contents import keep_checksums
from bkgpipe.chain.cost import find_costs
from bkgpipe.chain.inputs import choose_runs, is_selected, read_store
from bkgpipe.chain.kept import frozen_settings, register
from bkgpipe.chain.leftovers import is_of_earlier_version
from bkgpipe.chain.memory import memory_doubts
from bkgpipe.chain.refusals import require_selected
from bkgpipe.chain.summary import read_status
from bkgpipe.cli.logs import keep_log
from bkgpipe.cli.progress import show_progress
from bkgpipe.cli.site import at_site
from bkgpipe.errors import BkgpipeError
from bkgpipe.flow import STAGE_TASKS, Select
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.engine.build import build, scheduler_address
from bkgpipe.flow.engine.presence import announce
from bkgpipe.flow.engine.targets import damaged_set_aside
from bkgpipe.flow.exclusion import read_exclusion_regions
from bkgpipe.flow.production import require_no_refused
from bkgpipe.geometry.frames import load_earth_orientation
from bkgpipe.product.whole_file import remove_stale, write_text
from bkgpipe.settings import Settings, read_settings
from bkgpipe.stages.report.clock_words import outside_words
from bkgpipe.stages.report.summary import Summary

__all__ = ["begin", "freeze_settings", "run_command", "run_production", "working_on"]

# A handful of runs, and bins so coarse that each stage takes seconds.
_TEST_RUNS = 6
_TEST_OVERRIDES = (
    "binning.per_decade=3",
    "binning.fov_bins=10",
    "binning.offset_bins=5",
    "stack.min_counts=0",
    "stack.min_hours=0 h",
    "rank.hours=1 h",
)


def run_command(
    config: Path,
    overrides: Iterable[str],
    *,
    stage: str | None,
    site: str | None,
    test: bool,
    as_json: bool,
) -> int:
    """Run the chain and print what came out.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    stage : str or None
        Last stage to run; None for all.
    site : str or None
        Batch site that makes the chunks; None makes them here.
    test : bool
        Run a handful of runs in coarse bins, beside the real products.
    as_json : bool
        End with one line of JSON.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    BkgpipeError
        If settings, store or output folder cannot be used, or runs were refused and
        that is not allowed.
    """
    settings = read_settings(config, overrides)
    if test:
        settings = read_settings(config, [*overrides, *_test_overrides(settings)])
    started = time.monotonic()
    if stage != "select":
        settings = _find_sources(settings, site=site)
    is_done, ran_something = run_production(settings, stage=stage, site=site)
    with damaged_set_aside():
        _, summary = read_status(settings)
    _warn(summary)
    if as_json:
        click.echo(json.dumps(_answer(summary)))
    else:
        seconds = time.monotonic() - started
        end = f"Done in {seconds:.1f} s." if is_done else f"Failed in {seconds:.1f} s."
        _tell(settings, summary, end=end if ran_something else "Nothing to do.")
    if is_done:
        require_no_refused(summary, allowed=settings.run.allow_refused)
    return 0 if is_done else 1


def _find_sources(settings: Settings, *, site: str | None) -> Settings:
    from bkgpipe.cli.finding import find_sources  # which runs productions itself

    return find_sources(settings, site=site)


_EARLIER = (
    "{} holds products of an earlier bkgpipe, which named them otherwise. All is made "
    "again, this once; bkgpipe clean removes the old ones."
)


def run_production(
    settings: Settings, *, stage: str | None, site: str | None = None
) -> tuple[bool, bool]:
    """Run the tasks of a production that are not done yet.

    Parameters
    ----------
    settings : Settings
        Settings.
    stage : str or None
        Last stage to run; None for all.
    site : str or None
        Batch site that makes the chunks.

    Returns
    -------
    tuple of bool
        Whether all is done now, and whether anything was to do.

    Raises
    ------
    InputError
        If the store cannot be read.
    BusyError
        If another process works on this production with another scheduler.
    OutputError
        If the output folder cannot be written, or no scheduler answers.
    SettingsError
        If there is no such site, or it cannot be used.
    SiteError
        If jobs failed for good.
    """
    make_elsewhere = at_site(settings, site, stage=stage) if site else None
    task = begin(settings, stage=stage)
    if task.complete():
        return True, False
    if is_of_earlier_version(settings):
        click.echo(_EARLIER.format(settings.data.output), err=True)
    _warn_of_resources(settings, stage=stage, site=site)
    with (
        working_on(settings, task) as (beat, log),
        show_progress(settings, beat=beat),
    ):
        if make_elsewhere:
            build(task.sibling(Select), settings, log=log)
            make_elsewhere(Path(task.config))
        build(task, settings, log=log)
    # Luigi can lose an error while it schedules, so look at what is there
    return task.complete(), True


def _warn_of_resources(
    settings: Settings, *, stage: str | None, site: str | None
) -> None:
    """Say before it starts what is estimated to need more than there is."""
    if stage == "select":
        return
    costs = {}
    with suppress(BkgpipeError):  # which the first task tells of
        costs = find_costs(settings, choose_runs(settings), stage=stage)
    if site and costs:
        words = list_waves(settings, stage)
        doubts = site_doubts(settings.site(site), costs, words, name=site)
    else:
        doubts = memory_doubts(costs, n_workers=settings.run.workers)
    for doubt in doubts:
        click.echo(f"Warning: {doubt}", err=True)


def begin(settings: Settings, *, stage: str | None) -> StageTask:
    """Make the last task of a production, by settings that are kept.

    Parameters
    ----------
    settings : Settings
        Settings.
    stage : str or None
        Last stage to run; None for all.

    Returns
    -------
    StageTask
        The task.

    Raises
    ------
    InputError
        If the store cannot be read, or the settings name runs that it has not.
    NoRunsError
        If no run is selected.
    OutputError
        If the output folder cannot be written.
    SettingsError
        If a condition cannot be understood.
    """
    require_selected(choose_runs(settings))
    frozen = freeze_settings(settings)
    task = STAGE_TASKS[stage or "production"](config=str(frozen))
    if is_selected(task.settings):  # which finds checksums of files that were touched
        keep_checksums(task.settings)
    return task


@contextmanager
def working_on(
    settings: Settings, task: StageTask
) -> Iterator[tuple[Callable[[], None], Path]]:
    """Do what comes before and after the work on a production.

    Parameters
    ----------
    settings : Settings
        Settings.
    task : StageTask
        The last task.

    Yields
    ------
    tuple
        Callable that says that this process is still there, to be called every minute
        or so; file that keeps what it says.

    Raises
    ------
    BusyError
        If another process works on this production with another scheduler.
    OutputError
        If the output folder cannot be written.
    """
    output, scheduler = settings.data.output, scheduler_address(settings)
    with (
        announce(output, scheduler=scheduler) as beat,
        keep_log(output / "logs") as log,
    ):
        remove_stale(output)
        _read_for_all(settings, task.config)
        try:
            yield beat, log
        finally:
            # of processes that were still dying when this one began, or that it stopped
            remove_stale(output)


def _read_for_all(settings: Settings, frozen: str) -> None:
    """Read what all tasks need, before the workers fork."""
    load_earth_orientation()
    if not STAGE_TASKS["mask"](config=frozen).complete():
        read_exclusion_regions(settings)
    # else each worker that looks for garbage copies the memory that it shares
    gc.freeze()


def freeze_settings(settings: Settings) -> Path:
    """Keep the settings of a production, here and beside its products.

    Processes elsewhere read this file, so a later change of luigi.cfg does not reach a
    production that runs.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    Path
        File with absolute paths, in the output folder.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    path, text = frozen_settings(settings)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    register(settings)
    return path


def _test_overrides(settings: Settings) -> list[str]:
    runs = read_store(settings).runs
    step = max(1, len(runs) // _TEST_RUNS)
    some = ", ".join(str(run.obs_id) for run in runs[::step][:_TEST_RUNS])
    output = f"data.output={settings.data.output / 'test'}"
    return [*_TEST_OVERRIDES, f"select.obs_ids={some}", "export.obs_ids=", output]


def _warn(summary: Summary) -> None:
    events = summary.conservation
    outside = outside_words(events.n_outside_time, events.n_read)
    if outside:
        click.echo(f"Warning: {outside}", err=True)


def _answer(summary: Summary) -> dict[str, object]:
    return {
        "store": summary.store,
        "models": list(summary.models),
        "runs": {"used": summary.n_used, "refused": summary.refused},
        "timing": {stage: round(s, 3) for stage, s in summary.timing.items()},
    }


def _tell(settings: Settings, summary: Summary, *, end: str) -> None:
    click.echo(end)
    click.echo(
        f"Runs: {summary.n_used} used ({summary.hours:.1f} h), "
        f"{len(summary.left_out)} not selected, {len(summary.refused)} refused."
    )
    for obs_id, reason in summary.refused.items():
        click.echo(f"  refused {obs_id}: {reason}")
    if summary.models:
        click.echo(f"Models: {len(summary.models)}")
        click.echo(f"Store:  {summary.store}")
        report = settings.folder("report") / "index.html"
        if report.exists():
            click.echo(f"Report: {report}")
