"""Pack what jobs need, so that they see nothing of the store and the production."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from luigi.task import flatten

from bkgpipe._version import __version__
from bkgpipe.batch.bundle.notes import BundleNote
from bkgpipe.batch.bundle.tar import write_tar
from bkgpipe.batch.waves import find_tasks, list_waves, wave_folder
from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.runs import digest_selected, index_runs
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run, RunTable
from bkgpipe.core.sums import sum_file
from bkgpipe.errors import InputError, SettingsError
from bkgpipe.flow.base import ChunkTask, StageTask
from bkgpipe.flow.count import AllCounts, Count
from bkgpipe.flow.engine.build import build
from bkgpipe.flow.mask import Mask
from bkgpipe.flow.of_runs import OfRuns
from bkgpipe.flow.rank import Rank
from bkgpipe.flow.select import Select
from bkgpipe.flow.stack import StackRanked
from bkgpipe.settings import Settings, settings_text
from bkgpipe.stages.rank.files import RANKINGS
from bkgpipe.stages.select.files import write_runs
from bkgpipe.stages.table import has_stage, list_chain

__all__ = [
    "BUNDLED",
    "CONFIG",
    "OUTPUT",
    "RUNS",
    "STORE",
    "Bundle",
    "find_open",
    "is_bundled",
    "pack_chunks",
]

BUNDLED = ("count", "rank", "stack", "smooth", "export")
"""What can be made of single chunks alone."""

CONFIG, RUNS, OUTPUT, STORE = "settings.cfg", "runs.ecsv", "out", "store"
"""Names in a bundle: settings, table of runs, products, events files."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """All that a job needs, in one file.

    Attributes
    ----------
    path : Path
        The tar file.
    size : int
        Its size [bytes].
    sha256 : str
        Its checksum, in hexadecimal digits.
    word : str
        What the job makes.
    chunks : tuple of int
        Chunks of it.
    """

    path: Path
    size: int
    sha256: str
    word: str
    chunks: tuple[int, ...]


def find_open(settings: Settings, word: str, chunks: Iterable[int]) -> list[int]:
    """Tell which chunks are still to be made.

    Parameters
    ----------
    settings : Settings
        Settings that the production keeps beside its products, of which the runs are
        selected.
    word : str
        What to make, one of `BUNDLED`.
    chunks : iterable of int
        Chunks.

    Returns
    -------
    list of int
        Those that are not there, in order.

    Raises
    ------
    SettingsError
        If this cannot be made in a job, or there is no such chunk.
    """
    _require_bundled(settings, word)
    tasks = find_tasks(word, settings.path)
    wanted = sorted(set(chunks))
    _require_known(settings, word, wanted, tasks)
    return [chunk for chunk in wanted if not tasks[chunk].complete()]


def pack_chunks(
    settings: Settings, word: str, jobs: Iterable[Sequence[int]], *, folder: Path
) -> Iterator[Bundle]:
    """Pack what the chunks of each job need into one tar file.

    Masks, and what is made of all runs at once, as a fit, are made first.

    Parameters
    ----------
    settings : Settings
        Settings that the production keeps beside its products, of which the runs are
        selected.
    word : str
        What to make, one of `BUNDLED`.
    jobs : iterable of sequence of int
        Chunks of each job, as `find_open` lists them.
    folder : Path
        Where the files go, as ``count_20.tar``.

    Yields
    ------
    Bundle
        Each file, as soon as it is written.

    Raises
    ------
    InputError
        If an earlier stage is not done, or a file of a run lies outside of the store.
    OutputError
        If a file cannot be written.
    """
    tasks = find_tasks(word, settings.path)
    packer = _Packer(
        settings=settings, word=word, earlier=_earlier_tasks(settings, word)
    )
    for chunks in jobs:
        yield packer.pack({chunk: tasks[chunk] for chunk in chunks}, folder=folder)


def is_bundled(settings: Settings, word: str) -> bool:
    """Tell whether something can be made in jobs that see a part of the runs.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    word : str
        What to make, one of `bkgpipe.batch.waves.WORDS`.

    Returns
    -------
    bool
        False for what is made of all runs at once.
    """
    is_whole = settings.in_groups and word in {"stack", "smooth"}
    return word in BUNDLED and not is_whole


def _require_bundled(settings: Settings, word: str) -> None:
    if not is_bundled(settings, word):
        raise SettingsError(
            what=f"{word} is made of all runs at once, not in jobs of chunks",
            where="pack",
            fix=f"Make it where the production is: bkgpipe run {word}",
        )


def _require_known(
    settings: Settings, word: str, chunks: Sequence[int], tasks: Mapping[int, StageTask]
) -> None:
    unknown = [chunk for chunk in chunks if chunk not in tasks]
    if unknown:
        raise SettingsError(
            what=f"no chunk {', '.join(map(str, unknown))} of {word}; there are "
            f"{', '.join(map(str, sorted(tasks)[:10])) or 'none'}",
            where=str(settings.path),
            fix="Name other chunks, or select runs first: bkgpipe run select",
        )


def _earlier_tasks(settings: Settings, word: str) -> dict[str, str]:
    """List the tasks of all waves before that of a word, and the word of each."""
    waves = list_waves(settings, None)
    before = waves[: waves.index(word)] if word in waves else waves[:-1]
    return {
        task.task_id: each
        for each in before
        for task in find_tasks(each, settings.path).values()
    }


@dataclass(frozen=True, kw_only=True)
class _Packer:
    """Finds what the chunks of one bundle need."""

    settings: Settings
    word: str
    earlier: dict[str, str]

    def pack(self, tasks: Mapping[int, StageTask], *, folder: Path) -> Bundle:
        """Write the bundle of some chunks."""
        runs = [run for task in tasks.values() for run in self._runs(task)]
        products = {path for task in tasks.values() for path in self._products(task)}
        files: dict[str, Path | bytes] = {
            f"{OUTPUT}/{path.parent.name}/{path.name}": path for path in products
        }
        for task in tasks.values():
            files |= self._inputs(task)
        files |= {CONFIG: self._settings_text(), RUNS: self._runs_text(runs)}
        # nobody reads an index in a job, but where there is none a store is gone
        files |= {f"{STORE}/{name}-index.fits": b"" for name in ("obs", "hdu")}
        first, last = min(tasks), max(tasks)
        name = f"{self.word}_{first}" + (f"-{last}" if last > first else "")
        path = folder / f"{name}.tar"
        write_tar(path, self._note(tuple(tasks)), files)
        return Bundle(
            path=path,
            size=path.stat().st_size,
            sha256=sum_file(path),
            word=self.word,
            chunks=tuple(tasks),
        )

    def _products(self, task: StageTask) -> Iterator[Path]:
        """Find the products that the job reads, and make masks that are missing."""
        if isinstance(task, OfRuns) and task.path.exists():  # it is made longer
            yield task.path
        for each in flatten(task.requires()):
            if isinstance(each, AllCounts) and isinstance(task, StackRanked):
                yield from self._counts_of_taken(task)
            elif isinstance(each, Select):
                continue
            elif each.complete():
                yield Path(each.output().path)
            else:
                yield from self._unmade(each)

    def _unmade(self, task: StageTask) -> Iterator[Path]:
        """Make what is made here; let the job make what belongs to its own wave."""
        path = Path(task.output().path)
        if self._is_made_here(task):
            build(task, self.settings)
        if task.complete():
            yield path
        elif isinstance(task, Mask) or task.task_id in self.earlier:
            raise InputError(
                what=f"{path.name} is not there, which {self.word} is made from",
                where=str(path.parent),
                fix="Make it first, with bkgpipe run or other jobs",
            )
        else:
            yield from self._products(task)

    def _is_made_here(self, task: StageTask) -> bool:
        if isinstance(task, Mask):
            return True
        is_at_once = self.earlier.get(task.task_id, "count") not in BUNDLED
        return is_at_once and task.sibling(AllCounts).complete()

    def _runs(self, task: StageTask) -> Iterator[Run]:
        """Find the runs that the job knows of: its own, and those that they take."""
        if isinstance(task, Rank):  # any may be a candidate
            yield from task.table.used
        elif isinstance(task, ChunkTask):
            yield from task.used
            if has_stage(self.settings, "rank") and not isinstance(task, Count):
                runs = index_runs(task.table)
                yield from (runs[number] for number in _taken(task))

    def _counts_of_taken(self, task: StackRanked) -> Iterator[Path]:
        size = self.settings.data.chunk_size
        for chunk in {int(task.chunk), *(number // size for number in _taken(task))}:
            yield task.sibling(Count, chunk=chunk).path

    def _inputs(self, task: StageTask) -> dict[str, Path | bytes]:
        """Find the files of the store that the job reads."""
        if isinstance(task, Count):
            runs: Sequence[Run] = list(task.missing(task.known()).values())
        elif task.stage == "export" and self.settings.export.store == "full":
            runs = _exported(task)
        else:  # one tells the instrument
            runs = _exported(task)[:1] if task.stage == "export" else ()
        names = {
            name
            for run in runs
            for name in (run.events_file, run.gti_file, run.aeff_file)
            if name
        }
        found = {name: self.settings.store / name for name in sorted(names)}
        for name in found:
            _require_inside(name, where=str(self.settings.store))
        # of one that is not there, the job says the same as anybody
        return {
            f"{STORE}/{name}": path for name, path in found.items() if path.is_file()
        }

    def _settings_text(self) -> bytes:
        """Write the settings for a place where there is nothing but the bundle."""
        given = self.settings
        data = replace(
            given.data,
            store=Path(STORE),
            output=Path(OUTPUT),
            counts=None,
            allow=(),
            gammapy_data=None,
        )
        mask = replace(given.mask, catalogs=(), regions=(), masks=())
        run = given.run.without_scheduler()
        return settings_text(replace(given, data=data, mask=mask, run=run)).encode()

    def _runs_text(self, runs: Iterable[Run]) -> bytes:
        table = RunTable(runs=tuple(sorted(set(runs), key=lambda run: run.obs_id)))
        header = ProductHeader(
            stage="select",
            fingerprint=self.settings.fingerprint("select"),
            inputs="",
            seconds=0.0,
            version=__version__,
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / RUNS
            write_runs(path, header, table)
            return path.read_bytes()

    def _note(self, chunks: tuple[int, ...]) -> BundleNote:
        settings = self.settings
        chain = list_chain(settings)
        return BundleNote(
            version=__version__,
            word=self.word,
            chunks=chunks,
            folder=wave_folder(settings, self.word),
            fingerprints={each.word: settings.fingerprint(each.word) for each in chain},
            revisions={each.word: each.revision for each in chain},
            selected=digest_selected(load_table(settings)),
        )


def _taken(task: ChunkTask) -> set[int]:
    """List the runs that are taken for the targets of a chunk."""
    rankings = RANKINGS.read(task.sibling(Rank).path).records.values()
    return {number for ranking in rankings for number in ranking.scales}


def _exported(task: StageTask) -> tuple[Run, ...]:
    return task.exported if isinstance(task, ChunkTask) else ()


def _require_inside(name: str, *, where: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(
            what=f"{name} lies outside of the store, whose files alone can be sent",
            where=where,
            fix="Copy the file into the store, or link it there, and name it so in the "
            "index",
        )
