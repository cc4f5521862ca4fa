from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import h5py
import pytest

from bkgpipe.chain.inputs import forget
from bkgpipe.chain.look import look_into
from bkgpipe.chain.summary import read_status
from bkgpipe.errors import DamagedFileError


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """Count how often each HDF5 file is opened and each folder is listed."""
    seen: Counter[Path] = Counter()
    open_file, list_folder = h5py.File, os.listdir

    def count_file(path: Path, *words: object, **more: object) -> h5py.File:
        seen[path] += 1
        return open_file(path, *words, **more)

    def count_folder(path: Path) -> list[str]:
        seen[path] += 1
        return list_folder(path)

    monkeypatch.setattr("h5py.File", count_file)
    monkeypatch.setattr("os.listdir", count_folder)
    return seen


@pytest.mark.parametrize("lost", ["nothing", "count_334.h5", "production.json"])
def test_each_file_is_read_once_and_each_folder_listed_once(finish, looked, lost):
    task = finish(stack__strategy="ranked")
    settings = task.settings
    for path in settings.data.output.rglob(lost):
        path.unlink()
    if lost == "count_334.h5":
        (settings.data.output / "production.json").unlink()
    forget()
    looked.clear()

    states, summary = read_status(settings)

    stages = [state.stage for state in states[1:]]
    assert stages == ["mask", "count", "rank", "stack", "smooth", "export"]
    chunks = [
        path for word in stages for path in settings.folder(word).glob(f"{word}_*.h5")
    ]
    folders = [settings.folder(word) for word in stages]
    assert {path: looked[path] for path in (*chunks, *folders)} == dict.fromkeys(
        (*chunks, *folders), 1
    )
    assert len(chunks) == 4 * 6 - (lost == "count_334.h5")
    assert summary.n_used == (5 if lost == "count_334.h5" else 8)


def test_what_has_not_changed_is_read_again_only_for_its_runs(finish, looked):
    settings = finish().settings
    path = settings.folder("count") / "count_334.h5"
    looked.clear()

    first, second = (look_into(settings, "count", path) for _ in range(2))

    assert first.facts is second.facts
    assert looked[path] == 1
    assert first.facts.tallies == {}
    found = look_into(settings, "count", path, with_runs=True).facts
    assert looked[path] == 2
    assert sorted(found.tallies) == [int(key) for key in sorted(found.identities)]


def test_a_damaged_file_is_told_when_it_is_asked_for_more(finish):
    settings = finish().settings
    path = settings.folder("count") / "count_334.h5"
    path.write_bytes(b"words")

    look = look_into(settings, "count", path)

    assert look.fault == "damaged"
    with pytest.raises(DamagedFileError, match=r"count_334\.h5: .*Run the stage again"):
        look.facts  # noqa: B018
