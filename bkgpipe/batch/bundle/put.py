"""Put what jobs made into the production that they were sent from."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from bkgpipe._version import __version__
from bkgpipe.batch.bundle.notes import AnswerNote
from bkgpipe.batch.bundle.pack import BUNDLED
from bkgpipe.batch.bundle.tar import unpack_tar
from bkgpipe.batch.waves import find_tasks, wave_folder
from bkgpipe.errors import BkgpipeError, TransferError
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.of_runs import OfRuns
from bkgpipe.product.chunk_file import read_identities
from bkgpipe.product.flush import make_folder
from bkgpipe.product.whole_file import write_file
from bkgpipe.settings import Settings
from bkgpipe.stages.table import list_chain

__all__ = ["PutResult", "put_answers"]

# What another try cannot mend
_LASTING = frozenset({"version", "settings"})


@dataclass(frozen=True, kw_only=True)
class PutResult:
    """What became of an answer.

    Attributes
    ----------
    path : Path
        The answer.
    word : str
        What the job was to make; empty when the answer does not tell.
    chunks : tuple of int
        Chunks of it.
    n_files : int
        Files that were put in place.
    kind : str
        Why it was refused: ``transfer``, ``version``, ``settings``, ``bundle``,
        ``scratch``, ``failed`` or ``outdated``; empty when it was taken.
    reason : str
        The same as a sentence.
    """

    path: Path
    word: str = ""
    chunks: tuple[int, ...] = ()
    n_files: int = 0
    kind: str = ""
    reason: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether the same job can be taken when it is sent again."""
        return bool(self.kind) and self.kind not in _LASTING


class _RefusedError(Exception):
    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def put_answers(settings: Settings, answers: Iterable[Path]) -> Iterator[PutResult]:
    """Verify answers, and put the products in them in place.

    Of an answer nothing is put in place unless all of it is as it was written; the file
    of a chunk, which says that the others are there, comes last. To put an answer twice
    does no harm.

    Parameters
    ----------
    settings : Settings
        Settings that the production keeps beside its products.
    answers : iterable of Path
        Files that jobs wrote.

    Yields
    ------
    PutResult
        What became of each, in order.

    Raises
    ------
    OSError
        If the folder of the production cannot be written.
    """
    for path in answers:
        # in the file system of the products, so that they need only be renamed
        make_folder(settings.data.output)
        with tempfile.TemporaryDirectory(
            prefix=".put-", dir=settings.data.output
        ) as folder:
            yield _put(settings, path, Path(folder))


def _put(settings: Settings, path: Path, folder: Path) -> PutResult:
    try:
        note = unpack_tar(path, folder, AnswerNote)
    except TransferError as error:
        return PutResult(path=path, kind="transfer", reason=str(error))
    found = PutResult(path=path, word=note.word, chunks=note.chunks)
    try:
        tasks = _require_ours(settings, note)
        targets = {name: _target(settings, name) for name in _order(note)}
        sources = {target: folder / name for name, target in targets.items()}
        _require_longer(tasks, sources)
        for target, source in sources.items():
            write_file(target, partial(shutil.copyfile, source))
        _require_whole(tasks, note)
    except _RefusedError as error:
        return replace(found, kind=error.kind, reason=f"{path}: {error}")
    return replace(found, n_files=len(targets))


def _require_ours(settings: Settings, note: AnswerNote) -> list[StageTask]:
    """Return the tasks that the answer is of."""
    if note.version != __version__:
        raise _RefusedError(
            "version",
            f"made by bkgpipe {note.version} on {note.host}, this is {__version__}: "
            "use the same version, or image, on both sides",
        )
    if note.kind and not note.files:
        raise _RefusedError(note.kind, f"{note.host} says: {note.reason}")
    ours = wave_folder(settings, note.word) if note.word in BUNDLED else "nothing"
    if note.folder != ours:
        raise _RefusedError(
            "settings",
            f"made for {note.folder}, but these settings write {ours}: name the "
            "settings that it was packed with",
        )
    tasks = find_tasks(note.word, settings.path)
    if not set(note.chunks) <= set(tasks):
        raise _RefusedError("outdated", "its runs are not selected any more")
    return [tasks[chunk] for chunk in note.chunks]


def _order(note: AnswerNote) -> list[str]:
    """Order files such that the one of a chunk comes after all that it stands for."""

    def key(name: str) -> tuple[bool, bool, str]:
        path = PurePosixPath(name)
        is_checkpoint = path.suffix == ".h5"
        return is_checkpoint, path.name.startswith(f"{note.word}_"), name

    return sorted((each.name for each in note.files), key=key)


def _target(settings: Settings, name: str) -> Path:
    first, *others = PurePosixPath(name).parts
    folders = {
        settings.folder(each.word).name: settings.folder(each.word)
        for each in list_chain(settings)
    }
    if first not in folders or not others:
        raise _RefusedError(
            "settings", f"{name} is no product of a stage with these settings"
        )
    return folders[first].joinpath(*others)


def _require_longer(tasks: Iterable[StageTask], sources: Mapping[Path, Path]) -> None:
    """Refuse counts that lack runs which others have put in place meanwhile."""
    for task in tasks:
        if not isinstance(task, OfRuns) or task.path not in sources:
            continue
        with suppress(BkgpipeError):  # one that cannot be read is made again
            lost = task.known().keys() - read_identities(sources[task.path]).keys()
            if lost:
                raise _RefusedError(
                    "outdated",
                    f"{task.path.name} has got {len(lost)} more runs since this was "
                    "packed: pack it again",
                )


def _require_whole(tasks: Iterable[StageTask], note: AnswerNote) -> None:
    for task in tasks:
        if task.complete():
            continue
        if note.kind:
            raise _RefusedError(note.kind, f"{note.host} says: {note.reason}")
        raise _RefusedError(
            "outdated",
            f"{Path(task.output().path).name} is {task.fault()}: runs or files of the "
            "production have changed since this was packed",
        )
