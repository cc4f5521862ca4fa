from __future__ import annotations

import re

import pytest

from bkgpipe.errors import OutputError
from bkgpipe.flow import report
from bkgpipe.flow.report import MakeReport, choose_models, write_report


@pytest.fixture
def task(finish) -> MakeReport:
    return finish().sibling(MakeReport)


def _files(task: MakeReport) -> set[str]:
    return {path.name for path in task.folder.iterdir()}


@pytest.mark.parametrize(
    ("n_models", "expected"),
    [(0, []), (1, [10]), (2, [10, 12]), (3, [10, 11, 13]), (99, [10, 11, 12, 13, 14])],
)
def test_models_are_chosen_evenly(n_models: int, expected: list[int]):
    assert choose_models([10, 11, 12, 13, 14], n_models) == expected


def test_links_and_images_of_all_pages_are_there(task: MakeReport):
    files = _files(task)
    assert {"index.html", "runs-1.html", "sky.png", "dependence.png"} <= files
    for name in files:
        if name.endswith(".html"):
            text = (task.folder / name).read_text()
            addresses = re.findall(r'(?:href|src)="([^"#:]+)"', text)
            assert set(addresses) <= files


def test_the_second_time_nothing_is_done(task: MakeReport, build):
    before = {path: path.stat().st_mtime_ns for path in task.folder.iterdir()}
    assert task.complete()
    assert build(task)
    assert {p: p.stat().st_mtime_ns for p in task.folder.iterdir()} == before


@pytest.mark.parametrize("name", ["sky.png", "runs-1.html", "pages.json"])
def test_what_is_gone_is_made_again(task: MakeReport, build, name: str):
    (task.folder / name).unlink()
    assert not task.complete()
    assert name in task.fault()
    assert build(task)
    assert name in _files(task)


def test_killed_while_it_draws_the_earlier_report_stays(
    task: MakeReport, monkeypatch: pytest.MonkeyPatch
):
    before = (task.folder / "index.html").read_bytes()

    def fail(_figure, path):
        raise OutputError(what="full", where=str(path), fix="Make room")

    monkeypatch.setattr(report, "save_figure", fail)
    with pytest.raises(OutputError, match="Make room"):
        write_report(task.settings, task.header, n_models=2)
    assert (task.folder / "index.html").read_bytes() == before
    assert not [name for name in _files(task) if name.startswith(".")]
    assert task.complete()


def test_models_that_lose_their_page_lose_their_files(task: MakeReport):
    all_files = write_report(task.settings, task.header, n_models=99)
    assert set(all_files) | {"pages.json"} == _files(task)
    assert task.complete()
    fewer = write_report(task.settings, task.header, n_models=0)
    assert set(fewer) | {"pages.json"} == _files(task)
    assert not [name for name in fewer if name.startswith("model")]
    assert "models-1.html" in all_files


def test_pages_lead_from_model_to_model(finish):
    task = finish(stack__strategy="own").sibling(MakeReport)
    write_report(task.settings, task.header, n_models=3)
    page = (task.folder / "model-1003.html").read_text()
    assert "previous: run 1001" in page
    assert "next: run 1006" in page


def test_models_are_drawn_in_the_order_of_any_map(task: MakeReport):
    drawn = []

    def map_jobs(draw, jobs):
        for job in jobs:
            drawn.append(job.stack_id)
            yield draw(job)

    write_report(task.settings, task.header, n_models=2, map_jobs=map_jobs)
    assert drawn == sorted(drawn)
    assert len(drawn) >= 1
