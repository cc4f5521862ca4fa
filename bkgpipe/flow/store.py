"""Put the index, the tables and the models of the groups around exported files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bkgpipe.chain.listing import find_lost
from bkgpipe.chain.record import read_marked_files, read_record_header, write_marker
from bkgpipe.chain.runs import digest
from bkgpipe.chain.summary import read_export_entries
from bkgpipe.errors import NoRunsError
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.flow.export import WRITERS, AllExports, find_origin
from bkgpipe.flow.group import MakeGroups
from bkgpipe.flow.smooth import AllSmooths
from bkgpipe.flow.stack import AllStacks
from bkgpipe.product.seal import seal_files
from bkgpipe.product.whole_file import write_file
from bkgpipe.settings import Settings
from bkgpipe.stages.export.copy import write_hdu_index
from bkgpipe.stages.export.cubes import write_image, write_table
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.export.files import NODES
from bkgpipe.stages.export.gadf import Origin
from bkgpipe.stages.export.tables import (
    write_grouped_observation_table,
    write_groups_table,
    write_observation_table,
)
from bkgpipe.stages.smooth.data import NodeModel
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import STACKS, read_groups

__all__ = ["MakeStore"]

# What there is for all strategies
_TABLES = (
    "bg_observation_table.fits.gz",
    "store/hdu-index.fits.gz",
    "store/obs-index.fits.gz",
)

_log = logging.getLogger(__name__)


class MakeStore(StageTask):
    """Index the new store: reads what was exported, writes indexes and tables.

    ``store.json``, written last, tells that the store is complete: it has the seals of
    these files, the chunks of `Export` those of models and events.
    """

    stage = "export"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        if not self._points_elsewhere():
            return super().inputs()
        # the index names files of the original store by the way to them
        source, store = self.settings.store.resolve(), self.folder.resolve() / "store"
        return digest([super().inputs(), os.path.relpath(source, store)])

    def _points_elsewhere(self) -> bool:
        is_index = self.settings.export.store == "index"
        return is_index or any(run.aeff_file for run in self.table.exported)

    def requires(self) -> list[StageTask]:
        exports = self.sibling(AllExports)
        if not self.settings.in_groups:
            return [exports]
        stacks, smooths = self.sibling(AllStacks), self.sibling(AllSmooths)
        return [exports, self.sibling(MakeGroups), stacks, smooths]

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "store.json",
            inputs=self.inputs,
            read_header=read_record_header,
        )

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        entries = read_export_entries(self.settings)

        _require_entries(entries, self.settings)
        _warn_of_mirroring(self.settings, find_origin(self.settings, self.table))

        _write_index(self.settings, entries)
        _write_observation_tables(self.settings, entries)
        names = [*_TABLES, *self._write_groups()]
        of_runs = [name for entry in entries for name in entry.files]
        _remove_withdrawn(self.folder, {*names, *of_runs})
        seals = seal_files(self.folder, names)
        write = partial(write_marker, header=self.header(), files=seals)
        write_file(Path(self.output().path), write)

    def lost(self) -> str:
        """Tell which indexes, tables and models of groups are gone or cut."""
        return find_lost(self.folder, read_marked_files(Path(self.output().path)))

    def lost_before(self) -> str:
        """Tell which models and events files of runs are gone, or their checkpoints."""
        return self.sibling(AllExports).gone()

    def _write_groups(self) -> list[str]:
        """Write models, images and tables of groups, if any; return their names."""
        if not self.settings.in_groups:
            return []
        stage, source = self.settings.folder, self.settings.store
        groups = read_groups(stage("stack") / "groups.ecsv")
        stacks = STACKS.read(stage("stack") / "stack_0.h5").records
        rates = MODELS.read(stage("smooth") / "smooth_0.h5").records
        nodes = NODES.read(self.folder / "nodes_0.h5").records
        write: dict[str, Callable[[Path], None]] = {}
        for number, model in nodes.items():
            write |= self._model_writers(model)
            write[f"groups/bkg_3d_group_{number}_image.fits.gz"] = partial(
                write_image, model=model
            )
            write[f"groups/group_{number}_table.fits.gz"] = partial(
                write_table, stack=stacks[number], model=rates[number]
            )
        write["bg_observation_groups.ecsv"] = partial(write_groups_table, groups=groups)
        write["bg_observation_table_grouped.fits.gz"] = partial(
            write_grouped_observation_table, source=source, groups=groups
        )
        for name, writer in write.items():
            write_file(self.folder / name, writer)
        return list(write)

    def _model_writers(self, model: NodeModel) -> dict[str, Callable[[Path], None]]:
        origin = find_origin(self.settings, self.table)
        return {
            f"groups/{word}_group_{model.stack_id}.fits": partial(
                WRITERS[word], model=model, header=self.header(), origin=origin
            )
            for word in self.settings.export.format
        }


def _remove_withdrawn(folder: Path, known: set[str]) -> None:
    """Remove models and events of runs, and models of groups, that are no more."""
    for place in ("store/models", "store/data", "groups"):
        for path in (folder / place).glob("[bgr]*_[0-9]*.fits*"):
            if f"{place}/{path.name}" not in known:
                path.unlink(missing_ok=True)


def _require_entries(entries: list[ExportEntry], settings: Settings) -> None:
    if not entries:
        raise NoRunsError(
            what="no run got a model",
            where=str(settings.folder("export")),
            fix="See bkgpipe status for the reason of each run",
        )


def _warn_of_mirroring(settings: Settings, origin: Origin) -> None:
    if settings.export.store == "index" and origin.is_mirrored:
        _log.warning(
            "gammapy mirrors the background of these events in longitude, whatever the "
            "model says: read the models themselves, or set [export] store = full"
        )


def _write_index(settings: Settings, entries: list[ExportEntry]) -> None:
    store = settings.folder("export") / "store"
    write_file(
        store / "hdu-index.fits.gz",
        partial(
            write_hdu_index,
            source=settings.store,
            store=store,
            entries=entries,
            model_class=settings.export.format[0],
        ),
    )


def _write_observation_tables(settings: Settings, entries: list[ExportEntry]) -> None:
    folder = settings.folder("export")
    obs_ids = [entry.obs_id for entry in entries]
    write = partial(write_observation_table, source=settings.store, obs_ids=obs_ids)
    write_file(folder / "store" / "obs-index.fits.gz", write)
    write_file(folder / "bg_observation_table.fits.gz", write)
