"""Add up the runs of each group, or of each target run."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.core.product import Chunk
from bkgpipe.flow.archive import read_archive
from bkgpipe.flow.base import UNKNOWN, ChunkTask, StageTask
from bkgpipe.flow.chunks import AllStackChunks
from bkgpipe.flow.collect import collect
from bkgpipe.flow.count import AllCounts, Count
from bkgpipe.flow.group import MakeGroups
from bkgpipe.flow.rank import Rank
from bkgpipe.stages.count.files import read_each
from bkgpipe.stages.rank.files import RANKINGS
from bkgpipe.stages.stack.data import Stack as StackedRuns
from bkgpipe.stages.stack.files import STACKS, read_groups
from bkgpipe.stages.stack.scaled import stack_scaled

__all__ = ["STRATEGIES", "AllStacks", "StackGroups", "StackOwn", "StackRanked"]


class _Stack(ChunkTask):
    """Common part of the strategies: each says which runs belong to a stack."""

    stage = "stack"

    def members(self) -> Chunk[dict[int, float]]:
        """Tell the runs of each stack of this chunk, and stacks refused before.

        Returns
        -------
        Chunk
            Runs of each stack, each with its rate over that of the stack; and reasons.
        """
        raise NotImplementedError

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        members = self.members()

        def stack(stack_id: int) -> StackedRuns:
            return self._stack(stack_id, members.records[stack_id])

        chunk = collect(members.records, stack, refused={}, tell=self.tell)
        chunk.refused.update(members.refused)

        with self.output().temporary_path() as path:
            STACKS.write(Path(path), self.header(), chunk)

    def _stack(self, stack_id: int, scale: dict[int, float]) -> StackedRuns:
        size = self.settings.data.chunk_size
        chunks = ((obs_id // size, obs_id) for obs_id in scale)
        return stack_scaled(
            read_each(
                (self.sibling(Count, chunk=chunk).path, obs_id)
                for chunk, obs_id in chunks
            ),
            scale=scale,
            stack_id=stack_id,
            method=self.settings.stack.method,
        )


class StackGroups(_Stack):
    """Add up the runs of each group: reads ``groups.ecsv``, writes ``stack_0.h5``."""

    def requires(self) -> list[StageTask]:
        return [self.sibling(MakeGroups), self.sibling(AllCounts)]

    def members(self) -> Chunk[dict[int, float]]:
        """Tell the runs of each stack."""
        groups = read_groups(Path(self.input()[0].path))
        return Chunk(
            records={
                group.group_id: dict.fromkeys(group.obs_ids.tolist(), 1.0)
                for group in groups
            }
        )


class StackRanked(_Stack):
    """Add up the ranked runs of each target: writes ``stack_{chunk}.h5``."""

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        # a ranking that takes the same runs as before makes the same stack
        return f"{super().inputs()}{UNKNOWN}{self.sibling(Rank).taken()}"

    def requires(self) -> list[StageTask]:
        return [self.sibling(Rank), self.sibling(AllCounts)]

    def members(self) -> Chunk[dict[int, float]]:
        """Tell the runs of each stack."""
        rankings = RANKINGS.read(Path(self.input()[0].path))
        records = {obs_id: each.scales for obs_id, each in rankings.records.items()}
        return Chunk(records=records, refused=rankings.refused)


class StackOwn(_Stack):
    """Take each target as its own stack: writes ``stack_{chunk}.h5``."""

    def requires(self) -> Count:
        return self.sibling(Count)

    def members(self) -> Chunk[dict[int, float]]:
        """Tell the runs of each stack."""
        archive = read_archive(
            [self.requires()],
            min_kept_fraction=self.settings.mask.min_kept_fraction,
        )
        reasons = archive.unfit | archive.refused
        ids = [run.obs_id for run in self.exported]
        return Chunk(
            records={obs_id: {obs_id: 1.0} for obs_id in ids if obs_id not in reasons},
            refused={obs_id: reasons[obs_id] for obs_id in ids if obs_id in reasons},
        )


STRATEGIES: dict[str, type[ChunkTask]] = {
    "groups": StackGroups,
    "ranked": StackRanked,
    "own": StackOwn,
}


class AllStacks(AllStackChunks):
    """Every chunk of the strategy that the settings name."""

    stage = "stack"

    def chunk_task(self, number: int) -> ChunkTask:
        """Make the task of one chunk."""
        return self.sibling(STRATEGIES[self.settings.stack.strategy], chunk=number)
