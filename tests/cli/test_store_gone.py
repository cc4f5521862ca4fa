"""A store that vanishes while a production runs, as an unmounted file system does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bkgpipe.chain import refusals
from bkgpipe.errors import InputError
from bkgpipe.flow import count, export
from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.stages.count.files import COUNTS

_GONE = "store: the store is gone, not only files of single runs"


def _lose(monkeypatch, module, name: str, *, lost: Path) -> Path:
    """Let a folder or file vanish as soon as a stage calls a function."""
    aside = lost.with_name(f"{lost.name}.aside")
    call = getattr(module, name)

    def call_after_loss(*arguments, **options):
        if lost.exists():
            lost.rename(aside)
        return call(*arguments, **options)

    monkeypatch.setattr(module, name, call_after_loss)
    return aside


def _lose_on_reading(monkeypatch, module, name: str, *, lost: Path) -> Path:
    """Let a folder or file vanish as soon as a stage reads checkpoints."""
    aside = lost.with_name(f"{lost.name}.aside")

    class Losing(ChunkFile):
        def read(self, *arguments, **options):
            if lost.exists():
                lost.rename(aside)
            return super().read(*arguments, **options)

    monkeypatch.setattr(module, name, Losing(getattr(module, name).record_class))
    return aside


@pytest.fixture
def assert_whole(prepare, tmp_path_factory, bkgpipe, assert_same_products):
    """Compare an output folder with that of a production that nobody disturbed."""
    folder = prepare(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert bkgpipe("run", "export").exit_code == 0
    return lambda out: assert_same_products(out, folder / "out")


@pytest.mark.parametrize(
    "name", ["store", "store/obs-index.fits.gz", "store/hdu-index.fits.gz"]
)
def test_no_run_is_refused_for_a_store_that_is_gone(
    assert_whole, folder, bkgpipe, all_told, *, name
):
    lost = folder / name
    with pytest.MonkeyPatch.context() as patch:
        aside = _lose_on_reading(patch, count, "MASKS", lost=lost)
        if name != "store":  # whole files are still there, and one is not
            patch.setattr(refusals, "read_events", _refuse_all)

        result = bkgpipe("run", "export", "--set", "run.allow_refused=true")

    assert result.exit_code == 1
    assert f"Failed: count: {folder}/{_GONE}" in all_told()
    assert "Bring it back" in all_told()
    assert "Refused" not in all_told()
    assert not list(folder.glob("out/count-*/*"))

    aside.rename(lost)
    assert bkgpipe("run", "export").exit_code == 0
    assert_whole(folder / "out")


def _refuse_all(_store, run):
    raise InputError(what="is cut", where=f"run {run.obs_id}", fix="Mend it")


def test_a_store_that_is_gone_when_events_are_copied(folder, bkgpipe, all_told):
    words = ("run", "export", "--set", "export.store=full")
    with pytest.MonkeyPatch.context() as patch:
        aside = _lose(patch, export, "copy_events", lost=folder / "store")
        # what the original files say of themselves was known before
        patch.setattr(export, "find_origin", lambda *_: export.Origin())

        result = bkgpipe(*words)

    assert result.exit_code == 1
    assert f"Failed: export: {folder}/{_GONE}" in all_told()
    assert not list(folder.glob("out/export-*/export_*.h5"))
    aside.rename(folder / "store")
    again = bkgpipe(*words)
    assert again.exit_code == 0
    assert "Models: 16" in again.stdout


def test_no_origin_is_made_up_for_a_store_that_is_gone(folder, bkgpipe, all_told):
    with pytest.MonkeyPatch.context() as patch:
        aside = _lose_on_reading(patch, export, "NODES", lost=folder / "store")

        result = bkgpipe("run", "export")

    assert result.exit_code == 1
    assert f"Failed: export: {folder}/{_GONE}" in all_told()
    aside.rename(folder / "store")
    assert bkgpipe("run", "export").exit_code == 0


def test_events_that_vanish_from_a_store_that_is_there(
    folder, bkgpipe, all_told, find_events
):
    path = find_events(folder / "store", 1003)
    with pytest.MonkeyPatch.context() as patch:
        _lose_on_reading(patch, count, "MASKS", lost=path)

        result = bkgpipe("run", "export", "--set", "run.allow_refused=true")

    assert result.exit_code == 0
    assert "Refused: run 1003" in all_told()
    (chunk,) = folder.glob("out/count-*/count_334.h5")
    assert list(COUNTS.read(chunk).refused) == [1003]


def test_a_store_that_is_gone_for_a_while(
    prepare, fork, tmp_path, assert_same_products
):
    """As it happens: workers of their own, and no stage is waited for."""
    folder = prepare(tmp_path / "a while", data__chunk_size="1")
    process = fork(folder, "run", "export", "--workers", "2")
    end = time.monotonic() + 180
    while not list(folder.glob("out/count-*/count_*.h5")):
        assert time.monotonic() < end
        time.sleep(0.002)
    (folder / "store").rename(folder / "away")
    stdout, stderr = process.communicate(timeout=180)
    made = list(folder.glob("out/count-*/count_*.h5"))

    assert "Refused" not in stderr
    assert not any(COUNTS.read(path).refused for path in made)
    if len(made) < 8:  # on a busy machine the workers may have been faster
        assert process.returncode == 1
        assert _GONE in stderr
        assert "Traceback" not in stderr

    (folder / "away").rename(folder / "store")
    again = fork(folder, "run", "export")
    stdout, stderr = again.communicate(timeout=180)
    assert again.returncode == 0, stdout + stderr
    assert "8 used" in stdout
    assert " 0 refused" in stdout
    whole = prepare(tmp_path / "whole", data__chunk_size="1")
    undisturbed = fork(whole, "run", "export")
    undisturbed.communicate(timeout=180)
    assert_same_products(folder / "out", whole / "out")
