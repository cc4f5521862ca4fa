"""Write the models of a block of runs, and their events files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from bkgpipe._version import __version__
from bkgpipe.chain.listing import find_lost
from bkgpipe.chain.refusals import require
from bkgpipe.chain.runs import digest
from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.core.run import Run, RunTable
from bkgpipe.core.seal import Seal
from bkgpipe.errors import BkgpipeError, DamagedFileError, InputError
from bkgpipe.flow.base import UNKNOWN, ChunkTask, StageTask
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.flow.collect import collect
from bkgpipe.flow.count import Count
from bkgpipe.flow.group import MakeGroups
from bkgpipe.flow.nodes import SolveNodes
from bkgpipe.flow.smooth import smooth_class
from bkgpipe.product.chunk_file import read_checksums, read_refused
from bkgpipe.product.seal import seal_files
from bkgpipe.product.whole_file import write_part
from bkgpipe.settings import Settings
from bkgpipe.stages.count.files import COUNTS, read_tallies
from bkgpipe.stages.export.copy import copy_events, read_origin
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.export.events_background import events_background
from bkgpipe.stages.export.files import NODES, read_seals, write_entries
from bkgpipe.stages.export.gadf import Origin, write_bkg_2d, write_bkg_3d
from bkgpipe.stages.export.nodes import node_model_for_run
from bkgpipe.stages.export.norm import NORMS, apply_norm, low_norm
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.data import Group
from bkgpipe.stages.stack.files import read_groups
from bkgpipe.stages.stack.groups import find_group
from bkgpipe.store.store import read_events, require_store

__all__ = ["WRITERS", "AllExports", "Export", "find_origin"]

_log = logging.getLogger(__name__)

WRITERS = {"bkg_3d": write_bkg_3d, "bkg_2d": write_bkg_2d}


class Export(ChunkTask):
    """Write GADF files: reads nodes, writes the store and ``export_{chunk}.h5``."""

    stage = "export"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        if self.settings.in_groups:
            # a group without new runs keeps its model, and its runs theirs
            return f"{super().inputs()}{UNKNOWN}{self._group_models()}"
        return self.requires()["nodes"].inputs()

    def lost(self) -> str:
        """Tell which models and events files of this chunk are gone or cut."""
        return find_lost(self.folder, read_seals(self.path))

    def _group_models(self) -> str:
        """Digest of the models that the runs of this chunk take; empty before that."""
        groups, nodes = self.sibling(MakeGroups), self.sibling(SolveNodes, chunk=0)
        if groups.fault() or nodes.fault():
            return ""
        paths = Path(groups.output().path), nodes.path
        changed = tuple(path.stat().st_mtime_ns for path in paths)
        # a damaged one is set aside by the task that reads it
        with suppress(DamagedFileError):
            known, models = _read_group_models(*paths, changed)
            return digest(_find_model(run, known, models) for run in self.exported)
        return ""

    def requires(self) -> dict[str, StageTask]:
        in_groups = self.settings.in_groups
        chunk = 0 if in_groups else int(self.chunk)
        needed: dict[str, StageTask] = {
            "nodes": self.sibling(SolveNodes, chunk=chunk),
            "counts": self.sibling(Count),
        }
        if in_groups:
            needed["groups"] = self.sibling(MakeGroups)
        if self._has_norm:
            smooth = smooth_class(self.settings)
            needed["rates"] = self.sibling(smooth, chunk=chunk)
        return needed

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        runs = {run.obs_id: run for run in self.exported}
        models = self._read_models()
        normalise, n_outside = self._read_norms(), self._read_outside()
        header = self.header()

        def export(obs_id: int) -> ExportEntry:
            model = normalise(self._find_model(runs[obs_id], models))
            return self._export(runs[obs_id], model, n_outside[obs_id], header=header)

        refused = self._refusals(models)
        is_there = partial(require_store, self.settings.store)
        chunk = collect(runs, export, refused=refused, require=is_there, tell=self.tell)

        with self.output().temporary_path() as path:
            write_entries(Path(path), self.header(), chunk, seals=self._seal(chunk))

    def _find_model(self, run: Run, models: _Models) -> NodeModel:
        require(self.settings, run, stage="export")
        return models.make(run)

    def _seal(self, chunk: Chunk[ExportEntry]) -> list[Seal]:
        names = (name for entry in chunk.records.values() for name in entry.files)
        return seal_files(self.folder, names)

    def _refusals(self, models: _Models) -> dict[int, str]:
        # a run of which the events cannot be used gets no model of others either
        uncounted = read_refused(Path(self.input()["counts"].path))
        return models.refusals(self.exported) | uncounted

    def _read_models(self) -> _Models:
        nodes, groups = (self.input().get(name) for name in ("nodes", "groups"))
        return _Models(
            nodes=NODES.read(Path(nodes.path)),
            groups=read_groups(Path(groups.path)) if groups else (),
        )

    @property
    def _has_norm(self) -> bool:
        return self.settings.export.norm != "none" or self.settings.export.low_norm

    def _read_norms(self) -> Callable[[NodeModel], NodeModel]:
        """Read what the norms are made from; return what applies them."""
        export = self.settings.export
        counts = COUNTS.read(Path(self.input()["counts"].path)).records
        rates: Mapping[int, RateModel] = {}
        if self._has_norm:
            rates = MODELS.read(Path(self.input()["rates"].path)).records

        def normalise(model: NodeModel) -> NodeModel:
            run = counts[model.obs_id]
            model = replace(model, safe_energy=run.safe_energy_min or float("nan"))
            if not self._has_norm:
                return model
            where = {"min_offset": export.norm_min_offset}
            norm = NORMS[export.norm](rates[model.stack_id], run, **where)
            if export.low_norm:
                norm = low_norm(norm, rates[model.stack_id], run, **where)
            return apply_norm(model, norm)

        return normalise

    def _read_outside(self) -> dict[int, int]:
        """Read how many events of each run are outside good time."""
        tallies = read_tallies(Path(self.input()["counts"].path))
        return {key: each.conservation.n_outside_time for key, each in tallies.items()}

    def _export(
        self, run: Run, model: NodeModel, n_outside: int, *, header: ProductHeader
    ) -> ExportEntry:
        try:
            written = {word: self._write_model(word, model, header) for word in WRITERS}
            events = self._copy_events(run, n_outside, written["bkg_3d"])
        except BkgpipeError:  # a run that is refused leaves no model behind
            for name in ("models/bkg_3d", "models/bkg_2d", "data/run"):
                path = self.folder / "store" / f"{name}_{run.obs_id}.fits"
                path.unlink(missing_ok=True)
            raise
        return ExportEntry(
            obs_id=run.obs_id,
            stack_id=model.stack_id,
            bkg_3d=written["bkg_3d"],
            bkg_2d=written["bkg_2d"],
            events=events,
            n_runs=model.n_runs,
            hours=model.livetime / 3600,
            deadc=model.conditions.deadc,
            n_filled_3d=model.n_filled_3d,
            n_filled_2d=model.n_filled_2d,
        )

    def _write_model(self, word: str, model: NodeModel, header: ProductHeader) -> str:
        if word not in self.settings.export.format:
            return ""
        name = f"models/{word}_{model.obs_id}.fits"
        write = partial(
            WRITERS[word], model=model, header=header, origin=self._origin()
        )
        write_part(self.folder / "store" / name, write)
        return name

    def _origin(self) -> Origin:
        return find_origin(self.settings, self.table)

    def _copy_events(self, run: Run, n_outside: int, bkg_3d: str) -> str:
        if self.settings.export.store != "full":
            _warn_of_events(run, n_outside)
            return ""
        store, name = self.settings.store, f"data/run_{run.obs_id}.fits"
        is_kept = read_events(store, run)[0].is_in_good_time if n_outside else None
        model = events_background(self.folder / "store" / bkg_3d) if bkg_3d else b""
        copy = partial(
            copy_events,
            store,
            run=run,
            creator=f"bkgpipe {__version__}",
            is_kept=is_kept,
            background=model,
        )
        write_part(self.folder / "store" / name, copy)
        return name


def _warn_of_events(run: Run, n_outside: int) -> None:
    if n_outside:
        _log.warning(
            "Run %d: %d event(s) outside good time are not in its counts, but in the "
            "file that the index names, and gammapy does not leave them out: set "
            "[export] store = full",
            run.obs_id,
            n_outside,
        )


@lru_cache(maxsize=2)
def _read_group_models(
    groups: Path, nodes: Path, _changed: tuple[int, ...]
) -> tuple[tuple[Group, ...], dict[int, str]]:
    """Read the groups, and the checksum of each group's model or why it has none."""
    return read_groups(groups), read_refused(nodes) | read_checksums(nodes)


def _find_model(run: Run, groups: tuple[Group, ...], models: dict[int, str]) -> str:
    """Checksum of the model that a run takes, or why it gets none."""
    try:
        return models.get(find_group(run, groups).group_id, "")
    except BkgpipeError as error:
        return str(error)


@dataclass(frozen=True, kw_only=True)
class _Models:
    """Makes the model of a run from that of its group, or the one with its number."""

    nodes: Chunk[NodeModel]
    groups: tuple[Group, ...]

    def make(self, run: Run) -> NodeModel:
        number = self._number(run)
        if number in self.nodes.records:
            return node_model_for_run(self.nodes.records[number], run)
        raise InputError(
            what="has no stack to take a model from",
            where=f"run {run.obs_id}",
            fix="Leave the run out of [export] obs_ids",
        )

    def refusals(self, runs: Iterable[Run]) -> dict[int, str]:
        """Return why runs get no model, in the words of the stage that refused it."""
        found = {}
        for run in runs:
            # a run without a group is told so when its model is looked for
            with suppress(BkgpipeError):
                found[run.obs_id] = self.nodes.refused.get(self._number(run), "")
        return {obs_id: reason for obs_id, reason in found.items() if reason}

    def _number(self, run: Run) -> int:
        return find_group(run, self.groups).group_id if self.groups else run.obs_id


def find_origin(settings: Settings, table: RunTable) -> Origin:
    """Tell which instrument the events come from, by the first run that can be read.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        Runs of the store.

    Returns
    -------
    Origin
        Telescope, instrument and organisation; unknown if no run can be read.
    """
    return _find_origin(settings.store, table)


@lru_cache(maxsize=2)
def _find_origin(store: Path, table: RunTable) -> Origin:
    for run in table.exported:
        try:
            return read_origin(store, run)
        except InputError as error:
            require_store(store)
            _log.debug("No origin from run %d: %s", run.obs_id, error)
    return Origin()


class AllExports(AllChunks):
    """Every chunk of `Export`."""

    stage = "export"
    stage_class = Export
    only_exported = True
