"""Commands about batch sites."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import click

from bkgpipe.batch.bundle.pack import find_open, pack_chunks
from bkgpipe.batch.bundle.put import PutResult, put_answers
from bkgpipe.batch.bundle.work import run_bundle
from bkgpipe.batch.resources import with_memory
from bkgpipe.batch.script import job_command, job_script
from bkgpipe.batch.transfer import fetch, send
from bkgpipe.batch.waves import find_tasks, list_waves, split_chunks
from bkgpipe.batch.work import require_folder, run_job
from bkgpipe.chain.cost import Cost
from bkgpipe.chain.estimate import size_words
from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.inputs import is_selected
from bkgpipe.chain.kept import frozen_settings, load_settings, register
from bkgpipe.errors import SettingsError
from bkgpipe.flow import Select
from bkgpipe.flow.engine.build import build
from bkgpipe.flow.plan import PlannedProduct
from bkgpipe.settings import Settings
from bkgpipe.settings.site_sections import SiteSettings

__all__ = [
    "at_site",
    "cancel_site",
    "do_bundle",
    "do_job",
    "pack_bundles",
    "plan_jobs",
    "put_in_production",
    "tell_jobs",
]


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
    if settings.run.scheduler:
        raise SettingsError(
            what="a site and a luigid cannot both share out the work",
            where="--site",
            fix="Leave out [run] scheduler_host and scheduler_url, or start pilots "
            "instead of --site",
        )
    site = settings.site(name)
    make = _of_site(site).make_on_site
    return partial(make, site=site, name=name, stage=stage)


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
    settings = read_with_found(config, overrides)
    jobs = _of_site(settings.site(name)).cancel_jobs(settings, name)
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
    settings = read_with_found(config)
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


def _of_site(site: SiteSettings) -> ModuleType:
    """Return the module that makes jobs of a site, and cancels them."""
    if site.transfer != "none":
        return importlib.import_module("bkgpipe.batch.ship.site")
    if importlib.util.find_spec("law") is None:
        raise SettingsError(
            what="batch systems need the package law, which is not installed",
            where="--site",
            fix="Install bkgpipe[batch]",
        )
    return importlib.import_module("bkgpipe.batch.site")


def pack_bundles(
    config: Path,
    overrides: Iterable[str],
    *,
    word: str,
    chunks: Sequence[int],
    folder: Path,
    per_job: int,
    as_json: bool,
) -> None:
    """Pack what jobs need, and print a line for each file.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    word : str
        What the jobs make.
    chunks : sequence of int
        Chunks; all that are not there when empty.
    folder : Path
        Where the files go.
    per_job : int
        Chunks in a file.
    as_json : bool
        Print a line of JSON for each instead.

    Raises
    ------
    BkgpipeError
        If they cannot be packed.
    """
    settings = _kept(config, overrides)
    wanted = chunks or list(find_tasks(word, settings.path))
    jobs = split_chunks(find_open(settings, word, wanted), size=per_job)
    n_bundles = n_bytes = 0
    for bundle in pack_chunks(settings, word, jobs, folder=folder):
        n_bundles, n_bytes = n_bundles + 1, n_bytes + bundle.size
        if as_json:
            click.echo(json.dumps(asdict(bundle), default=str))
            continue
        numbers = ", ".join(map(str, bundle.chunks))
        click.echo(f"{bundle.path}: {word} {numbers}, {size_words(bundle.size)}")
    if not as_json:
        told = f"{n_bundles} bundle(s), {size_words(n_bytes)}"
        click.echo(told if n_bundles else f"Nothing to pack: all of {word} is there.")


def do_bundle(bundle: str, answer: str) -> int:
    """Do the work of a bundle.

    Parameters
    ----------
    bundle : str
        What the job was sent: a file, or its address on a storage server.
    answer : str
        File to write, or its address.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    BkgpipeError
        If the answer cannot be written, or a file cannot be moved.
    """
    with TemporaryDirectory(prefix="bkgpipe-moved-") as folder:
        local = [
            Path(folder, name) if "://" in given else Path(given).absolute()
            for name, given in (("bundle.tar", bundle), ("answer.tar", answer))
        ]
        # a luigi.cfg that lies beside the bundle is not that of the production
        os.environ.pop("LUIGI_CONFIG_PATH", None)
        os.chdir("/")
        if "://" in bundle:
            fetch(bundle, local[0])
        code = run_bundle(*local)
        if "://" in answer:
            send(local[1], answer)
    return code


def put_in_production(
    config: Path, overrides: Iterable[str], *, answers: Iterable[Path], as_json: bool
) -> int:
    """Put the products of jobs in place, and print what became of each answer.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    answers : iterable of Path
        What jobs wrote.
    as_json : bool
        Print a line of JSON for each instead.

    Returns
    -------
    int
        0 when all were taken, else 1.

    Raises
    ------
    BkgpipeError
        If the settings cannot be used.
    """
    n_refused = 0
    for result in put_answers(_kept(config, overrides), answers):
        n_refused += bool(result.kind)
        click.echo(_as_json(result) if as_json else _put_words(result))
    return int(n_refused > 0)


def _put_words(result: PutResult) -> str:
    if not result.kind:
        numbers = ", ".join(map(str, result.chunks))
        return f"{result.path}: {result.word} {numbers}, {result.n_files} files put"
    again = "send the job again" if result.may_pass else "to send it again cannot help"
    return f"Refused: {result.reason} ({again})"


def _as_json(result: PutResult) -> str:
    told: dict[str, Any] = asdict(result) | {"may_pass": result.may_pass}
    return json.dumps(told, default=str)


def _kept(config: Path, overrides: Iterable[str]) -> Settings:
    """Return the settings as a production keeps them, and select runs if need be."""
    settings = load_settings(register(read_with_found(config, overrides)))
    if not is_selected(settings):
        build(Select(config=str(settings.path)), settings)
    return settings
