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
    logger = logging.getLogger("bkgpipe.tasks.count")
    set_up_logging(verbose=False)

    with keep_log(tmp_path / "logs") as path:
        logger.warning("run 7: no events")
    logger.warning("too late")

    (line,) = path.read_text().splitlines()
    assert line.endswith(f"[{os.getpid()}] WARNING run 7: no events")
    assert path.parent == tmp_path / "logs"


def test_no_file_is_left_open_after_an_error(tmp_path):
    before = logging.getLogger("bkgpipe").handlers[:]

    with pytest.raises(KeyboardInterrupt), keep_log(tmp_path):
        raise KeyboardInterrupt

    assert logging.getLogger("bkgpipe").handlers == before


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
