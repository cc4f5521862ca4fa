"""Computing elements of ARC 7, which copy the files of their jobs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bkgpipe.batch.ship.commands import ask, write_private
from bkgpipe.batch.ship.protocol import JobState, Parcel, ShipEngine
from bkgpipe.errors import SiteError
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["make_arc"]

_QUEUED = {"Accepted", "Preparing", "Submitting", "Queuing", "Accepting", "Undefined"}
_RUNNING = {"Running", "Finishing", "Other"}
_LATENCY = 900.0  # s


class _Arc(ShipEngine):
    """A computing element of ARC 7, which copies the files of its jobs."""

    def __init__(self, site: SiteSettings, folder: Path) -> None:
        super().__init__(site, folder)
        self._first_unseen: dict[str, float] = {}

    def submit(self, parcels: Sequence[Parcel]) -> list[str]:
        return [self._submit(parcel) for parcel in parcels]

    def find(self, names: Sequence[str]) -> dict[str, str]:
        files = {name: self._ids(name) for name in names}
        return {
            name: lines[-1]
            for name, path in files.items()
            if path.exists() and (lines := path.read_text(encoding="utf-8").split())
        }

    def poll(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        if not job_ids:
            return {}
        command = ["arcstat", *self._jobs(), *job_ids]
        # exit code 1: some jobs are not known (any more, or not yet)
        said = ask(command, folder=self.folder, fine_codes=(0, 1))
        found = dict(map(_read, _jobs_of(said)))
        if not found:
            raise SiteError(
                what="arcstat tells of none of the jobs",
                where=self.site.endpoint,
                fix="If the proxy has expired, renew it; then run again: jobs go on",
            )
        return {each: found.get(each) or self._unseen(each) for each in job_ids}

    def kill(self, job_ids: Sequence[str]) -> None:
        if job_ids:
            command = ["arckill", *self._jobs(), "--keep", *job_ids]
            ask(command, folder=self.folder, fine_codes=(0, 1))

    def fetch(self, job_id: str, name: str) -> None:
        place = self.folder / f"{name}.arc"
        shutil.rmtree(place, ignore_errors=True)
        command = ["arcget", *self._jobs(), "--keep", "--dir", str(place), job_id]
        ask(command, folder=self.folder)
        for path in sorted(place.glob("*/*")):
            if path.is_file() and path.name.startswith(name):
                path.replace(self.folder / path.name)
        shutil.rmtree(place, ignore_errors=True)

    def forget(self, job_ids: Sequence[str]) -> None:
        if job_ids:
            command = ["arcclean", *self._jobs(), *job_ids]
            ask(command, folder=self.folder, fine_codes=(0, 1))

    def _unseen(self, job_id: str) -> JobState:
        """Wait for a job of which nothing is said: a new one appears late."""
        now = time.monotonic()
        since = self._first_unseen.setdefault(job_id, now)
        if now - since < _LATENCY:
            return JobState(state="queued")
        return JobState(state="lost", reason="ARC knows no such job")

    def _submit(self, parcel: Parcel) -> str:
        path = self.folder / f"{parcel.name}.xrsl"
        write_private(path, _xrsl(parcel, self.site.options))
        ids = self._ids(parcel.name)
        command = ["arcsub", "-C", self.site.endpoint, *self._jobs()]
        ask([*command, "-o", str(ids), path.name], folder=self.folder)
        found = self.find([parcel.name])
        if not found:
            raise SiteError(
                what="arcsub took no job",
                where=str(path),
                fix="Try the file by hand; see the [site:NAME] settings",
            )
        return found[parcel.name]

    def _ids(self, name: str) -> Path:
        return self.folder / f"{name}.id"

    def _jobs(self) -> list[str]:
        # a list of our own: two productions do not write to the same one
        return ["-j", str(self.folder / "arc-jobs.dat")]


def make_arc(site: SiteSettings, folder: Path) -> ShipEngine:
    """Make the engine of a site.

    Parameters
    ----------
    site : SiteSettings
        The site.
    folder : Path
        Folder of job files, logs and answers.

    Returns
    -------
    ShipEngine
        A computing element of ARC.
    """
    return _Arc(site, folder)


def _xrsl(parcel: Parcel, options: Sequence[str]) -> str:
    files = "".join(
        f' ("{path.name}" "{path}")' for path in (parcel.script, *parcel.inputs)
    )
    lines = [
        '&(executable="/bin/bash")',
        f'(arguments="{parcel.script.name}")',
        f'(jobName="{parcel.name}")',
        f"(inputFiles={files})",
        *([f'(outputFiles=("{parcel.output}" ""))'] if parcel.output else []),
        f'(stdout="{parcel.name}.log")(join="yes")(gmlog="gmlog")',
        f'(wallTime="{-(-round(parcel.time) // 60)} minutes")',
        f'(memory="{round(parcel.memory)}")',
        *options,
    ]
    return "\n".join([*lines, ""])


def _jobs_of(said: str) -> list[dict[str, str]]:
    """Read blocks that begin with ``Job: ID``, followed by ``key: value``."""
    jobs: list[dict[str, str]] = []
    for line in said.splitlines():
        key, _, value = line.strip().partition(": ")
        if key == "Job":
            jobs.append({})
        if jobs and value:
            jobs[-1].setdefault(key, value)
    return jobs


def _read(job: Mapping[str, str]) -> tuple[str, JobState]:
    word = job.get("State", "Undefined").split()[0]
    code, error = job.get("Exit Code", "0"), job.get("Job Error", "")
    if word in _QUEUED | _RUNNING:
        return job["Job"], JobState(state="queued" if word in _QUEUED else "running")
    if word == "Hold":
        return job["Job"], JobState(state="held", reason=error or "no reason given")
    if word == "Finished" and code == "0":
        return job["Job"], JobState(state="done")
    reason = error or (f"exit code {code}" if code != "0" else word.lower())
    lacks_memory = "memory" in error.lower()
    return job["Job"], JobState(
        state="failed", reason=reason, lacks_memory=lacks_memory
    )
