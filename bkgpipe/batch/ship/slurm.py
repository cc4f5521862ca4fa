"""Slurm, whose jobs fetch and send their files by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bkgpipe.batch.ship.commands import ask, write_private
from bkgpipe.batch.ship.protocol import JobState, Parcel, ShipEngine
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["make_slurm"]

_QUEUED = ("PENDING", "REQUEUED", "RESIZING", "SUSPENDED", "REQUEUE_HOLD")
_RUNNING = ("RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT")
_STATES = {
    **dict.fromkeys(_QUEUED, "queued"),
    **dict.fromkeys(_RUNNING, "running"),
    "COMPLETED": "done",
}


class _Slurm(ShipEngine):
    """Slurm, whose jobs fetch and send their files by themselves."""

    def submit(self, parcels: Sequence[Parcel]) -> list[str]:
        return [self._submit(parcel) for parcel in parcels]

    def find(self, names: Sequence[str]) -> dict[str, str]:
        if not names:
            return {}
        since = ["--starttime=now-30days", f"--name={','.join(names)}"]
        rows = self._rows(["JobID", "JobName"], since)
        return {name: job_id for job_id, name in rows}

    def poll(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        if not job_ids:
            return {}
        rows = self._rows(["JobID", "State", "ExitCode"], [f"-j{','.join(job_ids)}"])
        found = {job_id: _state(state, code) for job_id, state, code in rows}
        lost = JobState(state="lost", reason="Slurm knows no such job")
        return {job_id: found.get(job_id, lost) for job_id in job_ids}

    def kill(self, job_ids: Sequence[str]) -> None:
        if job_ids:
            ask(["scancel", "--quiet", *job_ids], folder=self.folder, fine_codes=(0, 1))

    def _submit(self, parcel: Parcel) -> str:
        lines = [
            f"--job-name={parcel.name}",
            f"--output={parcel.name}.log",
            f"--time={-(-round(parcel.time) // 60)}",
            f"--mem={round(parcel.memory)}M",
            "--ntasks=1",
            "--requeue",
            "--open-mode=append",
            *([f"--partition={self.site.queue}"] if self.site.queue else []),
            *self.site.options,
        ]
        header = "".join(f"#SBATCH {line}\n" for line in lines)
        body = parcel.script.read_text(encoding="utf-8")
        path = self.folder / f"{parcel.name}.sbatch"
        write_private(path, f"#!/bin/bash\n{header}{body}")
        said = ask(["sbatch", "--parsable", path.name], folder=self.folder)
        return said.strip().partition(";")[0]

    def _rows(self, columns: list[str], which: list[str]) -> list[list[str]]:
        command = ["sacct", "--noheader", "--parsable2", "--allocations", *which]
        said = ask([*command, f"--format={','.join(columns)}"], folder=self.folder)
        rows = (line.split("|") for line in said.splitlines())
        return [row for row in rows if len(row) == len(columns)]


def make_slurm(site: SiteSettings, folder: Path) -> ShipEngine:
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
        Slurm.
    """
    return _Slurm(site, folder)


def _state(state: str, code: str) -> JobState:
    word = (state.split() or [""])[0]
    if word in _STATES:
        return JobState(state=_STATES[word])
    ended = word.lower().replace("_", " ")
    reason = f"{ended}, exit code {code.partition(':')[0]}"
    is_short = word == "OUT_OF_MEMORY"
    return JobState(state="failed", reason=reason, lacks_memory=is_short)
