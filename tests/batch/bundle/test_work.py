from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.batch.bundle.notes import AnswerNote, BundleNote
from bkgpipe.batch.bundle.pack import pack_chunks
from bkgpipe.batch.bundle.tar import read_tar_note, unpack_tar, write_tar
from bkgpipe.batch.bundle.work import run_bundle
from bkgpipe.flow.count import Count


def _job(bundle, answer, **options):
    command = [sys.executable, "-m", "bkgpipe", "job"]
    return subprocess.run(  # noqa: S603
        [*command, "--bundle", str(bundle), "--to", str(answer)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_a_job_needs_nothing_of_its_node(bundle, answer, tmp_path):
    home, folder = tmp_path / "home", tmp_path / "node"
    home.mkdir(mode=0o500)
    folder.mkdir()
    # settings of somebody else, which must not matter
    (folder / "luigi.cfg").write_text("[binning]\nper_decade = 7\n[core]\nx = 1\n")
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"} or "BLAS" in key
    }
    done = _job(
        bundle,
        tmp_path / "again.tar",
        cwd=folder,
        umask=0o077,
        env=kept | {"TZ": "Asia/Tokyo", "HOME": str(home), "LC_ALL": "C"},
    )

    assert done.returncode == 0, done.stderr
    assert "count 334: 3 runs" in done.stderr + done.stdout
    again = read_tar_note(tmp_path / "again.tar", AnswerNote)
    first = read_tar_note(answer, AnswerNote)
    assert [(each.name, each.size) for each in again.files] == [
        (each.name, each.size) for each in first.files
    ]


def test_a_node_without_room_says_so(bundle, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))

    assert run_bundle(bundle, tmp_path / "answer.tar") == 71

    note = read_tar_note(tmp_path / "answer.tar", AnswerNote)
    assert (note.kind, note.code, note.files) == ("scratch", 71, ())
    assert "set TMPDIR to a folder with free space" in note.reason
    assert note.reason in caplog.messages


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_full_scratch_says_so(bundle, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(scratch)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("nothing can be mounted here")
    try:
        done = _job(
            bundle, tmp_path / "answer.tar", env={**os.environ, "TMPDIR": str(scratch)}
        )
        left = list(scratch.iterdir())
    finally:
        subprocess.run(["umount", str(scratch)], check=True)  # noqa: S603, S607

    assert done.returncode == 71
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert left == []
    assert read_tar_note(tmp_path / "answer.tar", AnswerNote).kind == "scratch"


def test_a_damaged_bundle_is_answered(bundle, tmp_path):
    bundle.write_bytes(bundle.read_bytes()[:5000])

    assert run_bundle(bundle, tmp_path / "answer.tar") == 1

    note = read_tar_note(tmp_path / "answer.tar", AnswerNote)
    assert (note.kind, note.files) == ("bundle", ())
    assert str(bundle) in note.reason


@pytest.mark.parametrize("change", [{"version": "0.0.7"}, {"revisions": {"count": 99}}])
def test_a_bundle_of_another_version_is_answered(bundle, tmp_path, change):
    note = unpack_tar(bundle, tmp_path / "opened", BundleNote)
    files = {each.name: tmp_path / "opened" / each.name for each in note.files}
    write_tar(bundle, replace(note, **change), files)

    assert run_bundle(bundle, tmp_path / "answer.tar") == 1

    answer = read_tar_note(tmp_path / "answer.tar", AnswerNote)
    assert answer.kind == "version"
    assert "use the same version" in answer.reason
    if "revisions" in change:
        assert "other revisions of count" in answer.reason


def test_settings_of_another_version_are_answered(bundle, tmp_path):
    note = unpack_tar(bundle, tmp_path / "opened", BundleNote)
    settings = tmp_path / "opened" / "settings.cfg"
    settings.write_text(settings.read_text() + "[waves]\nfind = yes\n")
    files = {each.name: tmp_path / "opened" / each.name for each in note.files}
    write_tar(bundle, note, files)

    assert run_bundle(bundle, tmp_path / "answer.tar") == 1

    answer = read_tar_note(tmp_path / "answer.tar", AnswerNote)
    assert answer.kind == "version"
    assert "[waves] is not a section" in answer.reason
    assert "use the same version" in answer.reason


def test_what_is_made_is_sent_although_another_chunk_fails(
    selected, tmp_path, monkeypatch
):
    (packed,) = pack_chunks(selected.settings, "count", [[333, 334]], folder=tmp_path)

    run = Count.run

    def fail(self):
        if self.chunk == 333:
            raise RuntimeError("of no use")
        run(self)

    monkeypatch.setattr(Count, "run", fail)
    assert run_bundle(packed.path, tmp_path / "answer.tar") == 1

    note = read_tar_note(tmp_path / "answer.tar", AnswerNote)
    assert note.kind == "failed"
    assert note.reason.startswith("not made: count 333;")
    assert [Path(each.name).name for each in note.files] == ["count_334.h5"]


def test_nothing_is_left_in_the_scratch(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()

    assert run_bundle(bundle, tmp_path / "answer.tar") == 0

    assert list((tmp_path / "scratch").iterdir()) == []
