from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.batch.submit import Desk
from bkgpipe.batch.waves import WORDS, find_tasks, list_waves, split_chunks
from bkgpipe.cli.main import main
from bkgpipe.settings import read_settings

REGRESSION = {"smooth.method": "regression"}
RANKED = {"smooth.method": "gaussian", "stack.strategy": "ranked"}
GROUPS = {"smooth.method": "gaussian", "stack.strategy": "groups"}
OWN = {"smooth.method": "gaussian", "stack.strategy": "own"}


@pytest.mark.parametrize(
    ("given", "stage", "waves"),
    [
        (REGRESSION, None, ("count", "fit", "export")),
        (RANKED, None, ("count", "candidates", "rank", "export")),
        (GROUPS, None, ("count", "nodes", "export")),
        (OWN, "report", ("count", "export")),
        (OWN, "export", ("count", "export")),
        (OWN, "select", ()),
        (OWN, "mask", ("mask",)),
        (REGRESSION, "count", ("count",)),
        (RANKED, "rank", ("count", "candidates", "rank")),
        (RANKED, "stack", ("count", "candidates", "rank", "stack")),
        (REGRESSION, "smooth", ("count", "fit", "smooth")),
        (GROUPS, "smooth", ("count", "smooth")),
    ],
)
def test_waves(tmp_path: Path, given: dict[str, str], stage: str | None, waves):
    config = tmp_path / "luigi.cfg"
    config.write_text("[data]\nstore = store\n[mask]\ncatalogs =\n", encoding="utf-8")
    settings = read_settings(config, [f"{key}={text}" for key, text in given.items()])

    assert list_waves(settings, stage) == waves


def test_command_line_knows_all_words():
    assert main.commands["job"].params[0].type.choices == WORDS


def test_tasks_of_a_wave(desk: Desk):
    config = desk.settings.path

    counts = find_tasks("count", config)

    assert sorted(counts) == [333, 334, 335, 336]
    assert all(task.stage == "count" for task in counts.values())
    assert [task.output().path for task in find_tasks("fit", config).values()] == [
        str(desk.settings.folder("fit") / "fit.h5")
    ]
    assert list(find_tasks("nodes", config)) == [0]


@pytest.mark.parametrize(
    ("size", "jobs"),
    [
        (1, [(2,), (3,), (5,), (9,), (12,)]),
        (2, [(2, 3), (5, 9), (12,)]),
        (7, [(2, 3, 5, 9, 12)]),
    ],
)
def test_every_chunk_is_in_one_job(size: int, jobs: list[tuple[int, ...]]):
    assert split_chunks([9, 2, 12, 3, 5], size=size) == jobs


def test_no_chunks_need_no_job():
    assert split_chunks([], size=3) == []
