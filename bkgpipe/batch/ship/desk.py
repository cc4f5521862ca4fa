"""Pack, send, watch, fetch and put, and go on after a kill at any of these."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from bkgpipe.batch.jobs import Job, Journal
from bkgpipe.batch.ship.baggage import Baggage
from bkgpipe.batch.ship.carriage import Carriage
from bkgpipe.batch.ship.protocol import ALIVE, JobState
from bkgpipe.batch.waves import split_chunks
from bkgpipe.errors import SiteError
from bkgpipe.flow.base import StageTask
from bkgpipe.settings import Settings

__all__ = ["ShipDesk"]

_log = logging.getLogger(__name__)

_MAX_SILENCE = 30  # looks in a row that the batch system does not answer
_PACKED_AT_ONCE = 50  # jobs, so that the first ones run while others are packed
_MORE_MEMORY, _MOST_MEMORY = 2.0, 8.0  # times: at each failure, and in all
_OURS = {"queued": "pending", "running": "running"}


@dataclass(kw_only=True)
class ShipDesk:
    """Where the jobs of a production on a site without shared folders are sent from.

    A job is noted as ``sending`` when its bundle is packed, as ``ended`` when its
    answer can be fetched. What follows either is harmless twice.

    Attributes
    ----------
    settings : Settings
        Settings that the production keeps beside its products.
    carriage : Carriage
        How bundles and answers travel.
    baggage : Baggage
        How they are made, and put in place.
    """

    settings: Settings
    carriage: Carriage
    baggage: Baggage
    _names: set[str] = field(default_factory=set)
    _failures: Counter[int] = field(default_factory=Counter)
    _hopeless: dict[int, str] = field(default_factory=dict)
    _memory: dict[int, float] = field(default_factory=dict)
    _n_silent: int = 0

    @property
    def journal(self) -> Journal:
        """What is known of the jobs."""
        return Journal(self.carriage.folder)

    @property
    def _stem(self) -> str:
        place = hashlib.sha256(str(self.settings.path).encode()).hexdigest()[:6]
        return f"bkgpipe-{place}"

    def make(self, word: str, tasks: Mapping[int, StageTask]) -> None:
        """Send jobs for the tasks that are not complete, and put what they bring back.

        Parameters
        ----------
        word : str
            What the jobs make.
        tasks : mapping of int to StageTask
            Task of each chunk.

        Raises
        ------
        SiteError
            If chunks failed more often than the site's settings allow, if another job
            could not help, or if the batch system or storage does not do its part.
        """
        self._failures.clear()
        self._hopeless.clear()
        site = self.carriage.site
        jobs = self._find_again(word)
        taken = {chunk for job in jobs for chunk in job.chunks}
        left = [
            n for n, task in tasks.items() if n not in taken and not task.complete()
        ]
        waiting = deque(split_chunks(left, size=site.chunks_per_job))
        told = ""
        try:
            while waiting or jobs:
                n_free = min(site.max_jobs - len(jobs), _PACKED_AT_ONCE, len(waiting))
                if n_free > 0:
                    jobs += self._send(word, [waiting.popleft() for _ in range(n_free)])
                told = self._tell(word, jobs, n_waiting=len(waiting), told=told)
                if not waiting or len(jobs) >= site.max_jobs:
                    time.sleep(site.poll)
                jobs, again = self._settle(jobs, tasks)
                waiting.extend(split_chunks(again, size=site.chunks_per_job))
        except KeyboardInterrupt:
            _log.warning("%d jobs go on: run again to take what they make", len(jobs))
            raise
        self._require_all(word, tasks)

    def _find_again(self, word: str) -> list[Job]:
        """Find the jobs of an earlier submitter that may still bring something."""
        known = self.journal.read()
        self._names.update(known)
        stem = f"{self._stem}-{word}-"
        ours = [job for job in known.values() if job.name.startswith(stem)]
        for job in ours:
            self._learn_memory(job)
        found = [job for job in ours if job.is_open]
        # killed between asking the batch system and noting its answer
        unsure = [job.name for job in found if not job.job_id]
        numbers = self.carriage.engine.find(unsure) if unsure else {}
        jobs = [
            replace(job, job_id=numbers[job.name], state="pending")
            if job.name in numbers
            else job
            for job in found
        ]
        unsent = [
            replace(job, state="failed", error="was not sent")
            for job in jobs
            if not job.job_id
        ]
        jobs = [job for job in jobs if job.job_id]
        self.journal.write([*(job for job in jobs if job not in found), *unsent])
        self.carriage.clear(unsent)
        if jobs:
            _log.info("%s: %d jobs were sent before, watching them", word, len(jobs))
        return jobs

    def _send(self, word: str, groups: Sequence[tuple[int, ...]]) -> list[Job]:
        carriage = self.carriage
        packed = self.baggage.pack(word, groups, carriage.folder)
        jobs = [
            replace(self._new_job(word, each.chunks), sum=each.sum) for each in packed
        ]
        for job, each in zip(jobs, packed, strict=True):
            each.path.replace(carriage.bundle(job.name))
        self.journal.write(jobs)
        try:
            parcels = [carriage.load(job) for job in jobs]
            numbers = carriage.engine.submit(parcels)
        except SiteError as error:
            _log.warning("Not all of %d jobs were sent: %s", len(jobs), error.what)
            raise
        jobs = [
            replace(job, job_id=number, state="pending")
            for job, number in zip(jobs, numbers, strict=True)
        ]
        self.journal.write(jobs)
        return jobs

    def _new_job(self, word: str, chunks: tuple[int, ...]) -> Job:
        stem = f"{self._stem}-{word}-{chunks[0]}"
        attempt = next(n for n in count() if f"{stem}-{n}" not in self._names)
        name = f"{stem}-{attempt}"
        self._names.add(name)
        usual = self.carriage.site.memory
        return Job(
            name=name,
            word=word,
            chunks=chunks,
            attempt=attempt,
            log=str(self.carriage.folder / f"{name}.log"),
            memory=max(usual, *(self._memory.get(n, 0.0) for n in chunks)),
        )

    def _settle(
        self, jobs: Iterable[Job], tasks: Mapping[int, StageTask]
    ) -> tuple[list[Job], list[int]]:
        """Take in what became of jobs: those still open, and chunks to send again."""
        before = list(jobs)
        told = self._ask([job.job_id for job in before if job.state != "ended"])
        after = [_told(job, told.get(job.job_id)) for job in before]
        self._stop_if_cancelled(job for job in after if job.error)
        held = [job.job_id for job in after if job.state == "held"]
        self.journal.write(
            new for old, new in zip(before, after, strict=True) if new != old
        )
        self.carriage.engine.kill(held)
        settled = [
            job if job.state in _OURS.values() else self._take(job, tasks)
            for job in after
        ]
        ended = [job for job in settled if not job.is_open]
        self.journal.write(ended)
        self.carriage.clear(ended)
        failed = [job for job in ended if job.state == "failed"]
        again = [chunk for job in failed for chunk in self._retried(job, tasks)]
        return [job for job in settled if job.is_open], again

    def _ask(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        """Ask the batch system; nothing when it does not answer for once."""
        try:
            answers = self.carriage.engine.poll(job_ids)
        except SiteError as error:
            self._n_silent += 1
            if self._n_silent > _MAX_SILENCE:
                raise
            _log.warning("%s", error)
            return {}
        self._n_silent = 0
        return answers

    def _take(self, job: Job, tasks: Mapping[int, StageTask]) -> Job:
        """Fetch the answer of a job and put it in place; whole, or failed and why.

        A job that failed may have made some of its chunks.
        """
        if job.state == "held":
            return replace(job, state="failed")
        self.carriage.bring(job)
        answer = self.carriage.answer(job.name)
        if not answer.exists() or not answer.stat().st_size:
            error = job.error or "ended without an error, but brought no answer"
            return replace(job, state="failed", error=error)
        verdict = self.baggage.put(answer)
        missing = _missing(job, tasks)
        if not missing:
            return replace(job, state="finished", error="")
        reason = "" if verdict.is_taken else verdict.reason
        if not verdict.can_help:
            self._hopeless |= dict.fromkeys(missing, reason)
        lacking = f"chunk {missing[0]} is not in its answer"
        error = reason or job.error or lacking
        return replace(job, state="failed", error=error)

    def _retried(self, job: Job, tasks: Mapping[int, StageTask]) -> list[int]:
        """Count a failure, and tell which chunks are worth another job."""
        self._learn_memory(job)
        missing = _missing(job, tasks)
        self._failures.update(missing)
        allowed = self.carriage.site.retries
        again = [
            n
            for n in missing
            if n not in self._hopeless and self._failures[n] <= allowed
        ]
        more = f" with {self._memory[again[0]]:g} MB" if self._grows(again) else ""
        _log.warning(
            "Job %s failed (%s)%s. Log: %s",
            job.name,
            job.error,
            f", sending it again{more}" if again else "",
            job.log,
        )
        return again

    def _grows(self, chunks: Sequence[int]) -> bool:
        return bool(chunks) and chunks[0] in self._memory

    def _learn_memory(self, job: Job) -> None:
        if not job.lacks_memory:
            return
        most = self.carriage.site.memory * _MOST_MEMORY
        wanted = min(job.memory * _MORE_MEMORY, most)
        for chunk in job.chunks:
            self._memory[chunk] = max(wanted, self._memory.get(chunk, 0.0))

    def _stop_if_cancelled(self, jobs: Iterable[Job]) -> None:
        names = {job.name for job in jobs}
        if not names:
            return
        known = self.journal.read()
        if any(known[name].state == "cancelled" for name in names):
            raise SiteError(
                what="jobs were cancelled",
                where=str(self.journal.path),
                fix="Run again to send what is missing",
            )

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
        jobs = [job for job in self.journal.read().values() if job.word == word]
        last = next((job for job in reversed(jobs) if missing[0] in job.chunks), None)
        is_hopeless = missing[0] in self._hopeless
        raise SiteError(
            what=f"{len(missing)} chunk(s) of {word} failed, the first in "
            f"{last.name if last else 'no job'} ({last.error if last else ''})",
            where=last.log if last else str(self.carriage.folder),
            fix="Use the same bkgpipe and settings there and here, then run again"
            if is_hopeless
            else "Read that log; what is done is kept, and a new run sends the rest, "
            "here or with --site to another site",
        )


def _told(job: Job, state: JobState | None) -> Job:
    """Note what the batch system says of a job."""
    if state is None:
        return job
    if state.state in ALIVE:
        return replace(job, state=_OURS[state.state], error="")
    is_held = state.state == "held"
    return replace(
        job,
        state="held" if is_held else "ended",
        error=f"held: {state.reason}" if is_held else state.reason,
        lacks_memory=state.lacks_memory,
    )


def _missing(job: Job, tasks: Mapping[int, StageTask]) -> list[int]:
    # a chunk that the production no longer has is not missing
    return [n for n in job.chunks if n in tasks and not tasks[n].complete()]
