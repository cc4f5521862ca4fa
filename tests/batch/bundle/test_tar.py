from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from bkgpipe.batch.bundle.notes import (
    AnswerNote,
    BundleNote,
    FileNote,
    read_note,
    write_note,
)
from bkgpipe.batch.bundle.tar import read_tar_note, unpack_tar, write_tar
from bkgpipe.errors import TransferError

_CONTENT = {"out/count-abc/count_1.h5": b"counts" * 3000, "store/a.fits": b"events"}


def _note(**changes):
    given = {
        "version": "0",
        "word": "count",
        "chunks": (1, 2),
        "folder": "count-abc",
        "host": "node7",
        "code": 0,
    }
    return AnswerNote(**(given | changes))


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "answer.tar"
    write_tar(path, _note(), _CONTENT)
    return path


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_packed_comes_out(packed, tmp_path):
    (tmp_path / "file").write_bytes(b"on disk")
    written = write_tar(packed, _note(), {**_CONTENT, "c": tmp_path / "file"})

    note = unpack_tar(packed, tmp_path / "there", AnswerNote)

    assert note == written == read_tar_note(packed, AnswerNote)
    assert [each.name for each in note.files] == sorted([*_CONTENT, "c"])
    for name, content in _CONTENT.items():
        assert (tmp_path / "there" / name).read_bytes() == content
    assert (tmp_path / "there" / "c").read_bytes() == b"on disk"


def test_equal_content_gives_an_equal_file(packed, tmp_path):
    write_tar(tmp_path / "again.tar", _note(), dict(reversed(_CONTENT.items())))

    assert (tmp_path / "again.tar").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6])
def test_a_cut_file_is_refused(packed, tmp_path, share):
    content = packed.read_bytes()
    packed.write_bytes(content[: int(share * len(content))])

    with pytest.raises(TransferError, match=r"Send it again"):
        unpack_tar(packed, tmp_path / "there", AnswerNote)


def test_each_flipped_bit_is_found_or_harmless(packed, tmp_path):
    content = packed.read_bytes()
    n_found = 0
    for number, at in enumerate(range(0, len(content), 97)):
        flipped = bytearray(content)
        flipped[at] ^= 4
        packed.write_bytes(flipped)
        folder = tmp_path / str(number)
        try:
            note = unpack_tar(packed, folder, AnswerNote)
        except TransferError:
            n_found += 1
            continue
        # of what fills blocks, and of times and owners in heads, nothing is used
        assert note == read_tar_note(packed, AnswerNote)
        for name, expected in _CONTENT.items():
            assert (folder / name).read_bytes() == expected
    assert n_found > 150


def test_a_lost_file_is_told(tmp_path):
    with pytest.raises(TransferError, match=r"answer\.tar: there is no such file"):
        unpack_tar(tmp_path / "answer.tar", tmp_path / "there", AnswerNote)


def test_a_compressed_file_is_refused(packed, tmp_path):
    packed.write_bytes(gzip.compress(packed.read_bytes()))

    with pytest.raises(TransferError, match="no tar file"):
        unpack_tar(packed, tmp_path / "there", AnswerNote)


def test_a_bundle_is_no_answer(packed, tmp_path):
    with pytest.raises(TransferError, match=r"no readable bundle\.json"):
        unpack_tar(packed, tmp_path / "there", BundleNote)


def _member(name, **changes):
    info = tarfile.TarInfo(name)
    info.size = 6 if changes.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
    for key, value in changes.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (_member("../a"), "written outside"),
        (_member("x/../../a"), "written outside"),
        (_member("/etc/a"), "written outside"),
        (_member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "no plain file"),
        (_member("a", type=tarfile.LNKTYPE, linkname="b"), "no plain file"),
        (_member("a", type=tarfile.CHRTYPE), "no plain file"),
        (_member("a", type=tarfile.FIFOTYPE), "no plain file"),
        (_member("a", type=tarfile.DIRTYPE), "no plain file"),
        (
            _member("a", pax_headers={"GNU.sparse.size": "9" * 12}),
            "no plain file|bytes",
        ),
        (_member("b"), "not in its note"),
        (_member("a", size=5), "has 5 of 6 bytes"),
    ],
)
def test_a_hostile_member_is_refused_before_anything_is_written(
    tmp_path, member, words
):
    path, folder = tmp_path / "answer.tar", tmp_path / "there"
    name = "a" if member.name == "b" else member.name
    files = (FileNote(name=name, size=6, sha256="0" * 64),)
    if member.name == "b":
        files += (FileNote(name="c", size=6, sha256="0" * 64),)
    text = write_note(_note(files=files))
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        first = _member("answer.json", size=len(text))
        tar.addfile(first, io.BytesIO(text))
        tar.addfile(member, io.BytesIO(b"abcdef"))
        if member.name == "b":
            tar.addfile(_member("a"), io.BytesIO(b"abcdef"))
            tar.addfile(_member("c"), io.BytesIO(b"abcdef"))

    with pytest.raises(TransferError, match=words):
        unpack_tar(path, folder, AnswerNote)

    assert _files(folder) == []
    assert _files(tmp_path) == [path]


def test_a_member_twice_is_refused(packed, tmp_path):
    with tarfile.open(packed, "a") as tar:
        tar.addfile(_member("store/a.fits"), io.BytesIO(b"events"))

    with pytest.raises(TransferError, match="in it twice"):
        unpack_tar(packed, tmp_path / "there", AnswerNote)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1, 2]",
        b'{"version": "0"}',
        write_note(_note()).replace(b'"count"', b"7"),
        write_note(_note()).replace(b"\n  1,", b'\n  "1",'),
        write_note(_note(files=(FileNote(name="a", size=1, sha256=""),))).replace(
            b'"size": 1', b'"size": "1"'
        ),
    ],
)
def test_a_note_of_other_values_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        read_note(text, AnswerNote)
