from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.batch.jobs import Job
from bkgpipe.batch.submit import Desk
from bkgpipe.batch.waves import find_tasks
from bkgpipe.errors import SiteError

CHUNKS = [333, 334, 335, 336]


def _count(desk: Desk) -> None:
    desk.make("count", find_tasks("count", desk.settings.path))


def _states(desk: Desk) -> dict[str, str]:
    jobs = desk.journal.read().values()
    return {job.name.split("-", 2)[2]: job.state for job in jobs}


def _counts(desk: Desk) -> list[str]:
    folder = desk.settings.folder("count")
    return sorted(path.name for path in folder.glob("*.h5"))


def test_jobs_make_all_chunks_once(desk: Desk):
    _count(desk)
    _count(desk)

    assert _counts(desk) == [f"count_{chunk}.h5" for chunk in CHUNKS]
    assert _states(desk) == {f"count-{chunk}-0": "finished" for chunk in CHUNKS}
    assert len(desk.engine.sent) == len(CHUNKS)


def test_log_of_a_job_tells_what_it_made(desk: Desk):
    desk.engine.in_shell = True

    _count(desk)

    log = Path(next(iter(desk.journal.read().values())).log).read_text()
    assert f"job {desk.folder}" in log
    assert "count_333.h5 made after" in log


def test_several_chunks_in_a_job(desk: Desk):
    desk = replace(desk, site=replace(desk.site, chunks_per_job=3, max_jobs=1))

    _count(desk)

    assert _states(desk) == {"count-333-0": "finished", "count-336-0": "finished"}
    assert len(_counts(desk)) == len(CHUNKS)


def test_a_job_that_fails_is_sent_again(desk: Desk, caplog):
    desk.engine.replacements["count-334-0"] = "echo no disk; exit 3"

    with caplog.at_level(logging.INFO):
        _count(desk)

    assert _states(desk)["count-334-0"] == "failed"
    assert _states(desk)["count-334-1"] == "finished"
    assert len(_counts(desk)) == len(CHUNKS)
    assert "failed (exit code 3), sending it again. Log: " in caplog.text


def test_a_job_that_fails_for_good_is_told_with_its_log(desk: Desk):
    for attempt in (0, 1):
        desk.engine.replacements[f"count-335-{attempt}"] = "echo no disk; exit 3"

    with pytest.raises(SiteError, match=r"count-335-1\.log: 1 chunk\(s\)") as caught:
        _count(desk)

    assert "exit code 3" in caught.value.what
    assert Path(caught.value.where).read_text() == "no disk\n"
    # the others are there, and a new run sends the rest
    assert _counts(desk) == [f"count_{n}.h5" for n in CHUNKS if n != 335]
    _count(desk)
    assert _states(desk)["count-335-2"] == "finished"


def test_a_job_that_ends_well_without_its_product_failed(desk: Desk, monkeypatch):
    monkeypatch.setattr("bkgpipe.batch.submit._LATENCY", 0.3)
    desk.engine.replacements["count-333-0"] = "true"

    _count(desk)

    (first,) = [job for job in desk.journal.read().values() if "333-0" in job.name]
    assert first.state == "failed"
    assert "chunk 333 is not there" in first.error
    assert _states(desk)["count-333-1"] == "finished"


def test_jobs_of_a_killed_submitter_are_not_sent_again(desk: Desk):
    desk.engine.replacements = {f"count-{n}-0": "sleep 2; exit 1" for n in CHUNKS}
    for chunk in CHUNKS:
        desk._send("count", (chunk,))
    after = replace(desk, _names=set())

    _count(after)

    # watched until they failed, and only then sent again
    states = _states(desk)
    assert [states[f"count-{n}-0"] for n in CHUNKS] == ["failed"] * 4
    assert [states[f"count-{n}-1"] for n in CHUNKS] == ["finished"] * 4
    assert len(desk.engine.sent) == 8


def test_a_job_without_a_number_is_looked_for_by_its_name(desk: Desk):
    sent = desk._send("count", (333,))
    # killed before the number was noted
    desk.journal.write([replace(sent, job_id="", state="sending")])

    _count(replace(desk, _names=set()))

    assert desk.engine.sent.count(sent.name) == 1
    assert _states(desk)["count-333-0"] == "finished"
    assert "count-333-1" not in _states(desk)


def test_a_job_that_never_was_sent_is_sent(desk: Desk):
    name = f"{desk._stem}-count-333-0"
    lost = Job(name=name, word="count", chunks=(333,), attempt=0)
    desk.journal.write([lost])

    _count(desk)

    assert desk.journal.read()[lost.name].state == "failed"
    assert "count_333.h5" in _counts(desk)


def test_a_silent_batch_system_is_asked_again(desk: Desk, caplog):
    desk.engine.n_silent = 3

    _count(desk)

    assert len(_counts(desk)) == len(CHUNKS)
    assert caplog.text.count("does not answer") == 3


def test_a_batch_system_that_stays_silent_ends_the_watch(desk: Desk):
    desk.engine.n_silent = 1000
    desk = replace(desk, site=replace(desk.site, poll=0.001))

    with pytest.raises(SiteError, match="does not answer"):
        _count(desk)

    assert set(_states(desk).values()) == {"pending"}


def test_a_job_that_is_not_taken_is_noted(desk: Desk, monkeypatch):
    def refuse(_path: Path) -> str:
        raise SiteError(what="no such queue", where="here", fix="Name another")

    monkeypatch.setattr(desk.engine, "submit", refuse)

    with pytest.raises(SiteError, match="no such queue"):
        _count(desk)

    assert _states(desk) == {"count-333-0": "failed"}


def test_a_cancelled_job_ends_the_watch(desk: Desk):
    desk.engine.replacements = {f"count-{n}-0": "exit 1" for n in CHUNKS}
    send = desk._send

    def send_and_cancel(word: str, chunks: tuple[int, ...]) -> Job:
        job = send(word, chunks)
        desk.journal.write([replace(job, state="cancelled")])
        return job

    desk._send = send_and_cancel

    with pytest.raises(SiteError, match=r"were cancelled.*Run again"):
        _count(desk)

    assert set(_states(desk).values()) == {"cancelled"}


def test_jobs_go_on_when_the_submitter_is_interrupted(desk: Desk, monkeypatch, caplog):
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bkgpipe.batch.submit.time.sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _count(desk)

    assert "4 jobs go on: run again to watch them" in caplog.text
    assert set(_states(desk).values()) == {"pending"}
    _count(desk)
    assert len(desk.engine.sent) == len(CHUNKS)


def test_jobs_of_other_settings_are_left_alone(desk: Desk):
    name = "bkgpipe-abc123-count-333-0"
    other = Job(name=name, word="count", chunks=(333,), attempt=0, state="running")
    desk.journal.write([other])

    _count(desk)

    assert desk.journal.read()[name] == other
    assert "count_333.h5" in _counts(desk)
