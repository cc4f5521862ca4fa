from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import law
import pytest

from bkgpipe.batch.engines import JobAnswer, make_engine
from bkgpipe.batch.jobs import Job
from bkgpipe.errors import SettingsError, SiteError
from bkgpipe.settings import read_settings
from bkgpipe.settings.site_sections import SiteSettings

JOB = Job(
    name="bkgpipe-a-count-4-0", word="count", chunks=(4,), attempt=0, log="/out/it.log"
)


@pytest.fixture
def site(tmp_path: Path) -> SiteSettings:
    config = tmp_path / "luigi.cfg"
    config.write_text(
        "[data]\nstore = store\n[mask]\ncatalogs =\n[site:here]\nmemory = 1.5 GB\n"
        "time = 90 min\n",
        encoding="utf-8",
    )
    return read_settings(config).site("here")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of commands that are found before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def _add(folder: Path, names: Sequence[str], text: str) -> None:
    for name in names:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)


def test_slurm_file(site: SiteSettings, tmp_path: Path):
    site = replace(site, queue="long", options=("--account=physics",))

    path = make_engine(site).write(JOB, "echo work\n", folder=tmp_path / "jobs")

    lines = path.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[-1] == "echo work"
    assert {
        "#SBATCH --job-name=bkgpipe-a-count-4-0",
        '#SBATCH --output="/out/it.log"',
        "#SBATCH --time=90",
        "#SBATCH --mem=1500M",
        "#SBATCH --partition=long",
        "#SBATCH --account=physics",
        "#SBATCH --requeue",
    } <= set(lines)


def test_slurm_file_is_for_its_owner_alone(site: SiteSettings, tmp_path: Path):
    (tmp_path / f"{JOB.name}.sh").write_text("of an earlier version")
    (tmp_path / f"{JOB.name}.sh").chmod(0o755)

    path = make_engine(site).write(JOB, "export TOKEN=secret\n", folder=tmp_path)

    assert path.stat().st_mode & 0o777 == 0o700


def test_paths_that_batch_systems_read_otherwise(
    site: SiteSettings, tmp_path: Path, commands: Path
):
    _add(commands, ["condor_version"], "echo '$CondorVersion: 24.0.1 2026 $'")
    folder = tmp_path / "50 % of it, $HOME"
    job = replace(JOB, log=f"{folder}/it.log")

    slurm = make_engine(site).write(job, "", folder=folder).read_text()
    condor = make_engine(replace(site, engine="htcondor"))
    described = condor.write(job, "", folder=folder).read_text()

    assert f'--output="{tmp_path}/50 %% of it, $HOME/it.log"\n' in slurm
    named = f"{tmp_path}/50 % of it, $(DOLLAR)HOME"
    assert f"executable = {named}/{JOB.name}.sh\n" in described
    assert f"output = {named}/it.log\n" in described
    assert f"log = {named}/{JOB.name}.condor\n" in described


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a "])
def test_paths_that_no_job_file_can_name(
    site: SiteSettings, tmp_path: Path, commands: Path, name: str
):
    _add(commands, ["condor_version"], "echo '$CondorVersion: 24.0.1 2026 $'")
    job = replace(JOB, log=f"/out/{name}")

    for engine in ("slurm", "htcondor"):
        with pytest.raises(SettingsError, match="job files cannot name") as caught:
            make_engine(replace(site, engine=engine)).write(job, "", folder=tmp_path)
        assert caught.value.where == "[data] output"


def test_slurm_time_is_rounded_up_to_minutes(site: SiteSettings, tmp_path: Path):
    path = make_engine(replace(site, time=61.0)).write(JOB, "", folder=tmp_path)

    assert "#SBATCH --time=2\n" in path.read_text()


def test_htcondor_file(site: SiteSettings, tmp_path: Path, commands: Path):
    _add(commands, ["condor_version"], "echo '$CondorVersion: 24.0.1 2026 $'")
    site = replace(site, engine="htcondor", options=('+JobFlavour = "longlunch"',))

    path = make_engine(site).write(JOB, "echo work\n", folder=tmp_path / "jobs")

    lines = path.read_text().splitlines()
    assert lines[-1] == "queue"
    script = tmp_path / "jobs" / f"{JOB.name}.sh"
    assert {
        f"batch_name = {JOB.name}",
        f"executable = {script}",
        "output = /out/it.log",
        "request_memory = 1500MB",
        '+JobFlavour = "longlunch"',
    } <= set(lines)
    assert any("JobCurrentStartDate > 5400" in line for line in lines)
    assert script.read_text() == "#!/bin/bash\necho work\n"
    assert script.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o700


def test_a_job_that_is_not_taken(
    site: SiteSettings, commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bkgpipe.batch.engines._RETRY_DELAY", 0)
    _add(commands, ["sbatch"], "echo 'sbatch: error: invalid partition' >&2; exit 1")

    with pytest.raises(SiteError, match=r"no job: .*invalid partition.*by hand"):
        make_engine(site).submit(tmp_path / "job.sh")


def test_a_batch_system_that_is_not_there(site: SiteSettings, commands: Path):
    _add(commands, ["squeue", "sacct", "scancel"], "echo 'no contact' >&2; exit 1")
    engine = make_engine(site)

    with pytest.raises(SiteError, match=r"does not answer: .*no contact.*go on"):
        engine.query(["17", "18"])
    with pytest.raises(SiteError, match=r"cannot cancel: .*no contact"):
        engine.cancel(["17"])
    with pytest.raises(SiteError, match=r"squeue does not answer"):
        engine.find("bkgpipe-a-count-4-0")


def test_nothing_is_asked_about_no_jobs(site: SiteSettings):
    engine = make_engine(site)

    assert engine.query([]) == {}
    engine.cancel([])


def test_number_of_a_job_by_its_name(site: SiteSettings, commands: Path):
    _add(commands, ["squeue"], "true")
    _add(commands, ["sacct"], 'echo "$@" | grep -q -- --name=mine && echo 42')

    engine = make_engine(site)

    assert engine.find("mine") == "42"


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ({"status": "pending"}, JobAnswer(state="pending")),
        ({"status": "finished", "code": 0}, JobAnswer(state="finished")),
        (
            {"status": "failed", "error": "TIMEOUT", "code": 0},
            JobAnswer(state="failed", error="TIMEOUT"),
        ),
        (
            {"status": "failed", "error": None, "code": 9},
            JobAnswer(state="failed", error="exit code 9"),
        ),
        ({"status": "unknown"}, JobAnswer(state="failed")),
    ],
)
def test_answers(site: SiteSettings, monkeypatch, told: dict, answer: JobAnswer):
    monkeypatch.setattr(
        law.slurm.SlurmJobManager, "query", lambda _self, _ids: {17: told}
    )

    assert make_engine(site).query(["17"]) == {"17": answer}
