"""What is asked of a batch system whose jobs bring their files along."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["ALIVE", "STATES", "JobState", "Parcel", "ShipEngine"]

ALIVE = frozenset({"queued", "running"})
STATES = frozenset({*ALIVE, "held", "done", "failed", "lost"})


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What a batch system is given for one job.

    Attributes
    ----------
    name : str
        Name, which no other job of the production has.
    script : Path
        File of bash that the job runs.
    inputs : tuple of Path
        Files that are copied beside it.
    output : str
        Name of the file that the job leaves beside it; empty when nothing is copied.
    memory : float
        Memory [MB].
    time : float
        Longest time [s].
    """

    name: str
    script: Path
    inputs: tuple[Path, ...]
    output: str
    memory: float
    time: float


@dataclass(frozen=True, kw_only=True)
class JobState:
    """What a batch system says of a job.

    Attributes
    ----------
    state : str
        One of `STATES`; ``lost`` when the batch system knows no such job.
    reason : str
        Why it is held or failed, in the words of the batch system.
    lacks_memory : bool
        Whether that is that it needed more memory than it asked for.
    """

    state: str
    reason: str = ""
    lacks_memory: bool = False


class ShipEngine(ABC):
    """A batch system whose jobs share no folders with the submitter.

    All methods raise `bkgpipe.errors.SiteError` when it does not answer.

    Parameters
    ----------
    site : SiteSettings
        The site.
    folder : Path
        Folder of job files, logs and answers.
    """

    def __init__(self, site: SiteSettings, folder: Path) -> None:
        self.site = site
        self.folder = folder

    @abstractmethod
    def submit(self, parcels: Sequence[Parcel]) -> list[str]:
        """Send jobs.

        Parameters
        ----------
        parcels : sequence of Parcel
            What each job needs.

        Returns
        -------
        list of str
            Number of each job.
        """

    @abstractmethod
    def find(self, names: Sequence[str]) -> dict[str, str]:
        """Find jobs by their names.

        Parameters
        ----------
        names : sequence of str
            Names of parcels.

        Returns
        -------
        dict of str to str
            Number of each job that was sent, by its name.
        """

    @abstractmethod
    def poll(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        """Ask what became of jobs.

        Parameters
        ----------
        job_ids : sequence of str
            Numbers of the jobs.

        Returns
        -------
        mapping of str to JobState
            By number; all of them.
        """

    @abstractmethod
    def kill(self, job_ids: Sequence[str]) -> None:
        """Cancel jobs; those that have ended are left alone.

        Parameters
        ----------
        job_ids : sequence of str
            Numbers of the jobs.
        """

    def fetch(self, job_id: str, name: str) -> None:  # noqa: B027 most have them there
        """Bring log and answer of an ended job into the folder, if they are not there.

        Parameters
        ----------
        job_id : str
            Number of the job.
        name : str
            Name of its parcel.
        """

    def forget(self, job_ids: Sequence[str]) -> None:  # noqa: B027 most keep nothing
        """Let the batch system remove what it keeps of jobs whose answers were taken.

        Parameters
        ----------
        job_ids : sequence of str
            Numbers of the jobs.
        """
