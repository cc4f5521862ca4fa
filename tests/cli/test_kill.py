"""A production that is killed goes on where it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bkgpipe.io.count import read_counts
from bkgpipe.io.entries import read_entries, read_node_models
from bkgpipe.io.smooth import read_models
from bkgpipe.io.stack import read_stacks

_READERS = {
    "count_*.h5": read_counts,
    "stack_*.h5": read_stacks,
    "smooth_*.h5": read_models,
    "nodes_*.h5": read_node_models,
    "export_*.h5": read_entries,
}
_N_RUNS = 8


def _counts(folder: Path) -> dict[Path, int]:
    found = (folder / "out").glob("count-*/count_*.h5")
    return {path: path.stat().st_mtime_ns for path in found}


def _kill_amid_counts(process: subprocess.Popen[str], folder: Path) -> dict[Path, int]:
    """Kill all workers as soon as some chunks are there; return these."""
    end = time.monotonic() + 180
    while len(_counts(folder)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return _counts(folder)


def _assert_equal(one: Any, other: Any) -> None:
    """Compare two records, field by field."""
    if is_dataclass(one):
        for field in fields(one):
            _assert_equal(getattr(one, field.name), getattr(other, field.name))
    else:
        np.testing.assert_array_equal(one, other)


def _assert_same_products(folder: Path, other: Path) -> None:
    for pattern, read in _READERS.items():
        paths = sorted((folder / "out").rglob(pattern))
        assert paths
        for path in paths:
            (twin,) = (other / "out").rglob(path.name)
            chunk, expected = read(path), read(twin)
            assert chunk.refused == expected.refused
            assert chunk.records.keys() == expected.records.keys()
            for key, record in chunk.records.items():
                _assert_equal(record, expected.records[key])


@pytest.fixture
def whole(prepare, tmp_path, monkeypatch, bkgpipe):
    """Production with a chunk for each run that nobody disturbed."""
    folder = prepare(tmp_path / "whole", data__chunk_size="1")
    monkeypatch.chdir(folder)
    assert bkgpipe("run", "export").exit_code == 0
    return folder


def test_killed_production_goes_on_where_it_was(prepare, start, tmp_path, whole):
    folder = prepare(tmp_path / "killed", data__chunk_size="1")
    words = ("run", "export", "--workers", "2")

    finished: dict[Path, int] = {}
    for _ in range(5):
        finished = _kill_amid_counts(start(folder, "bkgpipe", *words), folder)
        if len(finished) < _N_RUNS:
            break
        # on a busy machine the workers may have been faster than this process
        shutil.rmtree(folder / "out")
    assert 2 <= len(finished) < _N_RUNS

    process = start(folder, "bkgpipe", *words)
    stdout, stderr = process.communicate(timeout=180)

    assert process.returncode == 0, stderr
    assert stdout.startswith("Done in ")
    after = _counts(folder)
    assert len(after) == _N_RUNS
    assert {path: after[path] for path in finished} == finished
    # nothing is left of either process, not even its temporary files
    assert not list((folder / "out").rglob(".*"))
    _assert_same_products(folder, whole)
