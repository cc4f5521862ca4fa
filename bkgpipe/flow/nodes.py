"""Find the values that are written at the bin centres."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.flow.base import ChunkTask
from bkgpipe.flow.collect import collect
from bkgpipe.flow.smooth import smooth_class
from bkgpipe.stages.export.files import NODES
from bkgpipe.stages.export.nodes import make_node_model
from bkgpipe.stages.smooth.data import NodeModel
from bkgpipe.stages.smooth.files import MODELS

__all__ = ["SolveNodes"]


class SolveNodes(ChunkTask):
    """Fill holes and keep counts: reads rates, writes ``nodes_{chunk}.h5``."""

    stage = "export"
    file_name = "nodes"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return self.requires().inputs()

    def requires(self) -> ChunkTask:
        return self.sibling(smooth_class(self.settings))

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        models = MODELS.read(Path(self.input().path))

        def solve(stack_id: int) -> NodeModel:
            return make_node_model(
                models.records[stack_id],
                fov_alignment=self.settings.export.alignment,
            )

        chunk = collect(models.records, solve, refused={}, tell=self.tell)
        chunk.refused.update(models.refused)

        with self.output().temporary_path() as path:
            NODES.write(Path(path), self.header(), chunk)
