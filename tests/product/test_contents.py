from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bkgpipe.errors import OutputError
from bkgpipe.product import contents
from bkgpipe.product.contents import UNREAD, Contents, read_contents, write_contents


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def two(tmp_path):
    paths = tmp_path / "a.fits", tmp_path / "b.fits"
    for path, text in zip(paths, ("one", "three"), strict=True):
        path.write_text(text)
    return paths


def test_files_are_known_by_what_they_hold(two):
    found = Contents().look(two)

    assert [found.checksum(path) for path in two] == [_sum("one"), _sum("three")]


def test_what_is_as_before_is_not_read_again(two, monkeypatch):
    found = Contents().look(two)
    read = []
    monkeypatch.setattr(contents, "_sum_file", lambda path: read.append(path) or "x")

    assert found.look(two) is found
    os.utime(two[1], ns=(1, 1))
    again = found.look(two)

    assert read == [str(two[1])]
    assert again.checksum(two[0]) == _sum("one")
    assert again.checksum(two[1]) == "x"


def test_a_file_of_another_time_and_the_same_content_is_the_same(two):
    found = Contents().look(two)
    os.utime(two[0], ns=(1, 1))

    again = found.look(two)

    assert again is not found
    assert again.checksum(two[0]) == _sum("one")


def test_a_file_that_is_gone_or_no_file_has_no_checksum(two, tmp_path):
    found = Contents().look(two)
    two[0].unlink()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    again = found.look([*two, pipe, tmp_path])

    assert again.checksum(two[0]) == ""
    assert again.checksum(pipe) == ""
    assert again.checksum(tmp_path) == ""
    assert again.checksum(two[1]) == _sum("three")


def test_a_file_that_cannot_be_read_at_the_moment(two, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("bkgpipe.core.sums.hashlib.file_digest", fail)
        found = Contents().look(two)

    assert [found.checksum(path) for path in two] == [UNREAD, UNREAD]
    assert found.known == {}
    again = found.look(two)
    assert [again.checksum(path) for path in two] == [_sum("one"), _sum("three")]


def test_a_file_that_is_back_at_once_is_read(two, monkeypatch):
    digest, left = hashlib.file_digest, [5, 5]

    def fail_first(*words):
        if left:
            raise OSError(left.pop(), "Input/output error")
        return digest(*words)

    monkeypatch.setattr("bkgpipe.core.sums.hashlib.file_digest", fail_first)

    assert Contents().look(two[:1]).checksum(two[0]) == _sum("one")


def test_checksums_are_kept(two, tmp_path):
    found = Contents().look(two)
    path = tmp_path / "out" / "contents.json"

    write_contents(path, found)

    assert read_contents(path).known == found.known
    assert [each.name for each in path.parent.iterdir()] == ["contents.json"]


def test_checksums_that_cannot_be_kept_leave_nothing(two, tmp_path, monkeypatch):
    def fail(*_args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match="Input/output"):
        write_contents(tmp_path / "out" / "contents.json", Contents().look(two))

    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": ["x", 1, "y"]}', "\0"])
def test_a_damaged_file_of_checksums_knows_nothing(tmp_path, text):
    path = tmp_path / "contents.json"
    assert read_contents(path).known == {}
    path.write_text(text)

    assert read_contents(path).known == {}
