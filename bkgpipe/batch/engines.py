"""Slurm and HTCondor, with their commands run and their answers read by law."""

from __future__ import annotations

import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import law

from bkgpipe.batch.jobs import Job
from bkgpipe.errors import SettingsError, SiteError
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["Engine", "JobAnswer", "make_engine"]

law.contrib.load("slurm", "htcondor")

_STATES = {"pending", "running", "finished", "failed"}
# expressions of HTCondor
_HELD, _RUNNING = "(JobStatus == 5)", "(JobStatus == 2)"
_RUN_TIME = "time() - JobCurrentStartDate"
_SUBMIT_RETRIES, _RETRY_DELAY = 3, 5  # and seconds


@dataclass(frozen=True, kw_only=True)
class JobAnswer:
    """What a batch system says of a job.

    Attributes
    ----------
    state : str
        ``pending``, ``running``, ``finished`` or ``failed``.
    error : str
        Why it failed, in the words of the batch system.
    """

    state: str
    error: str = ""


class Engine(ABC):
    """A batch system.

    Parameters
    ----------
    site : SiteSettings
        The site.
    manager : object
        Job manager of law: submits, queries and cancels.
    """

    def __init__(self, site: SiteSettings, manager: Any) -> None:
        self.site = site
        self._manager = manager

    @abstractmethod
    def write(self, job: Job, script: str, *, folder: Path) -> Path:
        """Write the file that is given to the batch system.

        Parameters
        ----------
        job : Job
            The job.
        script : str
            Lines of bash.
        folder : Path
            Folder of the file.

        Returns
        -------
        Path
            The file.
        """

    @abstractmethod
    def find(self, name: str) -> str:
        """Find a job by its name.

        Parameters
        ----------
        name : str
            Name.

        Returns
        -------
        str
            Its number; empty if the batch system knows none.

        Raises
        ------
        SiteError
            If the batch system does not answer.
        """

    def submit(self, path: Path) -> str:
        """Send a job.

        Parameters
        ----------
        path : Path
            File that `write` made.

        Returns
        -------
        str
            Number of the job.

        Raises
        ------
        SiteError
            If the batch system does not take it.
        """
        with _told_as(
            "the batch system took no job",
            where=str(path),
            fix="Try the file by hand; see the [site:NAME] settings",
        ):
            number = self._manager.submit(
                str(path), retries=_SUBMIT_RETRIES, retry_delay=_RETRY_DELAY
            )
        return str(number)

    def query(self, job_ids: Sequence[str]) -> dict[str, JobAnswer]:
        """Ask what became of jobs.

        Parameters
        ----------
        job_ids : sequence of str
            Numbers of the jobs.

        Returns
        -------
        dict of str to JobAnswer
            By number.

        Raises
        ------
        SiteError
            If the batch system does not answer.
        """
        if not job_ids:
            return {}
        with _told_as(
            "the batch system does not answer",
            where=self.site.engine,
            fix="Jobs that are sent go on; run again to watch them",
        ):
            found = self._manager.query(self._numbers(job_ids))
        return {str(number): _answer(told) for number, told in found.items()}

    def cancel(self, job_ids: Sequence[str]) -> None:
        """Take jobs back.

        Parameters
        ----------
        job_ids : sequence of str
            Numbers of the jobs.

        Raises
        ------
        SiteError
            If the batch system refuses.
        """
        if not job_ids:
            return
        with _told_as(
            "cannot cancel",
            where=self.site.engine,
            fix="Cancel them with the commands of the batch system",
        ):
            self._manager.cancel(self._numbers(job_ids))

    def _numbers(self, job_ids: Sequence[str]) -> list[Any]:
        return list(job_ids)


class _Slurm(Engine):
    """Slurm, with accounting (``sacct``)."""

    def __init__(self, site: SiteSettings) -> None:
        super().__init__(site, law.slurm.SlurmJobManager())

    def write(self, job: Job, script: str, *, folder: Path) -> Path:
        minutes = -(-int(self.site.time) // 60)
        lines = [
            f"--job-name={job.name}",
            f"--output={_slurm_path(job.log)}",
            f"--time={minutes}",
            f"--mem={round(self.site.memory)}M",
            "--ntasks=1",
            # a node that dies gives the job back to the queue, under the same number
            "--requeue",
            "--open-mode=append",
        ]
        if self.site.queue:
            lines.append(f"--partition={self.site.queue}")
        header = "".join(f"#SBATCH {line}\n" for line in (*lines, *self.site.options))
        return _write(folder / f"{job.name}.sh", f"#!/bin/bash\n{header}{script}")

    def find(self, name: str) -> str:
        queued = ["squeue", "--noheader", "--format=%i", f"--name={name}"]
        ended = ["sacct", "--noheader", "--parsable2", "--allocations"]
        ended += ["--format=JobID", f"--name={name}", "--starttime=now-30days"]
        return _first_number(queued) or _first_number(ended)

    def _numbers(self, job_ids: Sequence[str]) -> list[Any]:
        return [int(job_id) for job_id in job_ids]


class _HTCondor(Engine):
    """HTCondor, with a file system that submitter and nodes share."""

    def __init__(self, site: SiteSettings) -> None:
        super().__init__(site, law.htcondor.HTCondorJobManager())

    def write(self, job: Job, script: str, *, folder: Path) -> Path:
        executable = _write(folder / f"{job.name}.sh", f"#!/bin/bash\n{script}")
        seconds = round(self.site.time)
        lines = [
            "universe = vanilla",
            f"batch_name = {job.name}",
            f"executable = {_condor_path(executable)}",
            f"output = {_condor_path(job.log)}",
            f"error = {_condor_path(job.log)}",
            f"log = {_condor_path(folder / job.name)}.condor",
            "should_transfer_files = NO",
            "request_cpus = 1",
            f"request_memory = {round(self.site.memory)}MB",
            f"periodic_remove = {_HELD} || ({_RUNNING} && {_RUN_TIME} > {seconds})",
            *self.site.options,
            "queue",
        ]
        return _write(folder / f"{job.name}.sub", "\n".join([*lines, ""]))

    def find(self, name: str) -> str:
        asked = [f'JobBatchName == "{name}"', "-af:j", "ClusterId"]
        queued = ["condor_q", "-constraint", *asked]
        ended = ["condor_history", "-limit", "1", "-constraint", *asked]
        return _first_number(queued) or _first_number(ended)


def make_engine(site: SiteSettings) -> Engine:
    """Make the batch system of a site.

    Parameters
    ----------
    site : SiteSettings
        The site.

    Returns
    -------
    Engine
        The batch system.
    """
    return {"slurm": _Slurm, "htcondor": _HTCondor}[site.engine](site)


def _write(path: Path, text: str) -> Path:
    """Write a file that is for its owner alone: the environment may hold secrets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o700)
    path.write_text(text, encoding="utf-8")
    return path


def _slurm_path(path: Path | str) -> str:
    """Quote a path for a line of options, where ``%`` begins a pattern."""
    return '"' + _plain(path).replace("%", "%%") + '"'


def _condor_path(path: Path | str) -> str:
    """Write a path for a submit file, where ``$`` begins a macro."""
    return _plain(path).replace("$", "$(DOLLAR)")


def _plain(path: Path | str) -> str:
    """Refuse a path that no job file can name."""
    text = str(path)
    if not text.isprintable() or text != text.strip() or set(text) & set('"\\'):
        raise SettingsError(
            what=f"{text!r} has a quote, a backslash, a control character, or a space "
            "at an end, which job files cannot name",
            where="[data] output",
            fix="Choose another folder for a production that runs on a batch system",
        )
    return text


def _first_number(command: list[str]) -> str:
    """Run a command; the first word that it prints, if that is a job's number."""
    try:
        found = subprocess.run(  # noqa: S603 the words are ours
            command, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SiteError(
            what=f"{command[0]} does not answer ({error})",
            where="batch system",
            fix="Run again when it does: until then it is not known which jobs were "
            "sent",
        ) from error
    numbers = re.findall(r"^\s*(\d+(?:\.\d+)?)", found.stdout, flags=re.MULTILINE)
    return numbers[0] if numbers else ""


def _answer(told: dict[str, Any]) -> JobAnswer:
    state = told["status"] if told["status"] in _STATES else "failed"
    code = f"exit code {told['code']}" if told.get("code") else ""
    error = ", ".join(filter(None, [str(told.get("error") or ""), code]))
    return JobAnswer(state=state, error=error if state == "failed" else "")


@contextmanager
def _told_as(what: str, *, where: str, fix: str) -> Iterator[None]:
    """Raise our error for what law raises, with the last line that was printed."""
    try:
        yield
    except Exception as error:
        # law raises nothing narrower
        lines = str(error).strip().splitlines() or [repr(error)]
        raise SiteError(what=f"{what}: {lines[-1]}", where=where, fix=fix) from error
