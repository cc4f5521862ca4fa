"""Whole productions in jobs that see nothing of them, by an engine of this machine."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from disk_ship import DiskShip

from bkgpipe.batch.jobs import Journal, site_folder
from bkgpipe.batch.ship import site as ship_site
from bkgpipe.batch.waves import find_tasks
from bkgpipe.chain.inputs import forget
from bkgpipe.errors import SiteError
from bkgpipe.flow import Select
from bkgpipe.settings import read_settings

_KILLS = int(os.environ.get("BKGPIPE_SHIP_KILLS", "5"))


@pytest.fixture
def far(finish, production, build, monkeypatch):
    """Factory of a production whose runs are selected, with a site far away."""
    monkeypatch.setitem(ship_site.ENGINES, "htcondor", DiskShip)

    def make(transfer="files", *, is_done=False):
        prepare = finish if is_done else production
        task = prepare(smooth__method="regression", binning__per_decade="5")
        config = Path(str(task.config))
        with config.open("a", encoding="utf-8") as file:
            file.write(
                f"\n[site:far]\nengine = htcondor\ntransfer = {transfer}\n"
                "poll = 0.1 s\nchunks_per_job = 2\nretries = 1\n"
            )
        assert build(task.sibling(Select))
        forget()
        return task, read_settings(config).site("far")

    return make


def _run(task, site):
    ship_site.make_on_site(Path(str(task.config)), site, name="far", stage=None)


def _models(folder):
    return {
        path.name: path.read_bytes()
        for path in folder.glob("export-*/store/**/*.fits")
        if "index" not in path.name
    }


def _jobs(task):
    return list(Journal(site_folder(task.settings.data.output, "far")).read().values())


@pytest.mark.parametrize("transfer", ["files", "address"])
def test_a_site_makes_what_this_machine_makes(far, build, tmp_path, transfer):
    address = f"file://{tmp_path}/storage"
    (tmp_path / "storage").mkdir()
    task, site = far(transfer if transfer == "files" else address, is_done=True)
    expected = _models(task.settings.data.output)
    task.settings.data.output.rename(tmp_path / "local")
    assert build(task.sibling(Select))
    forget()

    _run(task, site)

    assert build(task)
    assert len(expected) == 8 * 3
    assert _models(task.settings.data.output) == expected
    jobs = _jobs(task)
    assert Counter(job.word for job in jobs) == {"count": 2, "export": 2}
    assert all(job.state == "finished" for job in jobs)
    # nothing of what travelled is left
    assert list((tmp_path / "storage").iterdir()) == []
    folder = site_folder(task.settings.data.output, "far")
    assert list(folder.glob("*.tar")) == []


def test_nothing_is_sent_when_all_is_there(far):
    task, site = far(is_done=True)

    _run(task, site)

    assert _jobs(task) == []


def test_a_submitter_that_is_killed_is_followed_by_another(far, build, tmp_path):
    task, site = far(is_done=True)
    expected = _models(task.settings.data.output)
    task.settings.data.output.rename(tmp_path / "local")
    assert build(task.sibling(Select))
    rng = random.Random(1)  # noqa: S311
    for _ in range(_KILLS):
        forget()
        submitter = get_context("fork").Process(target=_run, args=(task, site))
        submitter.start()
        time.sleep(rng.uniform(0.05, 3))
        os.kill(submitter.pid, signal.SIGKILL)
        submitter.join()
    forget()

    _run(task, site)

    assert build(task)
    assert _models(task.settings.data.output) == expected
    # a job is sent again only when its submitter was killed before it was told of it
    assert len(_jobs(task)) <= 4 + _KILLS


def test_another_site_makes_what_one_does_not(far, build):
    task, site = far()
    broken = replace(site, command="/bin/false", retries=0)
    with pytest.raises(SiteError, match=r"2 chunk\(s\) of count failed|4 chunk"):
        ship_site.make_on_site(
            Path(str(task.config)), broken, name="broken", stage="count"
        )

    _run(task, site)

    assert build(task)
    assert Counter(job.word for job in _jobs(task)) == {"count": 2, "export": 2}


def test_an_answer_that_was_changed_is_sent_again(far, monkeypatch):
    task, site = far()
    fetch, spoilt = DiskShip.fetch, []

    def spoil(self, job_id, name):
        fetch(self, job_id, name)
        path = self.folder / f"{name}.out.tar"
        if not spoilt:
            spoilt.append(name)
            path.write_bytes(path.read_bytes()[:3000])

    monkeypatch.setattr(DiskShip, "fetch", spoil)
    ship_site.make_on_site(Path(str(task.config)), site, name="far", stage="count")

    jobs = _jobs(task)
    failed = [job for job in jobs if job.state == "failed"]
    assert len(jobs) == 3
    assert [job.name for job in failed] == spoilt
    assert "Send it again" in failed[0].error
    assert all(each.complete() for each in find_tasks("count", task.config).values())


def test_jobs_are_cancelled(far):
    task, site = far()
    config = Path(str(task.config))
    submitter = get_context("fork").Process(target=_run, args=(task, site))
    submitter.start()
    folder = site_folder(task.settings.data.output, "far")
    until = time.monotonic() + 60
    while len(list(folder.glob("nodes/*/pid"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    # the numbers of its jobs are noted once all are sent
    time.sleep(0.5)

    cancelled = ship_site.cancel_jobs(read_settings(config), "far")

    submitter.join(60)
    assert submitter.exitcode == 1
    assert len(cancelled) == 2
    assert {job.state for job in _jobs(task)} == {"cancelled"}
