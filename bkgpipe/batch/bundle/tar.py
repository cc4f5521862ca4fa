"""Tar files of plain files with a note, which nothing gets out of unverified."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from bkgpipe.batch.bundle.notes import (
    AnswerNote,
    BundleNote,
    FileNote,
    read_note,
    write_note,
)
from bkgpipe.core.sums import sum_file
from bkgpipe.errors import TransferError
from bkgpipe.product.whole_file import whole_file

__all__ = ["read_tar_note", "unpack_tar", "write_tar"]

_Note = TypeVar("_Note", BundleNote, AnswerNote)

_NAMES: dict[type, str] = {BundleNote: "bundle.json", AnswerNote: "answer.json"}
_MAX_NOTE = 64 * 2**20  # bytes
_BLOCK = 2**20  # bytes


def write_tar(
    path: Path, note: BundleNote | AnswerNote, files: Mapping[str, Path | bytes]
) -> BundleNote | AnswerNote:
    """Write files into a tar file, with their sizes and checksums in the note.

    The note comes first. Equal content gives an equal file.

    Parameters
    ----------
    path : Path
        The tar file.
    note : BundleNote or AnswerNote
        What it says of itself.
    files : mapping of str to Path or bytes
        File, or its content, by its name in the tar file.

    Returns
    -------
    BundleNote or AnswerNote
        The note as it was written.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    ordered = dict(sorted(files.items()))
    listed = tuple(_note_file(name, source) for name, source in ordered.items())
    note = replace(note, files=listed)
    with whole_file(path) as temporary, tarfile.open(temporary, "w") as tar:
        _add(tar, _NAMES[type(note)], write_note(note))
        for name, source in ordered.items():
            _add(tar, name, source)
    return note


def _note_file(name: str, source: Path | bytes) -> FileNote:
    if isinstance(source, bytes):
        digest = hashlib.sha256(source).hexdigest()
        return FileNote(name=name, size=len(source), sha256=digest)
    size = source.stat().st_size
    return FileNote(name=name, size=size, sha256=sum_file(source))


def _add(tar: tarfile.TarFile, name: str, source: Path | bytes) -> None:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    if isinstance(source, bytes):
        info.size = len(source)
        tar.addfile(info, io.BytesIO(source))
        return
    info.size = source.stat().st_size
    with source.open("rb") as file:
        tar.addfile(info, file)


def read_tar_note(path: Path, kind: type[_Note]) -> _Note:
    """Read the note of a tar file, and nothing else.

    Parameters
    ----------
    path : Path
        The tar file.
    kind : type
        `BundleNote` or `AnswerNote`.

    Returns
    -------
    BundleNote or AnswerNote
        Its note.

    Raises
    ------
    TransferError
        If it is missing, empty, or something else.
    """
    with _opened(path) as tar:
        return _read_note(tar, path, kind)


def unpack_tar(path: Path, folder: Path, kind: type[_Note]) -> _Note:
    """Unpack a tar file, when all that it holds is what its note says.

    Before anything is written, each member must be a plain file that stays inside the
    folder, and is in the note. Sizes are those of the tar file itself, which is not
    compressed, so it cannot become larger than it is.

    Parameters
    ----------
    path : Path
        The tar file.
    folder : Path
        Empty folder to unpack it into.
    kind : type
        `BundleNote` or `AnswerNote`.

    Returns
    -------
    BundleNote or AnswerNote
        Its note.

    Raises
    ------
    TransferError
        If it is missing, empty, cut, or not what was written.
    OSError
        If the folder cannot be written.
    """
    with _opened(path) as tar:
        note = _read_note(tar, path, kind)
        members = _members(tar, path)
        _require_all(members, note.files, path)
        for each in note.files:
            _unpack(tar, members[each.name], each, folder=folder, path=path)
    return note


def _members(tar: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    """List the members after the note, each a plain file inside the folder."""
    found: dict[str, tarfile.TarInfo] = {}
    try:
        for number, member in enumerate(tar):
            if number == 0:  # the note
                continue
            _require_plain(member, path)
            if member.name in found:
                raise _broken(path, f"{member.name!r} is in it twice")
            found[member.name] = member
    except (tarfile.TarError, EOFError) as error:
        raise _broken(path, f"it ends too early ({error})") from error
    return found


def _require_plain(member: tarfile.TarInfo, path: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\0" in member.name:
        raise _broken(path, f"{member.name!r} would be written outside its folder")
    is_file = member.type in {tarfile.REGTYPE, tarfile.AREGTYPE}
    # a sparse one could be of any size
    if not is_file or member.sparse is not None:
        raise _broken(path, f"{member.name!r} is no plain file")


def _require_all(
    members: Mapping[str, tarfile.TarInfo], files: Iterable[FileNote], path: Path
) -> None:
    wanted = {each.name: each.size for each in files}
    for name in wanted.keys() - members.keys():
        raise _broken(path, f"{name!r} is missing")
    for name in members.keys() - wanted.keys():
        raise _broken(path, f"{name!r} is not in its note")
    for name, member in members.items():
        if member.size != wanted[name]:
            raise _broken(path, f"{name!r} has {member.size} of {wanted[name]} bytes")


def _unpack(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    expected: FileNote,
    *,
    folder: Path,
    path: Path,
) -> None:
    target = folder / expected.name
    target.parent.mkdir(parents=True, exist_ok=True)
    total, digest = 0, hashlib.sha256()
    source = tar.extractfile(member)
    with target.open("xb") as file:
        try:
            while source is not None and (block := source.read(_BLOCK)):
                file.write(block)
                digest.update(block)
                total += len(block)
        except tarfile.TarError as error:
            raise _broken(path, f"{expected.name!r} is cut ({error})") from error
    if total != expected.size or digest.hexdigest() != expected.sha256:
        raise _broken(path, f"{expected.name!r} is not what was sent")


def _opened(path: Path) -> tarfile.TarFile:
    try:
        if not path.stat().st_size:
            raise _broken(path, "the file is empty")
        return tarfile.open(path, "r:")
    except FileNotFoundError as error:
        raise _broken(path, "there is no such file") from error
    except (tarfile.TarError, EOFError) as error:
        raise _broken(path, f"it is no tar file ({error})") from error


def _read_note(tar: tarfile.TarFile, path: Path, kind: type[_Note]) -> _Note:
    name = _NAMES[kind]
    try:
        first = tar.next()
        is_note = first is not None and first.name == name and first.size <= _MAX_NOTE
        source = tar.extractfile(first) if first and is_note else None
        return read_note(source.read() if source else b"", kind)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _broken(path, f"it has no readable {name} ({error})") from error


def _broken(path: Path, what: str) -> TransferError:
    return TransferError(
        what=what,
        where=str(path),
        fix="Send it again: it was cut or changed on its way",
    )
