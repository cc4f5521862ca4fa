"""Put all runs on the sky, and look for what is not background."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from bkgpipe.chain.listing import find_lost
from bkgpipe.chain.record import read_marked_files, read_record_header, write_marker
from bkgpipe.chain.refusals import read_usable
from bkgpipe.core.run import Run, RunTable
from bkgpipe.errors import NoRunsError
from bkgpipe.flow.base import ChunkTask, StageTask
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.flow.collect import collect
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.flow.exclusion import read_exclusion_regions
from bkgpipe.flow.export import Export
from bkgpipe.flow.mask import Mask
from bkgpipe.flow.store import MakeStore
from bkgpipe.product.chunk_file import read_checksums
from bkgpipe.product.seal import seal_files
from bkgpipe.product.whole_file import write_file
from bkgpipe.settings import Settings
from bkgpipe.stages.export.files import ENTRIES
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.sky.bands import make_bands
from bkgpipe.stages.sky.data import Field, FieldMaps, HotSpot, Reach, RunSky, SkySum
from bkgpipe.stages.sky.fields import make_fields, runs_near
from bkgpipe.stages.sky.files import (
    RUN_SKIES,
    read_fields,
    read_hot_spots,
    read_model,
    write_fields,
    write_hot_spots,
    write_reaches,
)
from bkgpipe.stages.sky.find import distinct, farthest, find_hot_spots, find_reaches
from bkgpipe.stages.sky.images import write_archive, write_field
from bkgpipe.stages.sky.maps import make_field_maps
from bkgpipe.stages.sky.predict import make_run_sky
from bkgpipe.stages.sky.significance import least_significance
from bkgpipe.stages.sky.summary import FieldSummary, judge_hot_spots, summarise
from bkgpipe.stages.sky.sums import Adder, cover
from bkgpipe.store.store import require_store

__all__ = ["AllSkies", "MakeSky", "Sky", "read_sky"]

_ARCHIVE, _FIELDS = "archive.hpx.fits.gz", "fields.ecsv"
_HOT_SPOTS, _REACHES = "hot_spots.ecsv", "circles.ecsv"
_MARKER = "sky.json"
_NAMES = (_ARCHIVE, _FIELDS, _HOT_SPOTS, _REACHES)


class Sky(ChunkTask):
    """Put runs on the sky: reads events and models, writes ``sky_{chunk}.h5``."""

    stage = "sky"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return self.sibling(Export).inputs()

    def requires(self) -> dict[str, StageTask]:
        return {"export": self.sibling(Export), "mask": self.sibling(Mask)}

    def run(self) -> None:
        entries = ENTRIES.read(Path(self.input()["export"].path))
        masks = MASKS.read(Path(self.input()["mask"].path)).records
        runs = {run.obs_id: run for run in self.exported}

        def make(obs_id: int) -> RunSky:
            return self._make(runs[obs_id], masks[obs_id])

        is_there = partial(require_store, self.settings.store)
        numbers, refused = [*entries.records, *entries.refused], entries.refused
        chunk = collect(
            numbers, make, refused=refused, require=is_there, tell=self.tell
        )

        with self.output().temporary_path() as path:
            RUN_SKIES.write(Path(path), self.header(), chunk)

    def _make(self, run: Run, mask: ExclusionMask) -> RunSky:
        settings, word = self.settings, self.settings.export.format[0]
        found = read_usable(settings, run)
        file = settings.folder("export") / f"store/models/{word}_{run.obs_id}.fits"
        model = read_model(file, word=word)
        low, high = model.energy_range
        safe_range = max(low, found.safe_energy[0]), high
        return make_run_sky(
            run,
            found.events,
            mask,
            model,
            binning=settings.binning.axes,
            nside=settings.sky.nside,
            bands=(band_edges(settings), safe_range),
            has_norm=settings.sky.norm == "run",
        )


def band_edges(settings: Settings) -> np.ndarray:
    """Return the edges of the energy bands of a production.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    np.ndarray
        Edges, shape ``(n_band + 1,)`` [TeV].
    """
    asked = np.array(settings.sky.energy_edges)
    return asked if asked.size else make_bands(settings.binning.axes.energy_edges)


class AllSkies(AllChunks):
    """Every chunk of `Sky`."""

    stage = "sky"
    stage_class = Sky
    only_exported = True


class MakeSky(StageTask):
    """Add up what was put on the sky: writes maps of fields and archive, and tables.

    ``sky.json``, written last, tells that they are complete.
    """

    stage = "sky"

    def requires(self) -> list[StageTask]:
        return [self.sibling(AllSkies), self.sibling(MakeStore)]

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / _MARKER,
            inputs=self.inputs,
            read_header=read_record_header,
        )

    def lost(self) -> str:
        """Tell which maps and tables are gone or cut."""
        return find_lost(self.folder, read_marked_files(Path(self.output().path)))

    def lost_before(self) -> str:
        """Tell which chunks are gone."""
        return self.sibling(AllSkies).gone()

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        runs = _Runs(self.settings, self.table, self.sibling(AllSkies).chunks())

        fields = {field: self._make_field(field, runs) for field in runs.fields()}
        finds = self._search(fields, runs)

        write_file(self.folder / _ARCHIVE, partial(write_archive, total=runs.total()))
        self._write_tables([*fields.values()], finds)
        self._finish((*_NAMES, *(summary.file for summary in fields.values())))

    def _write_tables(self, summaries: Sequence[FieldSummary], finds: _Finds) -> None:
        header = self.header()
        write = {
            _FIELDS: partial(write_fields, header=header, summaries=summaries),
            _HOT_SPOTS: partial(write_hot_spots, header=header, spots=finds.spots),
            _REACHES: partial(write_reaches, header=header, reaches=finds.reaches),
        }
        for name, writer in write.items():
            write_file(self.folder / name, writer)

    def _finish(self, names: Sequence[str]) -> None:
        seals = seal_files(self.folder, names)
        write = partial(write_marker, header=self.header(), files=seals)
        write_file(Path(self.output().path), write)
        _remove_withdrawn(self.folder, set(names))

    def _make_field(self, field: Field, runs: _Runs) -> FieldSummary:
        maps, name = self._make_maps(field, runs), f"field_{field.number}.fits.gz"
        write_file(self.folder / name, partial(write_field, maps=maps))
        return summarise(
            maps,
            list(runs.read(field.obs_ids)),
            offset_max=self.settings.binning.offset_max,
            file=name,
        )

    def _make_maps(self, field: Field, runs: _Runs) -> FieldMaps:
        offset_max = self.settings.binning.offset_max
        return make_field_maps(
            field,
            list(runs.read(runs_near(field, runs.runs, offset_max=offset_max))),
            pixel=self.settings.sky.pixel,
            offset_max=offset_max,
            radii=self.settings.sky.radii,
        )

    def _search(self, fields: Mapping[Field, FieldSummary], runs: _Runs) -> _Finds:
        sky, circles = self.settings.sky, _circles(self.settings)
        trials = sum(summary.trials for summary in fields.values())
        threshold = least_significance(sky.false_alarms, trials)
        limits = {
            "max_radius": sky.max_radius,
            "offset_max": self.settings.binning.offset_max,
        }
        spots, reaches = list[HotSpot](), list[Reach]()
        for field, summary in fields.items():
            if summary.peak >= threshold:
                maps = self._make_maps(field, runs)
                spots += find_hot_spots(maps, threshold=threshold, **limits)
                reaches += find_reaches(maps, circles, **limits)
        regions = read_exclusion_regions(self.settings)
        return _Finds(
            spots=judge_hot_spots(distinct(spots), regions, trials=trials),
            reaches=farthest([*circles, *reaches]),
        )


@dataclass(frozen=True, kw_only=True)
class _Finds:
    """What was found in all fields."""

    spots: list[HotSpot]
    reaches: list[Reach]


def _circles(settings: Settings) -> list[Reach]:
    """Discs of the settings, as long as no ring around them has an excess."""
    return [
        Reach(
            name=circle.name,
            ra=circle.ra,
            dec=circle.dec,
            radius=circle.radius,
            reach=circle.radius,
        )
        for circle in settings.mask.circles
    ]


class _Runs:
    """Runs on the sky, read when they are needed."""

    def __init__(
        self, settings: Settings, table: RunTable, chunks: Iterable[ChunkTask]
    ) -> None:
        self._settings = settings
        self._files = {
            obs_id: task.path for task in chunks for obs_id in read_checksums(task.path)
        }
        self.runs = [run for run in table.exported if run.obs_id in self._files]
        if not self.runs:
            raise NoRunsError(
                what="no run was put on the sky",
                where=str(settings.folder("sky")),
                fix="See bkgpipe status for the reason of each run",
            )

    def fields(self) -> tuple[Field, ...]:
        """Group the runs by where they pointed."""
        return make_fields(self.runs, offset_max=self._settings.binning.offset_max)

    def read(self, obs_ids: Iterable[int]) -> Iterator[RunSky]:
        """Read runs, those of one file together."""
        for path, numbers in groupby(obs_ids, key=self._files.__getitem__):
            yield from RUN_SKIES.read(path, keys=list(numbers)).records.values()

    def total(self) -> SkySum:
        """Add up all runs, one after the other."""
        nside, numbers = self._settings.sky.nside, [run.obs_id for run in self.runs]
        adder = Adder(
            nside, band_edges(self._settings), cover(nside, self._pixels(numbers))
        )
        for run in self.read(numbers):
            adder.add(run)
        return adder.total()

    def _pixels(self, obs_ids: Iterable[int]) -> Iterator[np.ndarray]:
        for path, numbers in groupby(obs_ids, key=self._files.__getitem__):
            found = RUN_SKIES.read_fields(path, ["pixels"], keys=list(numbers))
            yield from (each["pixels"] for each in found.records.values())


def _remove_withdrawn(folder: Path, known: set[str]) -> None:
    """Remove the maps of fields that are no more."""
    for path in folder.glob("field_*.fits.gz"):
        if path.name not in known:
            path.unlink(missing_ok=True)


def read_sky(
    settings: Settings,
) -> tuple[tuple[FieldSummary, ...], tuple[HotSpot, ...]]:
    """Read what the maps of the sky show, if there are any.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    tuple
        Fields and hot spots; nothing as long as there are no maps.

    Raises
    ------
    DamagedFileError
        If a table is not what was written.
    """
    folder = settings.folder("sky")
    if not (folder / _MARKER).exists():
        return (), ()
    return read_fields(folder / _FIELDS), read_hot_spots(folder / _HOT_SPOTS)
