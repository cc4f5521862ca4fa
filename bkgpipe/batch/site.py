"""A production on a batch site: what is sent there, watched and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bkgpipe.batch.engines import Engine, make_engine
from bkgpipe.batch.jobs import Job, Journal, site_folder
from bkgpipe.batch.resources import with_memory
from bkgpipe.batch.submit import Desk
from bkgpipe.batch.waves import find_tasks, list_waves
from bkgpipe.chain.cost import find_costs
from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.kept import load_settings
from bkgpipe.settings import Settings
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["cancel_jobs", "make_on_site"]

_ALIVE = {"pending", "running"}


def make_on_site(
    config: Path, site: SiteSettings, *, name: str, stage: str | None
) -> None:
    """Make all chunks on a site; what is not in chunks is left to the caller.

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
        If chunks failed for good, or the batch system does not do its part.
    """
    settings = load_settings(str(config))
    costs = find_costs(settings, load_table(settings))
    for word in list_waves(settings, stage):
        sized = with_memory(site, costs, word)
        desk = Desk(
            settings=settings,
            site=sized,
            engine=make_engine(sized),
            folder=site_folder(settings.data.output, name),
        )
        desk.make(word, find_tasks(word, config))


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
    engine = make_engine(settings.site(name))
    journal = Journal(site_folder(settings.data.output, name))
    jobs = [job for job in journal.read().values() if job.is_open]
    jobs = [replace(job, job_id=_number(engine, job)) for job in jobs]
    # a submitter that sees them end must know already that this was meant
    journal.write(replace(job, state="cancelled") for job in jobs)
    # HTCondor refuses as a whole when one of them has ended meanwhile
    answers = engine.query([job.job_id for job in jobs if job.job_id])
    engine.cancel([n for n, told in answers.items() if told.state in _ALIVE])
    return jobs


def _number(engine: Engine, job: Job) -> str:
    return job.job_id or engine.find(job.name)
