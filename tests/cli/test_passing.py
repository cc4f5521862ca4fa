"""A file that cannot be read for a moment fails a task, and refuses no run."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from bkgpipe.flow.engine import build as engine

_ALLOW = ("--set", "run.allow_refused=true")


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.MonkeyPatch]:
    """Let the reading of files with a word in their name fail so many times."""
    monkeypatch.setattr(engine, "_PAUSE", 0.0)
    left = multiprocessing.Value("i", 0)  # tasks run in processes of their own
    plain_read, plain_open = Path.read_bytes, h5py.File.__init__

    def fail_some(word: str, number: int, times: int) -> pytest.MonkeyPatch:
        left.value = times

        def may_fail(path: object) -> None:
            if word in str(path) and left.value:
                left.value -= 1
                raise OSError(number, os.strerror(number))

        def read(path: Path) -> bytes:
            may_fail(path)
            return plain_read(path)

        def begin(file: h5py.File, path: object, *words: object, **options: object):
            may_fail(path)
            plain_open(file, path, *words, **options)

        monkeypatch.setattr(Path, "read_bytes", read)
        monkeypatch.setattr(h5py.File, "__init__", begin)
        return monkeypatch

    return fail_some


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EMFILE])
def test_one_failure_is_tried_again_in_the_same_run(bkgpipe, fail, all_told, number):
    fail("run_1003", number, 1)

    result = bkgpipe("run", "count")

    assert result.exit_code == 0, result.output
    assert "Runs: 8 used (0.5 h), 0 not selected, 0 refused." in result.stdout
    assert "cannot be read at the moment" in all_told()


@pytest.mark.usefixtures("folder")
def test_a_failure_that_stays_is_no_refusal(bkgpipe, fail, folder):
    fail("run_1003", errno.EIO, -1)

    result = bkgpipe("run", "count", *_ALLOW)

    assert result.exit_code == 1
    assert "0 refused." in result.stdout
    told = "Failed: count: run 1003 (data/run_1003.fits.gz): cannot be read at the"
    logs = [path.read_text() for path in folder.glob("out/logs/*.log")]
    assert "".join(logs).count(f"{told} moment (Input/output error)") == 3
    assert "Traceback" not in result.output

    fail("run_1003", errno.EIO, 0)
    result = bkgpipe("run", "count", *_ALLOW)

    assert result.exit_code == 0
    assert "Runs: 8 used (0.5 h), 0 not selected, 0 refused." in result.stdout


@pytest.mark.parametrize("times", [1, -1])
def test_a_checkpoint_that_cannot_be_read_is_not_moved(bkgpipe, folder, fail, times):
    assert bkgpipe("run", "count").exit_code == 0
    (path,) = (folder / "out").glob("count-*/count_333.h5")
    before = path.stat().st_mtime_ns

    fail("count_333", errno.EIO, times)
    result = bkgpipe("run", "stack")

    assert result.exit_code == (1 if times < 0 else 0), result.output
    assert path.stat().st_mtime_ns == before
    assert not list((folder / "out").glob("*/*.damaged"))
    assert "Traceback" not in result.output
