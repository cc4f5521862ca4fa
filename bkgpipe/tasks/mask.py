"""Make the exclusion masks of a block of runs."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import ExclusionMask, ExclusionRegion, Run
from bkgpipe.io.mask import write_masks
from bkgpipe.numerics.mask import make_exclusion_mask
from bkgpipe.tasks.base import ChunkTask
from bkgpipe.tasks.chunks import AllChunks
from bkgpipe.tasks.collect import collect
from bkgpipe.tasks.exclusion import read_exclusion_regions
from bkgpipe.tasks.select import Select

__all__ = ["AllMasks", "Mask"]


class Mask(ChunkTask):
    """Mask runs: reads catalogues, regions and masks, writes ``mask_{chunk}.h5``."""

    stage = "mask"

    def requires(self) -> Select:
        return self.sibling(Select)

    def run(self) -> None:
        runs = {run.obs_id: run for run in self.used}
        regions = read_exclusion_regions(self.settings)

        def mask(obs_id: int) -> ExclusionMask:
            return self._make_mask(runs[obs_id], regions)

        chunk = collect(runs, mask, refused={}, tell=self.tell)

        with self.output().temporary_path() as path:
            write_masks(Path(path), self.header(), chunk)

    def _make_mask(
        self, run: Run, regions: tuple[ExclusionRegion, ...]
    ) -> ExclusionMask:
        return make_exclusion_mask(
            run,
            regions,
            nside=self.settings.mask.nside,
            search_radius=self.settings.mask.search_radius,
        )


class AllMasks(AllChunks):
    """Every chunk of `Mask`."""

    stage = "mask"
    stage_class = Mask
