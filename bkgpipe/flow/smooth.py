"""Turn the sums of a chunk into rates."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.flow.base import ChunkTask
from bkgpipe.flow.chunks import AllStackChunks
from bkgpipe.flow.collect import collect
from bkgpipe.flow.predict import Predict
from bkgpipe.flow.stack import STRATEGIES
from bkgpipe.settings import Settings
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.smooth.methods import smooth_stack
from bkgpipe.stages.stack.files import STACKS
from bkgpipe.stages.table import has_stage, method_values

__all__ = ["AllSmooths", "Smooth", "smooth_class"]


class Smooth(ChunkTask):
    """Smooth: reads ``stack_{chunk}.h5``, writes ``smooth_{chunk}.h5``."""

    stage = "smooth"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return self.requires().inputs()

    def requires(self) -> ChunkTask:
        return self.sibling(STRATEGIES[self.settings.stack.strategy])

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        stacks = STACKS.read(Path(self.input().path))
        method = self.settings.smooth.method
        values = method_values(self.settings, self.stage)

        def rate(stack_id: int) -> RateModel:
            return smooth_stack(stacks.records[stack_id], method=method, **values)

        chunk = collect(stacks.records, rate, refused={}, tell=self.tell)
        chunk.refused.update(stacks.refused)

        with self.output().temporary_path() as path:
            MODELS.write(Path(path), self.header(), chunk)


def smooth_class(settings: Settings) -> type[ChunkTask]:
    """Choose the task that makes rates.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    type
        `Predict` for a regression, `Smooth` for all other methods.
    """
    return Smooth if has_stage(settings, "stack") else Predict


class AllSmooths(AllStackChunks):
    """Every chunk of the method that the settings name."""

    stage = "smooth"

    def chunk_task(self, number: int) -> ChunkTask:
        """Make the task of one chunk."""
        return self.sibling(smooth_class(self.settings), chunk=number)
