"""Make the exclusion masks of a block of runs."""

from __future__ import annotations

from bkgpipe.chain.refusals import require
from bkgpipe.core.product import Chunk
from bkgpipe.core.run import Run
from bkgpipe.errors import PassingError
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.flow.collect import collect
from bkgpipe.flow.exclusion import read_exclusion_regions
from bkgpipe.flow.of_runs import OfRuns
from bkgpipe.flow.select import Select
from bkgpipe.stages.mask.data import ExclusionMask, ExclusionRegion
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.mask.pixels import make_exclusion_mask

__all__ = ["AllMasks", "Mask"]


class Mask(OfRuns):
    """Mask runs: reads catalogues, regions and masks, writes ``mask_{chunk}.h5``."""

    stage = "mask"
    file = MASKS

    def requires(self) -> Select:
        return self.sibling(Select)

    def make(
        self, runs: dict[int, Run], *, later: list[PassingError]
    ) -> Chunk[ExclusionMask]:
        """Make the masks of some runs.

        Parameters
        ----------
        runs : dict of int to Run
            The runs, by their numbers.
        later : list of PassingError
            Is given why some of them cannot be made at the moment.

        Returns
        -------
        Chunk
            Masks, and reasons where there are none.
        """
        regions = read_exclusion_regions(self.settings)

        def mask(obs_id: int) -> ExclusionMask:
            return self._make_mask(runs[obs_id], regions)

        return collect(runs, mask, refused={}, tell=self.tell, later=later)

    def _make_mask(
        self, run: Run, regions: tuple[ExclusionRegion, ...]
    ) -> ExclusionMask:
        require(self.settings, run, stage="mask")
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
