"""What a bundle and an answer say of themselves, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

__all__ = ["AnswerNote", "BundleNote", "FileNote", "read_note", "write_note"]

_Note = TypeVar("_Note", bound="BundleNote | AnswerNote")


@dataclass(frozen=True, kw_only=True)
class FileNote:
    """A file that travels.

    Attributes
    ----------
    name : str
        Its name, with its folders, relative to where it is unpacked.
    size : int
        Its size [bytes].
    sha256 : str
        Its checksum, in hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BundleNote:
    """What a job is to do, and what it cannot find out by itself.

    Attributes
    ----------
    version : str
        Version of bkgpipe that wrote it.
    word : str
        What to make, one of `bkgpipe.batch.waves.WORDS`.
    chunks : tuple of int
        Chunks to make.
    folder : str
        Name of the folder of the products.
    fingerprints : dict of str to str
        Fingerprint of each stage, which follow from files that stay behind.
    revisions : dict of str to int
        Revision of the code of each stage.
    selected : str
        Digest of all selected runs of the store.
    files : tuple of FileNote
        All other files of the bundle.
    """

    version: str
    word: str
    chunks: tuple[int, ...]
    folder: str
    fingerprints: dict[str, str]
    revisions: dict[str, int]
    selected: str
    files: tuple[FileNote, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnswerNote:
    """What a job did.

    Attributes
    ----------
    version : str
        Version of bkgpipe that did the work.
    word : str
        What it was to make.
    chunks : tuple of int
        Chunks of it; empty when the bundle could not be read.
    folder : str
        Name of the folder of the products.
    host : str
        Name of the machine.
    code : int
        Exit code; 0 when all chunks were made.
    kind : str
        What kept it from its work: ``bundle``, ``version``, ``scratch``, ``failed``;
        empty when nothing did.
    reason : str
        The same as a sentence.
    seconds : float
        Time from its start to its end [s].
    files : tuple of FileNote
        Products.
    """

    version: str
    word: str
    chunks: tuple[int, ...]
    folder: str
    host: str
    code: int
    kind: str = ""
    reason: str = ""
    seconds: float = 0.0
    files: tuple[FileNote, ...] = field(default=())


def write_note(note: BundleNote | AnswerNote) -> bytes:
    """Write a note as JSON.

    Parameters
    ----------
    note : BundleNote or AnswerNote
        The note.

    Returns
    -------
    bytes
        Its text.
    """
    return json.dumps(asdict(note), indent=1).encode()


def read_note(text: bytes, kind: type[_Note]) -> _Note:
    """Read a note, and check the type of each of its values.

    Parameters
    ----------
    text : bytes
        JSON.
    kind : type
        Its class.

    Returns
    -------
    BundleNote or AnswerNote
        The note.

    Raises
    ------
    ValueError
        If it is something else.
    """
    found = json.loads(text)
    names = {each.name for each in fields(kind)}
    if not isinstance(found, dict) or set(found) != names:
        raise ValueError(f"it has not the fields {', '.join(sorted(names))}")
    files = tuple(_read_file(each) for each in _list(found["files"]))
    chunks = tuple(_take(int, each) for each in _list(found["chunks"]))
    plain = {
        name: _take(_KINDS.get(name, str), value)
        for name, value in found.items()
        if name not in {"files", "chunks"}
    }
    return kind(**plain, files=files, chunks=chunks)


_KINDS: dict[str, type] = {
    "code": int,
    "seconds": float,
    "fingerprints": dict,
    "revisions": dict,
}


def _read_file(found: Any) -> FileNote:
    given = _take(dict, found)
    return FileNote(
        name=_take(str, given.get("name")),
        size=_take(int, given.get("size")),
        sha256=_take(str, given.get("sha256")),
    )


def _list(found: Any) -> list[Any]:
    return list(_take(list, found))


def _take(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return value
