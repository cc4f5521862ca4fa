from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.errors import DamagedFileError, OutputError
from bkgpipe.product.whole_file import (
    HOST,
    remove_stale,
    whole_file,
    write_file,
    write_text,
)


@pytest.fixture
def left(tmp_path: Path) -> Callable[[str], Path]:
    """Make a temporary file as of a process that has ended, on a host."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    def make(host: str) -> Path:
        path = tmp_path / f".count_1.h5.{host}-{process.pid}-00c0ffee"
        path.touch()
        return path

    return make


def test_the_file_is_there_when_it_is_whole(tmp_path):
    path = tmp_path / "a" / "b.txt"

    with whole_file(path) as temporary:
        temporary.write_text("some")
        assert temporary.parent == path.parent
        assert not path.exists()

    assert path.read_text() == "some"


@pytest.mark.parametrize(
    "error", [DamagedFileError, KeyboardInterrupt, ZeroDivisionError]
)
def test_an_error_leaves_the_earlier_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "b.txt"
    path.write_text("before")
    kind = error(what="a", where="b", fix="c") if error is DamagedFileError else error

    with pytest.raises(error), whole_file(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise kind

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_output_error(tmp_path):
    path = tmp_path / "b.txt"

    def fill(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"b\.txt: cannot be .*No space.*free space"):
        write_file(path, fill)

    assert not path.exists()


def test_what_a_writer_cannot_write_is_told_under_the_name_of_the_file(tmp_path):
    def write(path: Path) -> None:
        raise OutputError(what="is full", where=str(path), fix="Make room") from OSError

    with pytest.raises(OutputError, match=r"is full\. Make room") as caught:
        write_file(tmp_path / "count_7.h5", write)

    assert caught.value.where == str(tmp_path / "count_7.h5")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_file_where_a_folder_should_be_is_an_output_error(tmp_path):
    (tmp_path / "a").write_text("in the way")

    with pytest.raises(OutputError, match=r"a/b/c\.txt: .*Set \[data\] output"):
        write_file(tmp_path / "a" / "b" / "c.txt", Path.touch)


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    path = tmp_path / "b.txt"

    with whole_file(path) as one, whole_file(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")

    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed(tmp_path):
    code = (
        "import os, sys, pathlib\nfrom bkgpipe.product.whole_file import whole_file\n"
    )
    code += "with whole_file(pathlib.Path(sys.argv[1])) as path:\n"
    code += "    path.touch()\n    os.kill(os.getpid(), 9)"
    path = tmp_path / "deep" / "count_1.h5"
    subprocess.run([sys.executable, "-c", code, path], check=False)  # noqa: S603
    assert len(list(path.parent.iterdir())) == 1

    assert remove_stale(tmp_path) == 1

    assert list(path.parent.iterdir()) == []
    assert remove_stale(tmp_path) == 0


def test_files_of_living_processes_stay(tmp_path):
    with whole_file(tmp_path / "count_1.h5") as temporary:
        temporary.touch()
        assert remove_stale(tmp_path) == 0
        assert temporary.exists()


@pytest.mark.parametrize(
    ("host", "age", "n_removed"),
    [
        (HOST, 0, 1),
        (HOST, 100_000, 1),
        ("elsewhere", 0, 0),
        ("elsewhere", 100_000, 1),
    ],
)
def test_what_is_stale(left, host, age, n_removed):
    path = left(host)
    time = path.stat().st_mtime - age
    os.utime(path, (time, time))

    assert remove_stale(path.parent) == n_removed
    assert path.exists() == (not n_removed)


@pytest.mark.parametrize(
    "name",
    ["count_1.h5", ".hidden", ".count_1.h5.swp", "count_1.h5.vm-1-00c0ffee", ".a-1-b"],
)
def test_other_files_stay(tmp_path, name):
    path = tmp_path / name
    path.touch()
    os.utime(path, (0, 0))

    assert remove_stale(tmp_path) == 0
    assert path.exists()


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert remove_stale(tmp_path / "none") == 0


def test_text_comes_back(tmp_path: Path) -> None:
    write_text(tmp_path / "a.cfg", "5 \N{DEGREE SIGN}\n")

    assert (tmp_path / "a.cfg").read_bytes() == b"5 \xc2\xb0\n"
