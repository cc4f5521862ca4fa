from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from bkgpipe.cli.logs import keep_log, set_up_logging
from bkgpipe.errors import OutputError

_NAMES = ("bkgpipe", "luigi", "luigi-interface")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in _NAMES}
    with warnings.catch_warnings():
        yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


def _say_everything() -> None:
    for name in _NAMES:
        logging.getLogger(name).info("info of %s", name)
        logging.getLogger(name).error("error of %s", name)


def test_only_our_messages_are_shown(capsys):
    set_up_logging(verbose=False)

    _say_everything()
    warnings.warn("too many dragons", UserWarning, stacklevel=1)

    captured = capsys.readouterr()
    assert captured.err == "info of bkgpipe\nerror of bkgpipe\n"
    assert captured.out == ""


def test_verbose_shows_those_of_others(capsys):
    set_up_logging(verbose=True)

    _say_everything()

    assert capsys.readouterr().err.count("info of") == 3
    with pytest.raises(UserWarning, match="dragons"):
        warnings.warn("dragons", UserWarning, stacklevel=1)


def test_messages_are_kept_while_the_block_runs(tmp_path):
    logger = logging.getLogger("bkgpipe.flow.count")
    set_up_logging(verbose=False)

    with keep_log(tmp_path / "logs") as path:
        logger.warning("run 7: no events")
    logger.warning("too late")

    lines = path.read_text().splitlines()
    assert f"[{os.getpid()}] DEBUG Command: " in lines[0]
    assert "bkgpipe " in lines[2]
    assert "luigi " in lines[2]
    assert lines[3].endswith(f"[{os.getpid()}] WARNING run 7: no events")
    assert "Ended after " in lines[4]
    assert len(lines) == 5
    assert path.parent == tmp_path / "logs"


def test_no_file_is_left_open_after_an_error(tmp_path):
    before = logging.getLogger("bkgpipe").handlers[:]

    with pytest.raises(KeyboardInterrupt), keep_log(tmp_path):
        raise KeyboardInterrupt

    assert logging.getLogger("bkgpipe").handlers == before


def test_an_error_is_kept_with_its_traceback(tmp_path, capsys):
    set_up_logging(verbose=False)

    with pytest.raises(ZeroDivisionError), keep_log(tmp_path):
        _ = 1 / 0

    (path,) = tmp_path.iterdir()
    assert path.read_text().endswith("ZeroDivisionError: division by zero\n")
    assert "Traceback" in path.read_text()
    assert capsys.readouterr().err == ""


def test_the_log_of_a_run_tells_its_story(folder, start, find_events):
    find_events(folder / "store", 1003).unlink()

    process = start(folder, "bkgpipe", "run", "count")
    _, stderr = process.communicate(timeout=180)

    (path,) = (folder / "out" / "logs").iterdir()
    text = path.read_text()
    assert "bkgpipe/__main__.py run count\n" in text
    assert "Begun: Count 333, runs 1001\n" in text
    assert "Done: Count 333 in " in text
    assert "Refused: run 1003" in text
    assert "Begun" not in stderr


def test_a_log_that_cannot_be_made(tmp_path):
    (tmp_path / "logs").touch()

    with (
        pytest.raises(
            OutputError, match=r"cannot be written \(File exists\)"
        ) as caught,
        keep_log(tmp_path / "logs"),
    ):
        pass

    assert caught.value.where.startswith(f"{tmp_path}/logs/")
    assert "free space" in caught.value.fix


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_log_on_a_full_disk_is_lost_and_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bkgpipe.cli.logs.time.strftime", lambda *_: "now")
    (tmp_path / f"now-{os.getpid()}.log").symlink_to("/dev/full")
    set_up_logging(verbose=False)

    with keep_log(tmp_path):
        logging.getLogger("bkgpipe").warning("run 7: no events")

    assert capsys.readouterr().err == "run 7: no events\n"
