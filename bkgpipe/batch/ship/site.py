"""A production on a site that shares no folders: sent, watched and taken back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bkgpipe.batch.bundle.pack import is_bundled
from bkgpipe.batch.jobs import Job, Journal, site_folder
from bkgpipe.batch.resources import with_memory
from bkgpipe.batch.ship.arc import make_arc
from bkgpipe.batch.ship.bundles import Bundles
from bkgpipe.batch.ship.carriage import Carriage
from bkgpipe.batch.ship.desk import ShipDesk
from bkgpipe.batch.ship.htcondor import make_htcondor
from bkgpipe.batch.ship.protocol import ShipEngine
from bkgpipe.batch.ship.slurm import make_slurm
from bkgpipe.batch.waves import find_tasks, list_waves
from bkgpipe.chain.cost import find_costs
from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.kept import load_settings
from bkgpipe.errors import SiteError
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.engine.build import build
from bkgpipe.product.flush import make_folder
from bkgpipe.settings import Settings
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["ENGINES", "cancel_jobs", "make_on_site"]

_log = logging.getLogger(__name__)

ENGINES: dict[str, Callable[[SiteSettings, Path], ShipEngine]] = {
    "arc": make_arc,
    "htcondor": make_htcondor,
    "slurm": make_slurm,
}
"""What makes the batch system of a site, by its name."""


def make_on_site(
    config: Path, site: SiteSettings, *, name: str, stage: str | None
) -> None:
    """Make all chunks on a site, and what is made of all runs at once here.

    Parameters
    ----------
    config : Path
        Settings that the production keeps beside its products, of which the runs are
        selected.
    site : SiteSettings
        The site.
    name : str
        Its name.
    stage : str or None
        Last stage to make; None for all.

    Raises
    ------
    SiteError
        If chunks failed for good, or batch system or storage do not do their part.
    """
    settings = load_settings(str(config))
    costs = find_costs(settings, load_table(settings))
    for word in list_waves(settings, stage):
        tasks = find_tasks(word, config)
        if is_bundled(settings, word):
            sized = with_memory(site, costs, word)
            carriage = _carriage(settings, sized, name=name)
            baggage = Bundles(settings=settings)
            desk = ShipDesk(settings=settings, carriage=carriage, baggage=baggage)
            desk.make(word, tasks)
        else:
            _make_here(settings, word, tasks)


def _make_here(settings: Settings, word: str, tasks: Mapping[int, StageTask]) -> None:
    for task in tasks.values():
        if not task.complete():
            _log.info("%s: made of all runs, so here", word)
            build(task, settings)
        if not task.complete():
            raise SiteError(
                what=f"{word} was not made",
                where=str(task.output().path),
                fix="The lines above say why; what is done is kept",
            )


def _carriage(settings: Settings, site: SiteSettings, *, name: str) -> Carriage:
    folder = site_folder(settings.data.output, name)
    make_folder(folder)
    engine = ENGINES[site.engine](site, folder)
    return Carriage(site=site, engine=engine, folder=folder)


def cancel_jobs(settings: Settings, name: str) -> Sequence[Job]:
    """Take back the jobs of a production that wait or run on a site.

    A submitter that still watches them gives up.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    name : str
        Name of the site.

    Returns
    -------
    sequence of Job
        Jobs that were taken back.

    Raises
    ------
    SettingsError
        If there is no such site.
    SiteError
        If the batch system refuses.
    """
    engine = _carriage(settings, settings.site(name), name=name).engine
    journal = Journal(site_folder(settings.data.output, name))
    jobs = [job for job in journal.read().values() if job.is_open]
    numbers = engine.find([job.name for job in jobs if not job.job_id])
    jobs = [
        replace(job, job_id=job.job_id or numbers.get(job.name, "")) for job in jobs
    ]
    # a submitter that sees them end must know already that this was meant
    journal.write(replace(job, state="cancelled") for job in jobs)
    engine.kill([job.job_id for job in jobs if job.job_id])
    return jobs
