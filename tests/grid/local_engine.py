"""A batch system of this machine alone: jobs are processes that start at once."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from bkgpipe.errors import SiteError
from bkgpipe.grid.engines import Engine, JobAnswer
from bkgpipe.grid.jobs import Job
from bkgpipe.settings.site_sections import SiteSettings


class LocalEngine(Engine):
    """Runs the job files as they are; a test can replace what they do."""

    def __init__(self, site: SiteSettings) -> None:
        super().__init__(site, manager=None)
        self.sent: list[str] = []
        self.cancelled: list[str] = []
        self.n_silent = 0
        self.replacements: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def write(self, job: Job, script: str, *, folder: Path) -> Path:
        path = folder / f"{job.name}.sh"
        path.parent.mkdir(parents=True, exist_ok=True)
        script = self.replacements.get(job.name.rpartition("bkgpipe-")[2][7:], script)
        path.write_text(f"exec > {job.log} 2>&1\n{script}", encoding="utf-8")
        return path

    def submit(self, path: Path) -> str:
        process = subprocess.Popen(["/bin/bash", str(path)])
        number = str(len(self.processes) + 1)
        self.sent.append(path.stem)
        self.processes[number] = process
        return number

    def find(self, name: str) -> str:
        numbers = dict(zip(self.sent, self.processes, strict=True))
        return numbers.get(name, "")

    def query(self, job_ids: Sequence[str]) -> dict[str, JobAnswer]:
        if self.n_silent:
            self.n_silent -= 1
            raise SiteError(what="does not answer", where="here", fix="Wait")
        return {job_id: self._answer(job_id) for job_id in job_ids}

    def cancel(self, job_ids: Sequence[str]) -> None:
        self.cancelled += job_ids
        for job_id in job_ids:
            self.processes[job_id].kill()

    def _answer(self, job_id: str) -> JobAnswer:
        code = self.processes[job_id].poll()
        if code is None:
            return JobAnswer(state="running")
        if code:
            return JobAnswer(state="failed", error=f"exit code {code}")
        return JobAnswer(state="finished")
