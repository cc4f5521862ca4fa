"""How bundles and answers travel: with the engine, or by an address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bkgpipe.batch.jobs import Job
from bkgpipe.batch.ship.commands import write_private
from bkgpipe.batch.ship.protocol import Parcel, ShipEngine
from bkgpipe.batch.ship.script import ship_script
from bkgpipe.batch.transfer import fetch, remove, send, site_options
from bkgpipe.errors import MissingFileError
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["Carriage"]

_LAG = 60.0  # s, for which storage may not show what a job has sent


@dataclass(frozen=True, kw_only=True)
class Carriage:
    """How bundles and answers of a site travel.

    Attributes
    ----------
    site : SiteSettings
        The site.
    engine : ShipEngine
        Its batch system.
    folder : Path
        Folder of job files, bundles, logs and answers.
    """

    site: SiteSettings
    engine: ShipEngine
    folder: Path

    def bundle(self, name: str) -> Path:
        """Name the bundle of a job.

        Parameters
        ----------
        name : str
            Name of the job.

        Returns
        -------
        Path
            The file.
        """
        return self.folder / f"{name}.in.tar"

    def answer(self, name: str) -> Path:
        """Name the answer of a job.

        Parameters
        ----------
        name : str
            Name of the job.

        Returns
        -------
        Path
            The file, which need not be there.
        """
        return self.folder / f"{name}.out.tar"

    def load(self, job: Job) -> Parcel:
        """Write the script of a job, and send its bundle if it goes by an address.

        Parameters
        ----------
        job : Job
            The job, whose bundle is in the folder.

        Returns
        -------
        Parcel
            What the engine is given.
        """
        bundle, answer = self.bundle(job.name), self.answer(job.name)
        inputs = [bundle]
        if self._address:
            send(bundle, self._url(bundle), options=site_options(self.site))
            inputs = []
        if self.site.send_container and self.site.container:
            inputs.append(self.site.container)
        text = ship_script(
            self.site, job.name, bundle=self._seen(bundle), answer=self._seen(answer)
        )
        return Parcel(
            name=job.name,
            script=write_private(self.folder / f"{job.name}.sh", text),
            inputs=tuple(inputs),
            output="" if self._address else answer.name,
            memory=job.memory,
            time=self.site.time,
        )

    def bring(self, job: Job) -> None:
        """Bring the answer of an ended job into the folder, if there is one.

        Parameters
        ----------
        job : Job
            The job.
        """
        self.engine.fetch(job.job_id, job.name)
        if not self._address:
            return
        answer = self.answer(job.name)
        wait = 0.0 if job.error else _LAG
        options = site_options(self.site)
        try:
            fetch(self._url(answer), answer, wait=wait, options=options)
        except MissingFileError:
            answer.unlink(missing_ok=True)

    def clear(self, jobs: Iterable[Job]) -> None:
        """Remove bundles and answers that nobody needs any more.

        Parameters
        ----------
        jobs : iterable of Job
            Jobs that have ended.
        """
        ended = list(jobs)
        self.engine.forget([job.job_id for job in ended if job.job_id])
        for job in ended:
            for path in (self.bundle(job.name), self.answer(job.name)):
                if self._address:
                    remove(self._url(path), options=site_options(self.site))
                path.unlink(missing_ok=True)

    @property
    def _address(self) -> str:
        return self.site.transfer if "://" in self.site.transfer else ""

    def _url(self, path: Path) -> str:
        return f"{self._address}/{path.name}"

    def _seen(self, path: Path) -> str:
        return self._url(path) if self._address else path.name
