"""A production in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from bkgpipe.stages.count.data import Conservation

__all__ = ["StageState", "Summary"]


@dataclass(frozen=True, kw_only=True)
class StageState:
    """How far a stage is.

    Attributes
    ----------
    stage : str
        Stage, as ``count``.
    folder : str
        Folder of its products.
    n_done, n_total : int
        Product files there, and product files that there will be; the total is -1
        as long as the runs are not selected.
    n_outdated : int
        Product files beside those done, that are to be made again from other runs.
    """

    stage: str
    folder: str
    n_done: int
    n_total: int
    n_outdated: int = 0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What came out of a production.

    Attributes
    ----------
    store : str
        Data store that was written.
    models : tuple of str
        Model files in it, relative to it.
    n_used : int
        Runs that were counted.
    hours : float
        Their live time [h].
    refused : dict of int to str
        Reason for each run that could not be used.
    left_out : dict of int to str
        Reason for each run that was not selected.
    timing : dict of str to float
        Time spent in each stage, sum over its tasks [s].
    conservation : Conservation
        Where the events went, sum over the runs that were counted.
    unfit : dict of int to str
        Reason for each run that was counted, but may not be stacked; one that should
        have got a model of its own is among those refused.
    """

    store: str
    models: tuple[str, ...]
    n_used: int
    hours: float
    refused: dict[int, str]
    left_out: dict[int, str]
    timing: dict[str, float]
    conservation: Conservation
    unfit: dict[int, str] = field(default_factory=dict)
