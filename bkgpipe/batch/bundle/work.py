"""What a job does that was sent a bundle."""

from __future__ import annotations

import logging
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bkgpipe._version import __version__
from bkgpipe.batch.bundle.notes import AnswerNote, BundleNote
from bkgpipe.batch.bundle.pack import CONFIG, OUTPUT, RUNS
from bkgpipe.batch.bundle.tar import unpack_tar, write_tar
from bkgpipe.batch.waves import find_tasks
from bkgpipe.batch.work import run_job
from bkgpipe.chain.inputs import preview
from bkgpipe.chain.kept import load_settings
from bkgpipe.errors import SettingsError, TransferError
from bkgpipe.settings import Settings
from bkgpipe.stages.select.files import read_runs_table
from bkgpipe.stages.table import STAGE_TABLE

__all__ = ["run_bundle"]

_log = logging.getLogger(__name__)

_NO_SCRATCH = 71  # EX_OSERR of sysexits.h
# What a production keeps beside its products
_LEFT_OUT = frozenset({"logs", "running", "settings"})


class _RefusedError(Exception):
    """Why a job does none of its work."""

    def __init__(self, kind: str, reason: str, *, code: int = 1) -> None:
        super().__init__(reason)
        self.kind, self.code = kind, code


def run_bundle(bundle: Path, answer: Path) -> int:
    """Do the work of a bundle in a folder of its own, and write what came of it.

    Settings, fingerprints and digests are those of the bundle. Whatever keeps the job
    from its work is in the answer as well.

    Parameters
    ----------
    bundle : Path
        What the job was sent.
    answer : Path
        File to write.

    Returns
    -------
    int
        0 when all chunks are made, 1 when not, 71 when the node gives no room to work.

    Raises
    ------
    OutputError
        If the answer cannot be written.
    """
    started = time.monotonic()
    note = AnswerNote(
        version=__version__,
        word="",
        chunks=(),
        folder="",
        host=platform.node(),
        code=0,
    )
    _log.info("bkgpipe %s on %s: %s", __version__, note.host, bundle)
    try:
        with _scratch() as folder:
            found = _unpack(bundle, folder)
            note = replace(
                note, word=found.word, chunks=found.chunks, folder=found.folder
            )
            note, files = _work(found, folder, note)
            note = replace(note, seconds=time.monotonic() - started)
            write_tar(answer, note, files)
    except _RefusedError as error:
        note = replace(note, code=error.code, kind=error.kind, reason=str(error))
        write_tar(answer, replace(note, seconds=time.monotonic() - started), {})
    if note.reason:
        _log.error("%s", note.reason)
    _log.info(
        "Answer with exit code %d after %.1f s: %s", note.code, note.seconds, answer
    )
    return note.code


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make a folder to work in, of which nothing is left."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="bkgpipe-"))
    except OSError as error:
        raise _no_room(error) from error
    try:
        yield folder
    except OSError as error:
        raise _no_room(error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _no_room(error: OSError) -> _RefusedError:
    return _RefusedError(
        "scratch",
        f"no room to work on {platform.node()} ({error}): set TMPDIR to a folder with "
        "free space",
        code=_NO_SCRATCH,
    )


def _unpack(bundle: Path, folder: Path) -> BundleNote:
    try:
        note = unpack_tar(bundle, folder, BundleNote)
    except TransferError as error:
        raise _RefusedError("bundle", str(error)) from error
    here = {stage.word: stage.revision for stage in STAGE_TABLE}
    others = [word for word in note.revisions if note.revisions[word] != here.get(word)]
    if note.version != __version__ or others:
        of_stages = f", with other revisions of {', '.join(others)}" * bool(others)
        raise _RefusedError(
            "version",
            f"the bundle is of bkgpipe {note.version}, this is {__version__}"
            f"{of_stages}: use the same version, or image, on both sides",
        )
    return note


def _work(
    note: BundleNote, folder: Path, answer: AnswerNote
) -> tuple[AnswerNote, dict[str, Path | bytes]]:
    """Make the chunks, and tell which files came new."""
    (folder / OUTPUT).mkdir(exist_ok=True)
    before = _list(folder / OUTPUT)
    settings = _read_settings(folder / CONFIG)
    settings.take_fingerprints(note.fingerprints)
    table = replace(read_runs_table(folder / RUNS), digest_selected=note.selected)
    _log.info("%s %s: %d runs", note.word, _words(note.chunks), len(table.runs))
    with preview(settings, table):
        run_job(settings, note.word, note.chunks)
        missing = _find_missing(settings, note)
    files: dict[str, Path | bytes] = {
        name: folder / OUTPUT / name
        for name, _ in _list(folder / OUTPUT).items() - before.items()
    }
    if missing:
        reason = f"not made: {note.word} {_words(missing)}; the lines above say why"
        answer = replace(answer, code=1, kind="failed", reason=reason)
    return answer, files


def _read_settings(path: Path) -> Settings:
    try:
        return load_settings(str(path))
    except SettingsError as error:
        raise _RefusedError(
            "version",
            f"settings of the bundle cannot be read by bkgpipe {__version__} here: use "
            f"the same version, or image, on both sides ({error})",
        ) from error


def _find_missing(settings: Settings, note: BundleNote) -> tuple[int, ...]:
    tasks = find_tasks(note.word, settings.path)
    return tuple(chunk for chunk in note.chunks if not tasks[chunk].complete())


def _words(chunks: tuple[int, ...]) -> str:
    return ", ".join(map(str, chunks))


def _list(folder: Path) -> dict[str, tuple[int, int]]:
    """List products by their names, with what tells that they were written anew."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in _LEFT_OUT
    }
