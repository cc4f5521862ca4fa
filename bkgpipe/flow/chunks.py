"""All chunks of a stage; which there are is known once the runs are selected."""

from __future__ import annotations

from collections.abc import Iterator

import luigi

from bkgpipe.chain.runs import chunk_numbers
from bkgpipe.flow.base import ChunkTask, StageTask
from bkgpipe.flow.select import Select
from bkgpipe.stages.table import stage_grain

__all__ = ["AllChunks", "AllStackChunks"]


class AllChunks(StageTask):
    """Every chunk of one stage; complete when each of them is."""

    stage_class: type[ChunkTask]
    only_exported = False

    def requires(self) -> Select:
        return self.sibling(Select)

    def chunks(self) -> list[ChunkTask]:
        """List the tasks of all chunks, once the runs are selected.

        Returns
        -------
        list of ChunkTask
            Tasks.
        """
        size = self.settings.data.chunk_size
        numbers = chunk_numbers(self.table, size, exported=self.only_exported)
        return [self.chunk_task(number) for number in numbers]

    def chunk_task(self, number: int) -> ChunkTask:
        """Make the task of one chunk.

        Parameters
        ----------
        number : int
            Number of the chunk.

        Returns
        -------
        ChunkTask
            Task.
        """
        return self.sibling(self.stage_class, chunk=number)

    def complete(self) -> bool:
        """Tell whether all chunks are there.

        Returns
        -------
        bool
            True when they are.
        """
        if not self.requires().complete():
            return False
        return all(task.complete() for task in self.chunks())

    def gone(self) -> str:
        """Tell which chunk is missing or damaged, or what it made, and change nothing.

        Returns
        -------
        str
            The first one with what is wrong; empty if there is none. Outdated ones are
            not told: whoever is made from them has other inputs, too.
        """
        faults = ((task, task.fault()) for task in self.chunks())
        return next(
            (
                f"{task.path.name}: {fault}"
                for task, fault in faults
                if fault not in {"", "outdated"}
            ),
            "",
        )

    def run(self) -> Iterator[list[luigi.Task]]:
        yield list(self.chunks())


class AllStackChunks(AllChunks):
    """Every chunk of a stage that works on stacks; the groups share chunk 0."""

    only_exported = True

    def chunks(self) -> list[ChunkTask]:
        """List the tasks of all chunks."""
        if stage_grain(self.settings, self.stage) == "groups":
            return [self.chunk_task(0)]
        return super().chunks()
