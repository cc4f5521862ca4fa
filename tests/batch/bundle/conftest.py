from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.batch.bundle.pack import pack_chunks
from bkgpipe.batch.bundle.work import run_bundle
from bkgpipe.batch.waves import find_tasks
from bkgpipe.flow import MakeProduction, Select
from bkgpipe.flow.base import StageTask


@pytest.fixture
def selected(
    production: Callable[..., MakeProduction], build: Callable[[StageTask], bool]
) -> MakeProduction:
    """Production of 8 runs in 4 chunks, of which the runs are selected."""
    task = production(smooth__method="regression", binning__per_decade="5")
    assert build(task.sibling(Select))
    return task


@pytest.fixture
def bundle(selected: MakeProduction, tmp_path: Path) -> Path:
    """Bundle of the chunk with runs 1002, 1003 and 1004."""
    (packed,) = pack_chunks(
        selected.settings, "count", [[334]], folder=tmp_path / "sent"
    )
    return packed.path


@pytest.fixture
def answer(bundle: Path, tmp_path: Path) -> Path:
    """Answer to `bundle`."""
    path = tmp_path / "answer.tar"
    assert run_bundle(bundle, path) == 0
    return path


@pytest.fixture
def chunk(selected: MakeProduction) -> StageTask:
    """Task that `answer` makes."""
    return find_tasks("count", selected.settings.path)[334]
