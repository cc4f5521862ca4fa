"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bkgpipe.core.sums import join_sums, sum_file


def test_sum_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 10**6)
    assert sum_file(path) == hashlib.sha256(b"abc" * 10**6).hexdigest()


def test_a_file_that_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sum_file(tmp_path / "absent")


def test_sums_of_several_files() -> None:
    assert join_sums(["ab"]) == "ab"
    assert join_sums(["ab", "cd"]) == hashlib.sha256(b"abcd").hexdigest()
    assert join_sums(["cd", "ab"]) != join_sums(["ab", "cd"])
