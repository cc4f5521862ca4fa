from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.batch.engines import JobAnswer
from bkgpipe.batch.jobs import Job, Journal, site_folder

_SITE = """
[site:north]
queue = long
memory = 1500 MB
chunks_per_job = 2
environment = LEVEL=three words
setup = source /software/setup.sh
"""
SENT = Job(
    name="bkgpipe-a-count-333-0",
    word="count",
    chunks=(333,),
    attempt=0,
    job_id="17",
    state="running",
    log="out/jobs/north/bkgpipe-a-count-333-0.log",
)


@pytest.fixture
def site(folder: Path) -> Path:
    with (folder / "luigi.cfg").open("a", encoding="utf-8") as file:
        file.write(_SITE)
    return folder


def _journal(folder: Path) -> Journal:
    return Journal(site_folder(folder / "out", "north"))


@pytest.mark.usefixtures("site")
def test_plan_shows_the_jobs(bkgpipe):
    lines = bkgpipe("plan", "--site", "north").stdout.splitlines()

    assert "Jobs for count: 2, each with 1500 MB" in lines
    assert "Jobs for nodes: 1, each with 1500 MB" in lines
    assert "Jobs for export: 2, each with 1500 MB" in lines
    assert any("Each with 120 min at north (slurm), 2 more" in line for line in lines)
    assert "  export 'LEVEL=three words'" in lines
    assert "  source /software/setup.sh" in lines
    assert any("-m bkgpipe job count 333 334 --config " in line for line in lines)


def test_jobs_ask_for_what_they_need_if_the_site_does_not_say(site: Path, bkgpipe):
    config = site / "luigi.cfg"
    config.write_text(config.read_text().replace("memory = 1500 MB\n", ""))

    lines = bkgpipe("plan", "--site", "north").stdout.splitlines()

    assert "Jobs for count: 2, each with 500 MB" in lines


@pytest.mark.usefixtures("site")
def test_plan_as_json_counts_the_jobs(bkgpipe):
    answer = json.loads(bkgpipe("plan", "--site", "north", "--json").stdout)

    assert answer["jobs"] == {"count": 2, "nodes": 1, "export": 2}


@pytest.mark.usefixtures("finished")
def test_a_site_that_is_not_there(bkgpipe):
    for command in ("plan", "run"):
        result = bkgpipe(command, "--site", "north")

        assert result.exit_code == 2
        assert "no section [site:north]; sites: -. Add it" in result.stderr


@pytest.mark.usefixtures("site")
def test_an_image_that_is_not_there(bkgpipe):
    image = "site:north.container=gone.sif"

    result = bkgpipe("run", "--site", "north", "--set", image)

    assert result.exit_code == 2
    assert "gone.sif. Build it with containers/build.sh" in result.stderr


@pytest.mark.usefixtures("site")
def test_a_site_beside_a_scheduler(bkgpipe):
    result = bkgpipe("run", "--site", "north", "--scheduler-host", "127.0.0.1")

    assert result.exit_code == 2
    assert "cannot both share out the work" in result.stderr
    assert "pilots" in result.stderr


@pytest.mark.usefixtures("site")
def test_without_the_package_law(bkgpipe, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    result = bkgpipe("run", "--site", "north")

    assert result.exit_code == 2
    assert "Install bkgpipe[batch]" in result.stderr


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("engine=pbs", "engine: expected one of slurm, htcondor, arc, found 'pbs'"),
        ("environment=NAME", "environment: expected NAME=VALUE, found 'NAME'"),
        ("memory=3", "memory: expected a unit such as MB, found '3'"),
        ("time=1 s", "time: 1 s is below the least value"),
        ("qeue=long", "qeue is not a key (did you mean queue?)"),
    ],
)
@pytest.mark.usefixtures("site")
def test_a_key_of_a_site_that_cannot_be(bkgpipe, value: str, problem: str):
    result = bkgpipe("check", "--set", f"site:north.{value}")

    assert result.exit_code == 2
    assert f"[site:north] {problem}" in result.stderr


def test_site_changes_no_product(site: Path, bkgpipe):
    def folders() -> list[str]:
        return json.loads(bkgpipe("plan", "--json").stdout)["to_do"]

    before = folders()
    config = site / "luigi.cfg"
    config.write_text(config.read_text().replace("queue = long", "queue = short"))

    assert folders() == before


def test_status_tells_the_jobs(site: Path, bkgpipe):
    failed = replace(
        SENT,
        name="bkgpipe-a-count-336-1",
        chunks=(336,),
        attempt=1,
        state="failed",
        error="TIMEOUT",
        log="here.log",
    )
    _journal(site).write([SENT, failed])

    lines = bkgpipe("status").stdout.splitlines()

    assert "Jobs at north: 1 running, 1 failed, 1 sent again" in lines
    assert "  failed bkgpipe-a-count-336-1 (TIMEOUT): here.log" in lines
    assert any("nobody watches these jobs" in line for line in lines)
    answer = json.loads(bkgpipe("status", "--json").stdout)
    assert answer["jobs"] == {"north": {"running": 1, "failed": 1, "sent again": 1}}


def test_cancel_notes_before_it_asks(site: Path, bkgpipe, monkeypatch):
    seen = {}

    class Engine:
        def cancel(self, job_ids: list[str]) -> None:
            states = {job.state for job in _journal(site).read().values()}
            seen[tuple(job_ids)] = states

        def find(self, _name: str) -> str:
            return ""

        def query(self, job_ids: list[str]) -> dict[str, JobAnswer]:
            return dict.fromkeys(job_ids, JobAnswer(state="running"))

    monkeypatch.setattr("bkgpipe.batch.site.make_engine", lambda _site: Engine())
    lost = replace(SENT, name="bkgpipe-a-count-334-0", job_id="", state="sending")
    done = replace(SENT, name="bkgpipe-a-count-335-0", job_id="18", state="finished")
    _journal(site).write([SENT, lost, done])

    lines = bkgpipe("cancel", "--site", "north").stdout.splitlines()

    assert lines == [
        "cancelled bkgpipe-a-count-333-0 (17)",
        "cancelled bkgpipe-a-count-334-0 (was not sent)",
        "2 job(s) cancelled; what is done is kept.",
    ]
    assert seen == {("17",): {"cancelled", "finished"}}
    answer = json.loads(bkgpipe("cancel", "--site", "north", "--json").stdout)
    assert answer == {"cancelled": []}
    assert seen.popitem()[0] == ()


@pytest.fixture
def kept(finished: Path) -> str:
    """Settings that a production keeps, as its jobs are given them."""
    # commands with other settings, of other tests, keep theirs as well
    kept = (finished / "out" / "settings").glob("*.cfg")
    path = min(kept, key=lambda path: path.stat().st_mtime_ns)
    return str(path)


def test_a_job_finds_what_is_there(kept: str, bkgpipe):
    result = bkgpipe("job", "count", "333", "335", "--config", kept)

    assert result.exit_code == 0


def test_a_job_of_no_such_chunk(kept: str, bkgpipe):
    result = bkgpipe("job", "count", "333", "7", "--config", kept)

    assert result.exit_code == 2
    assert "no chunk 7 of count" in result.stderr


def test_a_job_of_another_version(kept: str, bkgpipe):
    folder = ("--folder", "count-000000")

    result = bkgpipe("job", "count", "333", "--config", kept, *folder)

    assert result.exit_code == 1
    assert "the submitter waits for count-000000" in result.stderr
    assert "Use the same version of bkgpipe" in result.stderr
