from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from bkgpipe.errors import BusyError, OutputError
from bkgpipe.flow.engine import presence
from bkgpipe.flow.engine.presence import Submitter, announce, submitters
from bkgpipe.product.whole_file import HOST, find_stale


def _other(folder, **changes):
    """Write what another process would say of itself."""
    given = {"host": "elsewhere", "pid": 77, "started": 1.0, "scheduler": "local"}
    other = Submitter(**(given | changes))
    path = folder / "running" / f"{other.host}-{other.pid}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(other)))
    return path


def test_submitter_is_listed_while_it_works(tmp_path):
    with announce(tmp_path, scheduler="local"):
        (me,) = submitters(tmp_path)
        assert (me.host, me.pid, me.scheduler) == (HOST, os.getpid(), "local")
        assert abs(me.started - time.time()) < 60

    assert submitters(tmp_path) == ()
    assert not list((tmp_path / "running").iterdir())


def test_submitter_is_not_listed_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="stop"), announce(tmp_path, scheduler="local"):
        raise ValueError("stop")

    assert submitters(tmp_path) == ()


def test_second_submitter_is_told_of_the_first(tmp_path):
    _other(tmp_path)

    with (
        pytest.raises(BusyError, match="process 77 on elsewhere since") as caught,
        announce(tmp_path, scheduler="local"),
    ):
        pass

    assert caught.value.where == str(tmp_path)
    assert "--scheduler-host" in caught.value.fix
    assert [one.pid for one in submitters(tmp_path)] == [77]


def test_first_submitter_goes_on_when_a_second_one_comes(tmp_path):
    _other(tmp_path, started=time.time() + 3600)

    with announce(tmp_path, scheduler="local"):
        assert len(submitters(tmp_path)) == 2


@pytest.mark.parametrize("theirs", ["local", "b:2"])
def test_other_scheduler_is_refused(tmp_path, theirs):
    _other(tmp_path, scheduler=theirs)

    with pytest.raises(BusyError), announce(tmp_path, scheduler="a:1"):
        pass


def test_any_number_share_a_scheduler(tmp_path):
    _other(tmp_path, scheduler="a:1")
    _other(tmp_path, scheduler="a:1", pid=78)

    with announce(tmp_path, scheduler="a:1"):
        assert len(submitters(tmp_path)) == 3


def test_silent_submitter_is_gone_until_it_is_heard_again(tmp_path):
    path = _other(tmp_path)
    os.utime(path, (time.time() - 400, time.time() - 400))
    assert submitters(tmp_path) == ()

    with announce(tmp_path, scheduler="local") as beat:
        (mine,) = (
            path for path in (tmp_path / "running").iterdir() if HOST in path.name
        )
        os.utime(mine, (1, 1))
        beat()
        assert len(submitters(tmp_path)) == 1


def test_beat_does_not_bring_back_one_that_has_ended(tmp_path):
    with announce(tmp_path, scheduler="local") as beat:
        pass

    beat()

    assert submitters(tmp_path) == ()


def test_dead_process_of_this_machine_is_gone_at_once(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    _other(tmp_path, host=HOST, pid=process.pid)

    assert submitters(tmp_path) == ()


def test_zombie_is_gone(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    _other(tmp_path, host=HOST, pid=process.pid)
    end = time.monotonic() + 60
    while submitters(tmp_path) and time.monotonic() < end:
        time.sleep(0.01)

    assert submitters(tmp_path) == ()
    process.wait()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": 1}'])
def test_what_is_not_a_submitter_is_not_listed(tmp_path, text):
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / "x-1.json").write_text(text)

    assert submitters(tmp_path) == ()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "out").write_text("in the way")

    with pytest.raises(OutputError), announce(tmp_path / "out", scheduler="local"):
        pass


def test_a_process_killed_while_it_asks_for_the_time_leaves_nothing_for_ever(
    tmp_path, monkeypatch
):
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(Path, "stat", lambda _path: os._exit(0))
        presence._now(tmp_path)
    os.waitpid(pid, 0)

    assert find_stale(tmp_path) == list(tmp_path.iterdir()) != []
