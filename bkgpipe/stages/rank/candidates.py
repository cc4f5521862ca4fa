"""The small part of many runs that rankings compare, in arrays that a file can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bkgpipe.core.criteria import RankCriteria
from bkgpipe.core.run import Run
from bkgpipe.stages.count.data import ControlEvents, RunShape
from bkgpipe.stages.rank.data import Candidates
from bkgpipe.stages.rank.order import join_bins

__all__ = ["join_shapes", "pack_candidates", "unpack_candidates"]

_CONTROL = tuple(ControlEvents.__dataclass_fields__)
_NUMBERS = ("livetime", "kept_fraction", "lowest_energy")


def join_shapes(runs: Sequence[RunShape], *, criteria: RankCriteria) -> list[RunShape]:
    """Keep of runs no more bins than rankings compare, and no more digits.

    Parameters
    ----------
    runs : sequence of RunShape
        Runs with the same bins.
    criteria : RankCriteria
        Say how many bins are left.

    Returns
    -------
    list of RunShape
        The same runs, in their order: to join their bins again changes nothing.
        Counts and exposure are zero where a run does not see all of a joined bin.
    """
    if not runs:
        return []
    wanted = criteria.energy_bins, criteria.offset_bins
    shape = tuple(map(min, runs[0].counts_2d.shape, wanted))
    counts, exposure = (
        values.reshape(len(runs), *shape)
        for values in join_bins(runs, energy_bins=wanted[0], offset_bins=wanted[1])
    )
    rows = zip(runs, counts.astype(np.uint32), exposure.astype(np.float32), strict=True)
    return [
        replace(run, counts_2d=counts_2d, exposure_2d=exposure_2d)
        for run, counts_2d, exposure_2d in rows
    ]


def pack_candidates(runs: Sequence[RunShape], *, unfit: Collection[int]) -> Candidates:
    """Put runs into arrays.

    Parameters
    ----------
    runs : sequence of RunShape
        Runs as `join_shapes` returns them.
    unfit : collection of int
        Those that may not be stacked.

    Returns
    -------
    Candidates
        All of them, without what the table of runs tells.
    """
    numbers = {
        name: np.array([getattr(run, name) for run in runs]) for name in _NUMBERS
    }
    control = {
        name: np.array([getattr(run.control, name) for run in runs])
        for name in _CONTROL
    }
    return Candidates(
        obs_ids=np.array([run.obs_id for run in runs], dtype=np.int64),
        counts_2d=_stacked([run.counts_2d for run in runs]),
        exposure_2d=_stacked([run.exposure_2d for run in runs]),
        is_unfit=np.array([run.obs_id in unfit for run in runs], dtype=bool),
        **numbers,
        **control,
    )


def unpack_candidates(
    candidates: Candidates, runs: Mapping[int, Run]
) -> list[RunShape]:
    """Take runs out of their arrays again.

    Parameters
    ----------
    candidates : Candidates
        What `pack_candidates` made.
    runs : mapping of int to Run
        The table of runs.

    Returns
    -------
    list of RunShape
        Runs; their counts and exposure take no memory of their own.
    """
    control = _rows(candidates, _CONTROL)
    rows = zip(
        candidates.obs_ids.tolist(),
        candidates.counts_2d,
        candidates.exposure_2d,
        _rows(candidates, _NUMBERS),
        (ControlEvents(**values) for values in control),
        strict=True,
    )
    return [
        RunShape(
            run=runs[obs_id],
            counts_2d=counts_2d,
            exposure_2d=exposure_2d,
            control=events,
            **numbers,
        )
        for obs_id, counts_2d, exposure_2d, numbers, events in rows
    ]


def _rows(candidates: Candidates, names: Sequence[str]) -> list[dict[str, Any]]:
    columns = (getattr(candidates, name).tolist() for name in names)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(arrays) if arrays else np.zeros((0, 0, 0))
