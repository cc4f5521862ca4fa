"""HTCondor, which copies the files of its jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bkgpipe.batch.ship.commands import ask, ask_json, write_private
from bkgpipe.batch.ship.protocol import JobState, Parcel, ShipEngine
from bkgpipe.errors import SiteError
from bkgpipe.settings.site_sections import SiteSettings

__all__ = ["make_htcondor"]

_NAME = "BkgpipeName"
_ALIVE = {1: "queued", 2: "running", 6: "running", 7: "running"}
_COMPLETED, _HELD, _MEMORY_CODES = 4, 5, {34}
_ATTRIBUTES = (
    "ClusterId,ProcId,JobStatus,HoldReason,HoldReasonCode,ExitCode,"
    f"ExitBySignal,ExitSignal,RemoveReason,{_NAME}"
)


class _HTCondor(ShipEngine):
    """HTCondor, which copies the files of its jobs."""

    def submit(self, parcels: Sequence[Parcel]) -> list[str]:
        text = _submit_text(parcels, self.site.options)
        path = write_private(self.folder / f"{parcels[0].name}.sub", text)
        said = ask(["condor_submit", "-terse", path.name], folder=self.folder)
        numbers = _expand(said)
        if len(numbers) != len(parcels):
            raise SiteError(
                what=f"condor_submit took {len(numbers)} of {len(parcels)} jobs",
                where=str(path),
                fix="Run again: jobs that were sent are found by their names",
            )
        return numbers

    def find(self, names: Sequence[str]) -> dict[str, str]:
        wanted = set(names)
        told = ["-constraint", f"{_NAME} =!= undefined", *_as_json()]
        found: dict[str, str] = {}
        for command in (["condor_history", "-limit", "20000"], ["condor_q"]):
            jobs = ask_json([*command, *told], folder=self.folder)
            found |= {str(job[_NAME]): _number(job) for job in jobs if _NAME in job}
        return {name: number for name, number in found.items() if name in wanted}

    def poll(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        found = self._ask(["condor_q"], job_ids)
        ended = [job_id for job_id in job_ids if job_id not in found]
        found |= self._ask(["condor_history", "-limit", str(len(ended))], ended)
        lost = JobState(state="lost", reason="HTCondor knows no such job")
        return {job_id: found.get(job_id, lost) for job_id in job_ids}

    def kill(self, job_ids: Sequence[str]) -> None:
        if job_ids:
            # exit code 1: some of them are not there any more
            command = ["condor_rm", *job_ids]
            ask(command, folder=self.folder, fine_codes=(0, 1))

    def _ask(self, command: list[str], job_ids: Sequence[str]) -> dict[str, JobState]:
        if not job_ids:
            return {}
        jobs = ask_json([*command, *job_ids, *_as_json()], folder=self.folder)
        return {_number(job): _state(job) for job in jobs}


def make_htcondor(site: SiteSettings, folder: Path) -> ShipEngine:
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
        HTCondor.
    """
    return _HTCondor(site, folder)


def _as_json() -> list[str]:
    return ["-json", "-attributes", _ATTRIBUTES]


def _submit_text(parcels: Sequence[Parcel], options: Sequence[str]) -> str:
    """Write one file for all jobs, of one executable so that they share a cluster."""
    head = [
        "universe = vanilla",
        "executable = /bin/bash",
        "transfer_executable = False",
        "should_transfer_files = YES",
        "when_to_transfer_output = ON_EXIT",
        "request_cpus = 1",
        *options,
    ]
    return "\n".join([*head, *(_job_text(parcel) for parcel in parcels), ""])


def _job_text(parcel: Parcel) -> str:
    inputs = [_named(path) for path in (parcel.script, *parcel.inputs)]
    seconds = round(parcel.time)
    lines = [
        f"arguments = {parcel.script.name}",
        f"transfer_input_files = {', '.join(inputs)}",
        f"transfer_output_files = {parcel.output or chr(34) * 2}",
        f"output = {parcel.name}.log",
        f"error = {parcel.name}.log",
        f"log = {parcel.name}.condor",
        f"request_memory = {round(parcel.memory)}MB",
        f"periodic_hold = JobStatus == 2 && time() - JobCurrentStartDate > {seconds}",
        f'periodic_hold_reason = "it ran for more than {seconds} s"',
        f'+{_NAME} = "{parcel.name}"',
        "queue",
    ]
    return "\n".join(lines)


def _named(path: Path) -> str:
    """Write a path for a list in a submit file, where ``$`` begins a macro."""
    if "," in str(path) or not str(path).isprintable():
        raise SiteError(
            what="HTCondor copies no file with a comma or a control character in it",
            where=str(path),
            fix="Choose another [data] output",
        )
    return str(path).replace("$", "$(DOLLAR)")


def _expand(said: str) -> list[str]:
    """Read ranges as ``12.0 - 12.3``."""
    numbers = []
    for cluster, first, last in re.findall(r"(\d+)\.(\d+) - \d+\.(\d+)", said):
        numbers += [f"{cluster}.{n}" for n in range(int(first), int(last) + 1)]
    return numbers


def _number(job: Mapping[str, Any]) -> str:
    return f"{job['ClusterId']}.{job['ProcId']}"


def _state(job: Mapping[str, Any]) -> JobState:
    status = int(job["JobStatus"])
    if status == _HELD:
        reason = str(job.get("HoldReason") or "no reason given")
        lacks_memory = job.get("HoldReasonCode") in _MEMORY_CODES
        return JobState(state="held", reason=reason, lacks_memory=lacks_memory)
    if status in _ALIVE:
        return JobState(state=_ALIVE[status])
    reason = _failure(job, status)
    return JobState(state="failed" if reason else "done", reason=reason)


def _failure(job: Mapping[str, Any], status: int) -> str:
    """Say why a job failed that is not in the queue any more; empty if it did not."""
    if status != _COMPLETED:
        return str(job.get("RemoveReason") or "it was removed")
    if job.get("ExitBySignal"):
        return f"signal {job.get('ExitSignal')}"
    code = job.get("ExitCode")
    return f"exit code {code}" if code else ""
