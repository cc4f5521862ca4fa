from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bkgpipe.cli import progress
from bkgpipe.settings import read_settings
from bkgpipe.stages.report.summary import StageState


@pytest.fixture
def settings(finished):
    return read_settings(finished / "luigi.cfg")


@pytest.fixture
def over():
    finished, end = multiprocessing.Pipe(duplex=False)
    end.send_bytes(b"over")
    yield finished
    finished.close()
    end.close()


@contextmanager
def _no_more_files() -> Iterator[None]:
    """Let nobody open another file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # less would also forbid to wait for those that are open
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _beat() -> None:
    """Stand in for saying that the production goes on."""


def test_lines_tell_each_stage_once(settings, over, capsys):
    beats: list[int] = []

    progress._show_lines(settings, over, lambda: beats.append(1))

    captured = capsys.readouterr()
    assert captured.out == ""
    told = [line.split(" s  ")[1] for line in captured.err.splitlines()]
    assert told[:3] == ["select: 1 of 1", "mask: 4 of 4", "count: 4 of 4"]
    assert len(told) == 7
    assert beats == [1]


def test_folders_that_cannot_be_listed_are_passed_over(settings, over, capsys):
    with _no_more_files():
        progress._show_lines(settings, over, _beat)

    assert capsys.readouterr().err == ""


def test_bars_show_each_stage(settings, over, capsys):
    beats: list[int] = []

    progress._show_bars(settings, over, lambda: beats.append(1))

    captured = capsys.readouterr()
    assert captured.out == ""
    for stage in ("select", "mask", "count", "rank", "stack", "smooth", "export"):
        assert stage in captured.err
    assert "4/4" in captured.err
    assert beats == [1]


def test_an_unknown_total_is_left_out(capsys):
    state = StageState(stage="mask", folder="x", n_done=2, n_total=-1)

    progress._tell(state, seconds=1.26)

    assert capsys.readouterr().err == "   1.3 s  mask: 2\n"


def test_the_watcher_ends_with_the_production(settings, capfd):
    with progress.show_progress(settings, beat=_beat):
        children = multiprocessing.active_children()
        assert len(children) == 1

    assert not children[0].is_alive()
    assert "count: 4 of 4" in capfd.readouterr().err


def test_the_watcher_ends_when_its_process_is_gone():
    finished, _end = multiprocessing.Pipe(duplex=False)

    assert progress._is_over(finished, parent=-1, seconds=0)


def test_a_failing_production_ends_the_watcher_too(settings):
    with pytest.raises(KeyboardInterrupt), progress.show_progress(settings, beat=_beat):
        raise KeyboardInterrupt

    assert not multiprocessing.active_children()
    assert Path(settings.path).exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_watcher_that_is_killed_or_stopped_holds_up_nothing(
    settings, monkeypatch, *, number
):
    monkeypatch.setattr(progress, "_PATIENCE", 0.5)

    with progress.show_progress(settings, beat=_beat):
        (watcher,) = multiprocessing.active_children()
        os.kill(watcher.pid, number)

    watcher.join(timeout=5)
    assert not watcher.is_alive()
