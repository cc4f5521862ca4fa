from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from bkgpipe.batch.engines import Engine, JobAnswer
from bkgpipe.batch.jobs import Job
from bkgpipe.batch.submit import Desk
from bkgpipe.batch.work import run_job
from bkgpipe.chain.inputs import forget, read_store
from bkgpipe.chain.kept import load_settings
from bkgpipe.cli.run import freeze_settings
from bkgpipe.errors import SiteError
from bkgpipe.flow import MakeProduction, Select
from bkgpipe.flow.engine.build import build
from bkgpipe.settings import Settings, read_settings
from bkgpipe.settings.site_sections import SiteSettings

_SITE = "\n[site:here]\npoll = 0.1 s\nretries = 1\n"


class LocalEngine(Engine):
    """A batch system of this machine alone; a test can replace what a job does.

    Jobs are forked, which saves the start of Python; `in_shell` runs the real file.
    """

    def __init__(self, site: SiteSettings) -> None:
        super().__init__(site, manager=None)
        self.in_shell = False
        self.settings: Settings | None = None
        self.jobs: dict[str, Job] = {}
        self.cancelled: list[str] = []
        self.n_silent = 0
        self.replacements: dict[str, str] = {}
        self.processes: dict[str, BaseProcess] = {}

    @property
    def sent(self) -> list[str]:
        return list(self.processes)

    def write(self, job: Job, script: str, *, folder: Path) -> Path:
        path = folder / job.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"exec > {job.log} 2>&1\n{script}", encoding="utf-8")
        self.jobs[job.name] = job
        return path

    def submit(self, path: Path) -> str:
        job = self.jobs[path.name]
        replacement = self.replacements.get(path.name.split("-", 2)[2])
        if replacement:
            path.write_text(f"exec > {job.log} 2>&1\n{replacement}", encoding="utf-8")
        target = _run_file if replacement or self.in_shell else _run_here
        arguments = (path,) if target is _run_file else (self.settings, job)
        process = get_context("fork").Process(target=target, args=arguments)
        process.start()
        self.processes[path.name] = process
        return path.name

    def find(self, name: str) -> str:
        return name if name in self.processes else ""

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
        code = self.processes[job_id].exitcode
        if code is None:
            return JobAnswer(state="running")
        if code:
            return JobAnswer(state="failed", error=f"exit code {code}")
        return JobAnswer(state="finished")


def _run_file(path: Path) -> None:
    command = ["/bin/bash", str(path)]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603


def _run_here(settings: Settings, job: Job) -> None:
    sys.exit(not run_job(settings, job.word, job.chunks))


@pytest.fixture
def desk(production: Callable[..., MakeProduction]) -> Iterator[Desk]:
    """Desk of a production in chunks of 3 runs, of which the runs are selected."""
    desk = _make_desk(production())
    yield desk
    for process in desk.engine.processes.values():
        process.kill()
        process.join()
    forget()


def _make_desk(task: MakeProduction) -> Desk:
    config = Path(str(task.config))
    with config.open("a", encoding="utf-8") as file:
        file.write(_SITE)
    forget()
    settings = read_settings(config)
    read_store(settings)
    frozen = freeze_settings(settings)
    build(Select(config=str(frozen)), settings)
    site = settings.site("here")
    engine = LocalEngine(site)
    engine.settings = load_settings(str(frozen))
    return Desk(
        settings=engine.settings,
        site=site,
        engine=engine,
        folder=settings.data.output / "jobs" / "here",
    )
