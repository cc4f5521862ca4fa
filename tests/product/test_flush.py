from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.product.flush import flush, make_folder, put_in_place


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the disk, in order, by the names of files."""
    found: list[str] = []

    def note(name: str, function: Callable[..., object]) -> None:
        def noted(place: Path | int, *other: Path) -> object:
            path = Path(f"/proc/self/fd/{place}") if name == "fsync" else Path(place)
            found.append(f"{name} {path.resolve().name}")
            return function(place, *other)

        monkeypatch.setattr(os, name, noted)

    for name in ("fsync", "replace", "mkdir"):
        note(name, getattr(os, name))
    return found


def test_content_is_on_the_disk_before_the_name_and_the_name_after(tmp_path, calls):
    temporary, path = tmp_path / ".count_1.h5", tmp_path / "count_1.h5"
    temporary.write_text("content", encoding="utf-8")

    put_in_place(temporary, path)

    assert path.read_text(encoding="utf-8") == "content"
    assert calls == [
        "fsync .count_1.h5",
        "replace .count_1.h5",
        f"fsync {tmp_path.name}",
    ]


def test_names_of_new_folders_are_on_the_disk(tmp_path, calls):
    make_folder(tmp_path / "out" / "count")

    assert (tmp_path / "out" / "count").is_dir()
    assert calls == ["mkdir out", f"fsync {tmp_path.name}", "mkdir count", "fsync out"]

    make_folder(tmp_path / "out" / "count")
    assert len(calls) == 4


@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL])
def test_a_disk_that_fails_is_told(tmp_path, monkeypatch, number):
    def fail(_number: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "count_1.h5"
    path.touch()

    with pytest.raises(OSError, match=os.strerror(number)):
        flush(path)
    if number == errno.EINVAL:  # some file systems of sites cannot flush folders
        flush(tmp_path)
