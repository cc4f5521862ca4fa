"""Commands about batch sites."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from bkgpipe.errors import SettingsError
from bkgpipe.settings import Settings, read_settings

__all__ = ["at_site", "cancel_site", "do_job"]


def at_site(
    settings: Settings, name: str, *, stage: str | None
) -> Callable[[Path], None]:
    """Prepare to make chunks on a site.

    Parameters
    ----------
    settings : Settings
        Settings with a section of that site.
    name : str
        Its name.
    stage : str or None
        Last stage to make; None for all.

    Returns
    -------
    callable
        Makes the chunks of the production whose kept settings it is given.

    Raises
    ------
    SettingsError
        If the site cannot be used.
    """
    _require_law()
    from bkgpipe.grid.site import find_site, make_on_site

    if settings.run.scheduler_host:
        raise SettingsError(
            what="a site and a luigid cannot both share out the work",
            where="--site",
            fix="Leave out --scheduler-host, or start pilots instead of --site",
        )
    site = find_site(settings, name)
    return partial(make_on_site, site=site, name=name, stage=stage)


def cancel_site(
    config: Path, overrides: Iterable[str], *, name: str, as_json: bool
) -> None:
    """Take back the jobs of a production on a site, and print which.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    name : str
        Name of the site.
    as_json : bool
        Print one line of JSON instead.

    Raises
    ------
    BkgpipeError
        If the settings cannot be used, or the batch system refuses.
    """
    _require_law()
    from bkgpipe.grid.site import cancel_jobs

    jobs = cancel_jobs(read_settings(config, overrides), name)
    if as_json:
        click.echo(json.dumps({"cancelled": [job.name for job in jobs]}))
        return
    for job in jobs:
        click.echo(f"cancelled {job.name} ({job.job_id or 'was not sent'})")
    click.echo(f"{len(jobs)} job(s) cancelled; what is done is kept.")


def do_job(config: Path, *, word: str, chunks: Sequence[int]) -> int:
    """Do the work of a batch job, and print what was done.

    Parameters
    ----------
    config : Path
        Settings that the production keeps in its output folder.
    word : str
        What to make.
    chunks : sequence of int
        Chunks to make.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    BkgpipeError
        If the settings cannot be used, or there are no such chunks.
    """
    from bkgpipe.cli.logs import keep_log
    from bkgpipe.grid.work import run_job

    settings = read_settings(config)
    with keep_log(settings.data.output / "logs") as log:
        is_done = run_job(settings, word, chunks, log=log)
    return 0 if is_done else 1


def _require_law() -> None:
    if importlib.util.find_spec("law") is None:
        raise SettingsError(
            what="batch systems need the package law, which is not installed",
            where="--site",
            fix="Install bkgpipe[batch]",
        )
