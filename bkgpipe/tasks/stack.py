"""Add up the runs of each group, or of each target run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bkgpipe.datamodel import Chunk
from bkgpipe.datamodel import Stack as StackedRuns
from bkgpipe.io.rank import read_rankings
from bkgpipe.io.stack import read_groups, write_stacks
from bkgpipe.numerics.stack import stack_runs
from bkgpipe.tasks.archive import Archive, read_archive
from bkgpipe.tasks.base import ChunkTask, StageTask
from bkgpipe.tasks.chunks import AllStackChunks
from bkgpipe.tasks.collect import collect
from bkgpipe.tasks.count import AllCounts, Count
from bkgpipe.tasks.group import MakeGroups
from bkgpipe.tasks.rank import Rank

__all__ = ["STRATEGIES", "AllStacks", "StackGroups", "StackOwn", "StackRanked"]


class _Stack(ChunkTask):
    """Common part of the strategies: each says which runs belong to a stack."""

    stage = "stack"

    def members(self, archive: Archive) -> Chunk[Any]:
        """Tell the runs of each stack of this chunk, and stacks refused before.

        Parameters
        ----------
        archive : Archive
            All counted runs.

        Returns
        -------
        Chunk
            Run numbers of each stack, and reasons.
        """
        raise NotImplementedError

    def counts(self) -> list[ChunkTask]:
        """List the chunks of counts that the stacks may need.

        Returns
        -------
        list of ChunkTask
            Tasks.
        """
        return self.sibling(AllCounts).chunks()

    def run(self) -> None:
        archive = read_archive(
            self.counts(), min_kept_fraction=self.settings.mask.min_kept_fraction
        )
        members = self.members(archive)

        def stack(stack_id: int) -> StackedRuns:
            runs = archive.read_counts(members.records[stack_id])
            return stack_runs(runs, stack_id=stack_id)

        chunk = collect(members.records, stack, refused={})
        chunk.refused.update(members.refused)

        with self.output().temporary_path() as path:
            write_stacks(Path(path), self.header(), chunk)


class StackGroups(_Stack):
    """Add up the runs of each group: reads ``groups.ecsv``, writes ``stack_0.h5``."""

    def requires(self) -> list[StageTask]:
        return [self.sibling(MakeGroups), self.sibling(AllCounts)]

    def members(self, archive: Archive) -> Chunk[Any]:  # noqa: ARG002
        """Tell the runs of each stack."""
        groups = read_groups(Path(self.input()[0].path))
        return Chunk(records={group.group_id: group.obs_ids for group in groups})


class StackRanked(_Stack):
    """Add up the ranked runs of each target: writes ``stack_{chunk}.h5``."""

    def requires(self) -> list[StageTask]:
        return [self.sibling(Rank), self.sibling(AllCounts)]

    def members(self, archive: Archive) -> Chunk[Any]:  # noqa: ARG002
        """Tell the runs of each stack."""
        rankings = read_rankings(Path(self.input()[0].path))
        records = {obs_id: each.taken for obs_id, each in rankings.records.items()}
        return Chunk(records=records, refused=rankings.refused)


class StackOwn(_Stack):
    """Take each target as its own stack: writes ``stack_{chunk}.h5``."""

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return self.chunk_inputs()

    def requires(self) -> Count:
        return self.sibling(Count)

    def counts(self) -> list[ChunkTask]:
        """List the chunks of counts that are needed."""
        return [self.requires()]

    def members(self, archive: Archive) -> Chunk[Any]:
        """Tell the runs of each stack."""
        ids = [run.obs_id for run in self.exported]
        return Chunk(
            records={obs_id: [obs_id] for obs_id in ids if obs_id in archive.shapes},
            refused={i: why for i, why in archive.refused.items() if i in ids},
        )


STRATEGIES: dict[str, type[ChunkTask]] = {
    "groups": StackGroups,
    "ranked": StackRanked,
    "own": StackOwn,
}


class AllStacks(AllStackChunks):
    """Every chunk of the strategy that the settings name."""

    stage = "stack"

    @property
    def in_groups(self) -> bool:
        """Whether there is chunk 0 alone."""
        return self.settings.stack.strategy == "groups"

    def chunk_task(self, number: int) -> ChunkTask:
        """Make the task of one chunk."""
        return self.sibling(STRATEGIES[self.settings.stack.strategy], chunk=number)
