"""Count the events of a block of runs."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from bkgpipe.chain.refusals import read_usable
from bkgpipe.chain.runs import digest_selected
from bkgpipe.core.product import Chunk
from bkgpipe.core.run import Run
from bkgpipe.errors import PassingError
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.flow.collect import collect
from bkgpipe.flow.mask import Mask
from bkgpipe.flow.of_runs import OfRuns
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.exposure import with_event_exposure
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.report.clock_words import clock_words
from bkgpipe.store.store import require_store

__all__ = ["AllCounts", "Count", "OfAllCounts"]

_log = logging.getLogger(__name__)


class Count(OfRuns):
    """Count events: reads masks and events files, writes ``count_{chunk}.h5``."""

    stage = "count"
    file = COUNTS

    def requires(self) -> Mask:
        return self.sibling(Mask)

    def make(
        self, runs: dict[int, Run], *, later: list[PassingError]
    ) -> Chunk[RunCounts]:
        """Count the events of some runs.

        Parameters
        ----------
        runs : dict of int to Run
            The runs, by their numbers.
        later : list of PassingError
            Is given why some of them cannot be read at the moment.

        Returns
        -------
        Chunk
            Counts, and reasons where there are none.
        """
        masks = MASKS.read(Path(self.input().path))

        def count(obs_id: int) -> RunCounts:
            return self._count(runs[obs_id], masks.records[obs_id])

        require = partial(require_store, self.settings.store)
        return collect(
            runs,
            count,
            refused=masks.refused,
            require=require,
            tell=self.tell,
            later=later,
        )

    def _count(self, run: Run, mask: ExclusionMask) -> RunCounts:
        found = read_usable(self.settings, run)
        counts = count_run(
            run,
            found.events,
            mask,
            binning=self.settings.binning.axes,
            fov_alignment=self.settings.export.alignment,
            safe_energy=found.safe_energy,
            control_offset=self.settings.count.control_offset,
            checksum=found.checksum,
        )
        if counts.clock.is_doubtful:
            _log.warning("Run %d: %s", run.obs_id, clock_words(counts.clock))
        if self.settings.count.exposure == "events":
            return with_event_exposure(counts)
        return counts


class AllCounts(AllChunks):
    """Every chunk of `Count`."""

    stage = "count"
    stage_class = Count


class OfAllCounts(StageTask):
    """A task that is made from all counts at once."""

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return digest_selected(self.table)

    def requires(self) -> AllCounts:
        return self.sibling(AllCounts)
