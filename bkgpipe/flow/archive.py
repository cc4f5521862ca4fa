"""The counted runs of the whole archive, from the chunks of `count`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bkgpipe.core.criteria import RankCriteria
from bkgpipe.flow.base import ChunkTask
from bkgpipe.stages.count.data import RunShape
from bkgpipe.stages.count.files import read_shapes
from bkgpipe.stages.rank.candidates import join_shapes
from bkgpipe.stages.stack.groups import refusal

__all__ = ["Archive", "read_archive"]


@dataclass(frozen=True, kw_only=True)
class Archive:
    """What ranking and stacking need to know of all counted runs.

    Attributes
    ----------
    shapes : dict of int to RunShape
        Every run that was counted.
    refused : dict of int to str
        Reasons of those that could not be counted.
    unfit : dict of int to str
        Reasons of those that were counted but may not be stacked.
    """

    shapes: dict[int, RunShape]
    refused: dict[int, str]
    unfit: dict[int, str]

    @property
    def selected(self) -> list[RunShape]:
        """Runs that may contribute to models, unfit ones among them."""
        return [shape for shape in self.shapes.values() if shape.run.selected]

    @property
    def candidates(self) -> list[RunShape]:
        """Runs that may be stacked."""
        return [shape for shape in self.selected if shape.obs_id not in self.unfit]


def read_archive(
    counts: Sequence[ChunkTask],
    *,
    min_kept_fraction: float,
    criteria: RankCriteria | None = None,
) -> Archive:
    """Read the small part of all counted runs.

    Parameters
    ----------
    counts : sequence of ChunkTask
        Tasks of all chunks of `count`.
    min_kept_fraction : float
        Runs of which less of the field is kept may not be stacked.
    criteria : RankCriteria, optional
        Keep the bins alone that these compare.

    Returns
    -------
    Archive
        All runs.
    """
    archive = Archive(shapes={}, refused={}, unfit={})
    for task in counts:
        runs = {run.obs_id: run for run in task.used}
        chunk = read_shapes(task.path).only(runs)
        archive.refused.update(chunk.refused)
        # in the file no run is selected, or all are
        shapes = [replace(each, run=runs[key]) for key, each in chunk.records.items()]
        small = join_shapes(shapes, criteria=criteria) if criteria else _compact(shapes)
        archive.shapes.update(zip(chunk.records, small, strict=True))
        for obs_id, shape in chunk.records.items():
            reason = refusal(shape, min_kept_fraction=min_kept_fraction)
            if reason:
                archive.unfit[obs_id] = reason
    return archive


def _compact(shapes: list[RunShape]) -> list[RunShape]:
    """Let 10^5 shapes take 0.3 GB instead of 0.8; nobody needs more digits."""
    return [
        replace(
            shape,
            counts_2d=shape.counts_2d.astype(np.uint32),
            exposure_2d=shape.exposure_2d.astype(np.float32),
        )
        for shape in shapes
    ]
