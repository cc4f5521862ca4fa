from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.batch.jobs import Job, Journal, find_sites, site_folder
from bkgpipe.errors import OutputError

FIRST = Job(name="bkgpipe-a-count-4-0", word="count", chunks=(4, 5), attempt=0)
SECOND = Job(name="bkgpipe-a-fit-0-0", word="fit", chunks=(0,), attempt=0)


def test_last_line_of_a_job_holds(tmp_path: Path):
    journal = Journal(tmp_path / "here")
    sent = replace(FIRST, job_id="17", state="pending")
    journal.write([FIRST, SECOND])
    journal.write([sent])

    assert list(journal.read().values()) == [sent, SECOND]


def test_nothing_is_known_before_the_first_job(tmp_path: Path):
    assert Journal(tmp_path / "here").read() == {}


def test_half_a_line_of_a_killed_submitter_is_passed_over(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.write([FIRST])
    with journal.path.open("a", encoding="utf-8") as file:
        file.write('{"name": "bkgpipe-a-cou')

    journal.write([SECOND])

    assert list(journal.read()) == [FIRST.name, SECOND.name]


@pytest.mark.parametrize("line", ["[]", '{"name": "x"}', "null", '{"chunks": 3}'])
def test_a_strange_line_is_passed_over(tmp_path: Path, line: str):
    journal = Journal(tmp_path)
    journal.path.write_text(f"{line}\n", encoding="utf-8")
    journal.write([FIRST])

    assert list(journal.read()) == [FIRST.name]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match=r"jobs\.jsonl.*run again"):
        Journal(tmp_path / "file").write([FIRST])


@pytest.mark.parametrize(
    ("state", "is_open"),
    [
        ("sending", True),
        ("pending", True),
        ("running", True),
        ("finished", False),
        ("failed", False),
        ("cancelled", False),
    ],
)
def test_which_jobs_may_still_do_something(state: str, is_open: bool):
    assert replace(FIRST, state=state).is_open is is_open


def test_sites_of_a_production(tmp_path: Path):
    assert find_sites(tmp_path) == []

    for name in ("north", "east"):
        Journal(site_folder(tmp_path, name)).write([FIRST])

    assert find_sites(tmp_path) == ["east", "north"]
