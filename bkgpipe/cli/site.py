"""Commands about batch sites."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from bkgpipe.batch.resources import with_memory
from bkgpipe.batch.script import job_command, job_script
from bkgpipe.batch.waves import list_waves, split_chunks
from bkgpipe.batch.work import require_folder, run_job
from bkgpipe.chain.cost import Cost
from bkgpipe.chain.kept import frozen_settings
from bkgpipe.errors import SettingsError
from bkgpipe.flow.plan import PlannedProduct
from bkgpipe.settings import Settings, read_settings

__all__ = ["at_site", "cancel_site", "do_job", "plan_jobs", "tell_jobs"]


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
    from bkgpipe.batch.site import make_on_site

    if settings.run.scheduler_host:
        raise SettingsError(
            what="a site and a luigid cannot both share out the work",
            where="--site",
            fix="Leave out --scheduler-host, or start pilots instead of --site",
        )
    site = settings.site(name)
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
    from bkgpipe.batch.site import cancel_jobs

    jobs = cancel_jobs(read_settings(config, overrides), name)
    if as_json:
        click.echo(json.dumps({"cancelled": [job.name for job in jobs]}))
        return
    for job in jobs:
        click.echo(f"cancelled {job.name} ({job.job_id or 'was not sent'})")
    click.echo(f"{len(jobs)} job(s) cancelled; what is done is kept.")


def do_job(config: Path, *, word: str, chunks: Sequence[int], folder: str) -> int:
    """Do the work of a batch job, and print what was done.

    Parameters
    ----------
    config : Path
        Settings that the production keeps in its output folder.
    word : str
        What to make.
    chunks : sequence of int
        Chunks to make.
    folder : str
        Folder of the products that the submitter waits for; empty if there is none.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    BkgpipeError
        If the settings cannot be used, there are no such chunks, or the products
        would be others.
    """
    settings = read_settings(config)
    if folder:
        require_folder(settings, word, folder=folder)
    return 0 if run_job(settings, word, chunks) else 1


def plan_jobs(
    settings: Settings, products: Iterable[PlannedProduct], *, site: str
) -> dict[str, list[tuple[int, ...]]]:
    """Tell which jobs would make the products.

    Parameters
    ----------
    settings : Settings
        Settings with a section of that site.
    products : iterable of PlannedProduct
        Products to make.
    site : str
        Its name.

    Returns
    -------
    dict of str to list of tuple of int
        What the jobs make, as ``count``, and the chunks of each, in order.

    Raises
    ------
    SettingsError
        If there is no such site.
    """
    size = settings.site(site).chunks_per_job
    names = [product.path.name for product in products]
    jobs = {}
    for word in list_waves(settings, None):
        # the fit has no chunk, and number 0
        found = (re.fullmatch(rf"{word}(?:_(\d+))?\.h5", name) for name in names)
        chunks = [int(each[1] or 0) for each in found if each]
        jobs[word] = split_chunks(chunks, size=size)
    return jobs


def tell_jobs(
    settings: Settings,
    jobs: dict[str, list[tuple[int, ...]]],
    costs: Mapping[str, Cost],
    *,
    site: str,
) -> None:
    """Print how many jobs there would be, and what the first one would do.

    Parameters
    ----------
    settings : Settings
        Settings with a section of that site.
    jobs : dict of str to list of tuple of int
        What `plan_jobs` found.
    costs : mapping of str to Cost
        Cost of each stage.
    site : str
        Name of the site.
    """
    found = settings.site(site)
    for word, chunks in jobs.items():
        memory = with_memory(found, costs, word).memory
        click.echo(f"Jobs for {word}: {len(chunks)}, each with {memory:g} MB")
    first = next(((word, each[0]) for word, each in jobs.items() if each), None)
    if first is None:
        return
    click.echo(
        f"Each with {found.time / 60:g} min at {site} ({found.engine}), "
        f"{found.retries} more if it fails. The first one:"
    )
    kept = replace(settings, path=frozen_settings(settings)[0])
    script = job_script(found, kept, job_command(kept, *first))
    click.echo("".join(f"  {line}\n" for line in script.splitlines()), nl=False)


def _require_law() -> None:
    if importlib.util.find_spec("law") is None:
        raise SettingsError(
            what="batch systems need the package law, which is not installed",
            where="--site",
            fix="Install bkgpipe[batch]",
        )
