"""Whether this machine has the memory that a production needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bkgpipe.chain.cost import Cost
from bkgpipe.chain.estimate import size_words, workers_words

__all__ = ["machine_memory", "memory_doubts", "memory_words"]

_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container or a batch job
_FIXES = {
    "fit": "lower [fit] max_points, or make [binning] coarser",
    "report": "make [binning] coarser",
}
_FIX = "make [binning] coarser, or lower [data] chunk_size"


def machine_memory() -> int:
    """Tell how much memory there is for all processes.

    Returns
    -------
    int
        Memory of the machine, or less if that is limited [bytes].
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such file, or the word max
        memory = min(memory, int(_LIMIT.read_text(encoding="ascii")))
    return memory


def memory_words(costs: Mapping[str, Cost], *, n_workers: int) -> str:
    """Put in words what memory a production needs.

    Parameters
    ----------
    costs : mapping of str to Cost
        Cost of each stage.
    n_workers : int
        Worker processes.

    Returns
    -------
    str
        The stage that needs most, and what there is.
    """
    stage = max(costs, key=lambda name: _needed(costs[name], n_workers))
    n_at_once = min(n_workers, costs[stage].n_tasks)
    each = f" in each of {n_at_once}" * (n_at_once > 1)
    return (
        f"up to {size_words(costs[stage].memory)}{each} ({stage}); this machine has "
        f"{size_words(machine_memory())}"
    )


def memory_doubts(costs: Mapping[str, Cost], *, n_workers: int) -> list[str]:
    """Say which stages need more memory than this machine has.

    Parameters
    ----------
    costs : mapping of str to Cost
        Cost of each stage.
    n_workers : int
        Worker processes.

    Returns
    -------
    list of str
        A sentence for each stage, with what to change.
    """
    memory = machine_memory()
    doubts = []
    for stage, cost in costs.items():
        if _needed(cost, n_workers) <= memory:
            continue
        n_at_once = min(n_workers, cost.n_tasks)
        fewer = "take fewer --workers, " if cost.memory <= memory else ""
        doubts.append(
            f"{stage} needs about {size_words(cost.memory)} for each of "
            f"{workers_words(n_at_once)}, but this machine has {size_words(memory)}: "
            f"{fewer}{_FIXES.get(stage, _FIX)}, or use a machine with more memory"
        )
    return doubts


def _needed(cost: Cost, n_workers: int) -> float:
    return cost.memory * min(n_workers, cost.n_tasks)
