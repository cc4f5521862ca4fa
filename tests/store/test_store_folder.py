from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest

from bkgpipe.store.store_folder import (
    StoreFolder,
    is_inside,
    is_permitted,
    outer_folders,
    store_folder,
)


def test_a_store_folder_is_a_path_with_more(tmp_path: Path) -> None:
    folder = store_folder(tmp_path, allow=[Path("/archive")])

    assert (folder.allow, folder.index) == ((Path("/archive"),), None)
    assert isinstance(folder / "data", Path)
    assert os.path.realpath(folder) == os.path.realpath(tmp_path)
    assert str(folder) == str(tmp_path)


def test_a_file_stands_for_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "all.fits"
    path.touch()

    folder = store_folder(path)

    assert (folder, folder.index) == (tmp_path, path)


def test_what_is_allowed_tells_stores_apart(tmp_path: Path) -> None:
    plain, other = store_folder(tmp_path), store_folder(tmp_path, allow=[Path("/a")])

    assert plain == tmp_path == StoreFolder(tmp_path)
    assert plain != other
    assert other == store_folder(tmp_path, allow=[Path("/a")])
    assert hash(plain) == hash(tmp_path)


@pytest.mark.parametrize(
    ("folder", "path", "expected"),
    [("/a", "/a", True), ("/a", "/a/b", True), ("/a", "/ab", False), ("/", "/a", True)],
)
def test_inside(folder: str, path: str, expected: bool) -> None:
    assert is_inside(folder, path) is expected


def test_only_folders_that_are_allowed_are_permitted(tmp_path: Path) -> None:
    store, archive = tmp_path / "store", tmp_path / "archive"
    for folder in (store, archive):
        folder.mkdir()
    (tmp_path / "link").symlink_to(archive)
    allowing = store_folder(store, allow=[tmp_path / "link"])

    assert is_permitted(allowing, str(store / "a.fits"))
    assert is_permitted(allowing, str(archive / "a.fits"))
    assert not is_permitted(allowing, str(tmp_path / "a.fits"))
    assert not is_permitted(allowing, str(tmp_path / "archives" / "a.fits"))
    assert not is_permitted(store, str(archive / "a.fits"))


def test_folders_outside_are_named_once(tmp_path: Path) -> None:
    store, archive = tmp_path / "store", tmp_path / "archive"
    for folder in (store, archive / "a", archive / "b" / "c"):
        folder.mkdir(parents=True)
    for name in ("a/1.fits", "b/2.fits", "b/c/3.fits"):
        (archive / name).touch()
    (store / "4.fits").touch()
    (store / "5.fits").symlink_to(archive / "a" / "1.fits")
    names = ("a/1", "b/2", "b/c/3", "b/missing")

    found = outer_folders(
        store, ["", "4.fits", "5.fits", *(f"../archive/{name}.fits" for name in names)]
    )

    assert found == [str(archive / "a"), str(archive / "b")]


def test_many_folders_are_named_by_the_one_above(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    files = [f"../archive/{number}/run.fits" for number in range(9)]
    for file in files:
        (store / file).parent.mkdir(parents=True)
        (store / file).touch()

    assert outer_folders(store, files) == [str(tmp_path / "archive")]


def test_a_store_that_goes_to_another_process_is_the_same(tmp_path):
    file = tmp_path / "all.fits"
    file.write_bytes(b"")
    store = store_folder(file, allow=(tmp_path / "archive",))

    for again in (pickle.loads(pickle.dumps(store)), copy.copy(store)):  # noqa: S301
        assert again == store
        assert again.allow == (tmp_path / "archive",)
        assert again.index == file
