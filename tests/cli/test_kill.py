"""A production that is killed goes on where it was."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

_N_RUNS = 8


def _counts(folder: Path) -> dict[Path, int]:
    found = (folder / "out").glob("count-*/count_*.h5")
    return {path: path.stat().st_mtime_ns for path in found}


def _kill_amid_counts(process: Any, folder: Path) -> dict[Path, int]:
    """Kill all workers as soon as some chunks are there; return these."""
    end = time.monotonic() + 180
    while len(_counts(folder)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return _counts(folder)


@pytest.fixture
def whole(prepare, tmp_path, monkeypatch, bkgpipe):
    """Production with a chunk for each run that nobody disturbed."""
    folder = prepare(tmp_path / "whole", data__chunk_size="1")
    monkeypatch.chdir(folder)
    assert bkgpipe("run", "export").exit_code == 0
    return folder


def test_killed_production_goes_on_where_it_was(
    prepare, fork, whole, assert_same_products
):
    tmp_path = whole.parent
    folder = prepare(tmp_path / "killed", data__chunk_size="1")
    words = ("run", "export", "--workers", "2")

    finished: dict[Path, int] = {}
    for _ in range(5):
        finished = _kill_amid_counts(fork(folder, *words), folder)
        if len(finished) < _N_RUNS:
            break
        # on a busy machine the workers may have been faster than this process
        shutil.rmtree(folder / "out")
    assert 2 <= len(finished) < _N_RUNS

    process = fork(folder, *words)
    stdout, stderr = process.communicate(timeout=180)

    assert process.returncode == 0, stderr
    assert stdout.startswith("Done in ")
    after = _counts(folder)
    assert len(after) == _N_RUNS
    assert {path: after[path] for path in finished} == finished
    # nothing is left of either process, not even its temporary files
    assert not list((folder / "out").rglob(".*"))
    assert_same_products(folder / "out", whole / "out")
