"""Send chunks to a batch system as jobs, and see to it that all come back."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from bkgpipe.batch.engines import Engine, JobAnswer
from bkgpipe.batch.jobs import Job, Journal
from bkgpipe.batch.script import job_command, job_script
from bkgpipe.batch.waves import split_chunks
from bkgpipe.errors import SiteError
from bkgpipe.flow.base import StageTask
from bkgpipe.settings import Settings
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["Desk"]

_log = logging.getLogger(__name__)

# A product can be seen later here than on the node that wrote it.
_LATENCY = 60.0  # s
_MAX_SILENCE = 30  # looks in a row that the batch system does not answer


@dataclass(kw_only=True)
class Desk:
    """Where the jobs of a production on one site are sent from.

    Attributes
    ----------
    settings : Settings
        Settings that the production keeps beside its products.
    site : SiteSettings
        The site.
    engine : Engine
        Its batch system.
    folder : Path
        Folder of job files, logs and the journal.
    """

    settings: Settings
    site: SiteSettings
    engine: Engine
    folder: Path
    _names: set[str] = field(default_factory=set)
    _failures: Counter[int] = field(default_factory=Counter)
    _ended: dict[str, float] = field(default_factory=dict)
    _n_silent: int = 0

    @property
    def journal(self) -> Journal:
        """What is known of the jobs."""
        return Journal(self.folder)

    @property
    def _stem(self) -> str:
        """Begin the names of jobs, differently for other productions and settings."""
        place = hashlib.sha256(str(self.settings.path).encode()).hexdigest()[:6]
        return f"bkgpipe-{place}"

    def make(self, word: str, tasks: Mapping[int, StageTask]) -> None:
        """Send jobs for the tasks that are not complete, and wait for all of them.

        Jobs of an earlier submitter that still wait or run are waited for as well.

        Parameters
        ----------
        word : str
            What the jobs make.
        tasks : mapping of int to StageTask
            Task of each chunk.

        Raises
        ------
        SiteError
            If chunks failed more often than the site's settings allow, if somebody
            cancelled jobs, or if the batch system does not answer.
        """
        self._failures.clear()
        jobs = self._find_again(word)
        taken = {chunk for job in jobs for chunk in job.chunks}
        left = [
            n for n, task in tasks.items() if n not in taken and not task.complete()
        ]
        waiting = deque(split_chunks(left, size=self.site.chunks_per_job))
        told = ""
        try:
            while waiting or jobs:
                while waiting and len(jobs) < self.site.max_jobs:
                    jobs.append(self._send(word, waiting.popleft()))
                told = self._tell(word, jobs, n_waiting=len(waiting), told=told)
                time.sleep(self.site.poll)
                jobs, again = self._settle(jobs, self._ask(jobs), tasks)
                waiting.extend(again)
        except KeyboardInterrupt:
            _log.warning("%d jobs go on: run again to watch them", len(jobs))
            raise
        self._require_all(word, tasks)

    def _find_again(self, word: str) -> list[Job]:
        """Find the jobs that an earlier submitter sent and that may still run."""
        known = self.journal.read()
        self._names.update(known)
        stem = f"{self._stem}-{word}-"
        found = [j for j in known.values() if j.is_open and j.name.startswith(stem)]
        jobs = []
        for job in found:
            # killed between asking the batch system and noting its answer
            job_id = job.job_id or self.engine.find(job.name)
            state = "pending" if job_id else "failed"
            jobs.append(replace(job, job_id=job_id, state=state))
        self.journal.write(job for job in jobs if job not in found)
        jobs = [job for job in jobs if job.is_open]
        if jobs:
            _log.info("%s: %d jobs were sent before, watching them", word, len(jobs))
        return jobs

    def _send(self, word: str, chunks: tuple[int, ...]) -> Job:
        job = self._new_job(word, chunks)
        self.journal.write([job])
        script = job_script(
            self.site, self.settings, job_command(self.settings, word, chunks)
        )
        path = self.engine.write(job, script, folder=self.folder)
        try:
            job = replace(job, job_id=self.engine.submit(path), state="pending")
        except SiteError as error:
            self.journal.write([replace(job, state="failed", error=error.what)])
            raise
        self.journal.write([job])
        return job

    def _new_job(self, word: str, chunks: tuple[int, ...]) -> Job:
        stem = f"{self._stem}-{word}-{chunks[0]}"
        attempt = next(n for n in count() if f"{stem}-{n}" not in self._names)
        name = f"{stem}-{attempt}"
        self._names.add(name)
        log = str(self.folder / f"{name}.log")
        return Job(name=name, word=word, chunks=chunks, attempt=attempt, log=log)

    def _ask(self, jobs: Iterable[Job]) -> dict[str, JobAnswer]:
        """Ask the batch system; nothing when it does not answer for once."""
        try:
            answers = self.engine.query([job.job_id for job in jobs])
        except SiteError as error:
            self._n_silent += 1
            if self._n_silent > _MAX_SILENCE:
                raise
            _log.warning("%s", error)
            return {}
        self._n_silent = 0
        return answers

    def _settle(
        self,
        jobs: Iterable[Job],
        answers: Mapping[str, JobAnswer],
        tasks: Mapping[int, StageTask],
    ) -> tuple[list[Job], list[tuple[int, ...]]]:
        """Take in what became of jobs: those still open, and chunks to send again."""
        before = list(jobs)
        after = [self._look(job, answers.get(job.job_id), tasks) for job in before]
        changed = [new for old, new in zip(before, after, strict=True) if new != old]
        cancelled = self._cancelled() if changed else set()
        self.journal.write(job for job in changed if job.name not in cancelled)
        failed = [job for job in changed if job.state == "failed"]
        if any(job.name in cancelled for job in failed):
            raise SiteError(
                what="jobs were cancelled",
                where=str(self.journal.path),
                fix="Run again to send what is missing",
            )
        again = [chunk for job in failed for chunk in self._retried(job, tasks)]
        return [job for job in after if job.is_open], split_chunks(
            again, size=self.site.chunks_per_job
        )

    def _cancelled(self) -> set[str]:
        jobs = self.journal.read().values()
        return {job.name for job in jobs if job.state == "cancelled"}

    def _look(
        self, job: Job, answer: JobAnswer | None, tasks: Mapping[int, StageTask]
    ) -> Job:
        if answer is None:
            return job
        if answer.state != "finished":
            return replace(job, state=answer.state, error=answer.error)
        missing = _missing(job, tasks)
        if not missing:
            return replace(job, state="finished", error="")
        now = time.monotonic()
        is_early = now - self._ended.setdefault(job.name, now) < _LATENCY
        error = f"ended without an error, but chunk {missing[0]} is not there"
        return job if is_early else replace(job, state="failed", error=error)

    def _retried(self, job: Job, tasks: Mapping[int, StageTask]) -> list[int]:
        """Count a failure, and tell which chunks are worth another job."""
        missing = _missing(job, tasks)
        self._failures.update(missing)
        again = [n for n in missing if self._failures[n] <= self.site.retries]
        _log.warning(
            "Job %s failed (%s)%s. Log: %s",
            job.job_id,
            job.error or "no reason given",
            ", sending it again" if again else "",
            job.log,
        )
        return again

    def _tell(self, word: str, jobs: list[Job], *, n_waiting: int, told: str) -> str:
        states = Counter(job.state for job in jobs)
        parts = [f"{states[state]} {state}" for state in ("pending", "running")]
        parts += [f"{n_waiting} not sent yet"] if n_waiting else []
        text = f"{word}: jobs {', '.join(parts)}"
        if text != told:
            _log.info("%s", text)
        return text

    def _require_all(self, word: str, tasks: Mapping[int, StageTask]) -> None:
        missing = [chunk for chunk, task in tasks.items() if not task.complete()]
        if not missing:
            return
        jobs = reversed(self.journal.read().values())
        last = next(
            (job for job in jobs if job.word == word and missing[0] in job.chunks), None
        )
        raise SiteError(
            what=f"{len(missing)} chunk(s) of {word} failed, the first in "
            f"{last.name if last else 'no job'} ({last.error if last else ''})",
            where=last.log if last else str(self.folder),
            fix="Read that log; what is done is kept, and a new run sends the rest",
        )


def _missing(job: Job, tasks: Mapping[int, StageTask]) -> list[int]:
    # a chunk that the production no longer has is not missing
    return [n for n in job.chunks if n in tasks and not tasks[n].complete()]
