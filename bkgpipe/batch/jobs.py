"""What is known of the jobs of a site, kept in a file that only grows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from bkgpipe.errors import OutputError

__all__ = ["Job", "Journal", "find_sites", "site_folder"]

# `sending` is written before the batch system is asked: a submitter may be killed
# between that and the number of the job.
_OPEN_STATES = frozenset({"sending", "pending", "running", "held", "ended"})


@dataclass(frozen=True, kw_only=True)
class Job:
    """A batch job, at one moment.

    Attributes
    ----------
    name : str
        Name, which no other job of the production has.
    word : str
        What it makes, as ``count``.
    chunks : tuple of int
        Chunks that it makes.
    attempt : int
        How many times the first of these was sent before.
    job_id : str
        Number that the batch system gave it; empty when not known yet.
    state : str
        ``sending``, ``pending``, ``running``, ``held``, ``ended`` (its answer is not
        taken yet), ``finished``, ``failed`` or ``cancelled``.
    log : str
        File of what it prints.
    error : str
        Why it failed.
    sum : str
        SHA-256 of the bundle that it was sent with; empty if it shares our folders.
    memory : float
        Memory that it asked for [MB]; zero if that is not known.
    lacks_memory : bool
        Whether it failed because that was too little.
    """

    name: str
    word: str
    chunks: tuple[int, ...]
    attempt: int
    job_id: str = ""
    state: str = "sending"
    log: str = ""
    error: str = ""
    sum: str = ""
    memory: float = 0.0
    lacks_memory: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it may still do something."""
        return self.state in _OPEN_STATES


def site_folder(output: Path, name: str) -> Path:
    """Folder of the jobs of a site.

    Parameters
    ----------
    output : Path
        Output folder of the production.
    name : str
        Name of the site.

    Returns
    -------
    Path
        The folder; it need not exist.
    """
    return output / "jobs" / name


def find_sites(output: Path) -> list[str]:
    """Name the sites that a production has sent jobs to.

    Parameters
    ----------
    output : Path
        Output folder of the production.

    Returns
    -------
    list of str
        Names, sorted.
    """
    found = site_folder(output, "").glob("*/jobs.jsonl")
    return sorted(path.parent.name for path in found)


class Journal:
    """The jobs of a site, with a line for each change; the last line of a job holds.

    Parameters
    ----------
    folder : Path
        Folder of the site's jobs.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "jobs.jsonl"

    def read(self) -> dict[str, Job]:
        """Read the present state of all jobs.

        Returns
        -------
        dict of str to Job
            By name, in the order in which they were sent first.
        """
        if not self.path.exists():
            return {}
        lines = self.path.read_text(encoding="utf-8").splitlines()
        jobs = filter(None, map(_read_line, lines))
        return {job.name: job for job in jobs}

    def write(self, jobs: Iterable[Job]) -> None:
        """Note the state of some jobs, on disk when this returns.

        Parameters
        ----------
        jobs : iterable of Job
            Jobs that changed.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        text = "".join(json.dumps(asdict(job)) + "\n" for job in jobs)
        if not text:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                # a killed submitter can have left half a line
                file.write(text if _ends_whole(self.path) else f"\n{text}")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                what=f"cannot be written ({error.strerror or error})",
                where=str(self.path),
                fix="Free some space, then run again: jobs that are sent are not lost",
            ) from error


def _ends_whole(path: Path) -> bool:
    if path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read_line(line: str) -> Job | None:
    """Read one line; None for one that was cut off."""
    try:
        values = json.loads(line)
        return Job(**values | {"chunks": tuple(values["chunks"])})
    except (ValueError, TypeError, KeyError):
        return None
