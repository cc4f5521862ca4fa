"""Tell how far a production is, from what is on disk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from bkgpipe.batch.jobs import Job, Journal, find_sites, site_folder
from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.leftovers import unused_folders
from bkgpipe.chain.summary import read_status
from bkgpipe.stages.report.summary import Summary

__all__ = ["show_status"]


def show_status(config: Path, overrides: Iterable[str], *, as_json: bool) -> None:
    """Print stages, runs not used with reasons, and folders no longer used.

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
        If the settings or a product cannot be used.
    """
    settings = read_with_found(config, overrides)
    states, summary = read_status(settings)
    unused = [path.name for path in unused_folders([settings])]
    jobs = _read_jobs(settings.data.output)
    if as_json:
        answer = {
            "stages": {state.stage: [state.n_done, state.n_total] for state in states},
            "outdated": {s.stage: s.n_outdated for s in states if s.n_outdated},
            "used": summary.n_used,
            "refused": summary.refused,
            "not_stacked": summary.unfit,
            "not_selected": summary.left_out,
            "unused": unused,
            "jobs": {site: _count(found) for site, found in jobs.items()},
        }
        click.echo(json.dumps(answer))
        return
    for state in states:
        total = str(state.n_total) if state.n_total >= 0 else "?"
        outdated = f", {state.n_outdated} outdated" if state.n_outdated else ""
        line = f"{state.stage:8} {state.n_done:5} of {total:5} {state.folder}"
        click.echo(line + outdated)
    _tell_jobs(jobs, output=settings.data.output)
    _tell_runs(summary)
    for folder in unused:
        click.echo(f"  not used by these settings: {folder}")


def _tell_runs(summary: Summary) -> None:
    events = summary.conservation
    click.echo(
        f"Runs: {summary.n_used} used ({summary.hours:.1f} h), "
        f"{len(summary.left_out)} not selected, {len(summary.refused)} refused"
    )
    click.echo(
        f"Events: {events.n_read} read = {events.n_kept} kept "
        f"+ {events.n_below_safe} kept below the safe energy "
        f"+ {events.n_outside_time} outside good time "
        f"+ {events.n_outside_field} outside the field "
        f"+ {events.n_outside_energy} outside the energies "
        f"+ {events.n_excluded} excluded + {events.n_invalid} invalid"
    )
    for obs_id, reason in summary.refused.items():
        click.echo(f"  refused {obs_id}: {reason}")
    for obs_id, reason in summary.unfit.items():
        click.echo(f"  not stacked {obs_id}: {reason}")
    for obs_id, reason in summary.left_out.items():
        click.echo(f"  not selected {obs_id}: {reason}")


def _read_jobs(output: Path) -> dict[str, list[Job]]:
    """Read the jobs of each site, the last attempt of each."""
    found = {}
    for site in find_sites(output):
        jobs = Journal(site_folder(output, site)).read().values()
        found[site] = list({(job.word, job.chunks): job for job in jobs}.values())
    return found


def _count(jobs: Iterable[Job]) -> dict[str, int]:
    """Count the jobs in each state, and how many were sent more than once."""
    jobs = list(jobs)
    states: Mapping[str, int] = Counter(job.state for job in jobs)
    return {**states, "sent again": sum(job.attempt > 0 for job in jobs)}


def _tell_jobs(jobs: Mapping[str, list[Job]], *, output: Path) -> None:
    """Print the jobs of each site, as their submitter saw them last."""
    for site, found in jobs.items():
        told = ", ".join(f"{n} {state}" for state, n in _count(found).items() if n)
        click.echo(f"Jobs at {site}: {told}")
        for job in found:
            if job.state == "failed":
                click.echo(f"  failed {job.name} ({job.error}): {job.log}")
    if not any(job.is_open for found in jobs.values() for job in found):
        return
    # Luigi takes longer to import than all the rest of this command
    from bkgpipe.flow.engine.presence import submitters

    if not submitters(output):
        click.echo("  nobody watches these jobs: bkgpipe run --site goes on with them")
