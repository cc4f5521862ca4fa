"""How tasks are called in messages, logs and on the page of a scheduler."""

from __future__ import annotations

from collections.abc import Sequence

import luigi

__all__ = ["run_words", "task_name"]

_FEW = 8


def task_name(task: luigi.Task) -> str:
    """Name a task as the page of the scheduler does.

    Parameters
    ----------
    task : luigi.Task
        The task.

    Returns
    -------
    str
        As ``Count 3``, the number being that of the chunk.
    """
    return f"{task.task_family} {getattr(task, 'chunk', '')}".strip()


def run_words(obs_ids: Sequence[int]) -> str:
    """Name the runs that a task works on, all if there are few.

    Parameters
    ----------
    obs_ids : sequence of int
        Run numbers, sorted.

    Returns
    -------
    str
        As ``1001, 1002`` or ``1001 to 1099 (57 runs)``.
    """
    if len(obs_ids) > _FEW:
        return f"{obs_ids[0]} to {obs_ids[-1]} ({len(obs_ids)} runs)"
    return ", ".join(map(str, obs_ids))
