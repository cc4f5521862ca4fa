"""Add up runs that were brought to the rate of another run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import fsum

from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.stack.data import Stack
from bkgpipe.stages.stack.groups import stack_runs

__all__ = ["stack_scaled"]


def stack_scaled(
    runs: Iterable[RunCounts],
    *,
    scale: Mapping[int, float],
    stack_id: int,
    method: str = "sum",
) -> Stack:
    """Add up runs whose rates differ by known factors.

    A run that has k times the rate of the target counts as much as one of k times the
    exposure at the rate of the target. Live time and on-time are not scaled.

    Parameters
    ----------
    runs : iterable of RunCounts
        Runs with the same bins, read one by one.
    scale : mapping of int to float
        Rate of each run over that of the target.
    stack_id : int
        Number of the stack.
    method : str
        How the exposure is added up, as in `stack_runs`.

    Returns
    -------
    Stack
        The sum, with the exposure as it were at the rate of the target.

    Raises
    ------
    NoRunsError
        If there are no runs.
    BinningMismatchError
        If the bins of two runs differ.
    """
    times: list[tuple[float, float]] = []

    def scaled() -> Iterator[RunCounts]:
        for run in runs:
            times.append((run.ontime, run.livetime))
            yield replace(run, livetime=run.livetime * scale[run.obs_id])

    stack = stack_runs(scaled(), stack_id=stack_id, method=method)
    ontime, livetime = (fsum(values) for values in zip(*times, strict=True))
    return replace(stack, ontime=ontime, livetime=livetime)
