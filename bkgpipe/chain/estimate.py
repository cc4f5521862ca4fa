"""How long a production takes, how large it is, and which runs it leaves out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from bkgpipe.chain.cost import Cost
from bkgpipe.core.run import Run, RunTable

__all__ = [
    "count_reasons",
    "disk_space",
    "duration_words",
    "estimate_bytes",
    "estimate_seconds",
    "size_words",
    "tell_left_out",
    "workers_words",
]

_LISTED = 5
_LIMIT = re.compile(r"(\w+) (?:is unknown,|\S+(?: \w+)? is (\w+)) \w+ (\S+(?: \w+)?)")
_CONDITION = re.compile(r"(\S+) (?:is|are) .*, not (.+)")
_NAMES = {"livetime": "live time", "zenith": "zenith angle", "time_start": "start"}


def estimate_seconds(costs: Mapping[str, Cost], *, n_workers: int) -> float:
    """Estimate how long a production takes.

    Parameters
    ----------
    costs : mapping of str to Cost
        Cost of each stage.
    n_workers : int
        Worker processes.

    Returns
    -------
    float
        Time [s].
    """
    return sum(
        cost.seconds / max(1, min(n_workers, cost.n_tasks)) for cost in costs.values()
    )


def estimate_bytes(costs: Mapping[str, Cost]) -> int:
    """Estimate how large all products are.

    Parameters
    ----------
    costs : mapping of str to Cost
        Cost of each stage.

    Returns
    -------
    int
        Size [bytes].
    """
    return round(sum(cost.disk for cost in costs.values()))


def disk_space(folder: Path) -> tuple[Path, int]:
    """Find where a folder is or will be, and what is free there.

    Parameters
    ----------
    folder : Path
        Folder, which need not exist.

    Returns
    -------
    tuple
        The nearest folder that exists, and the free space there [bytes].
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return place, shutil.disk_usage(place).free


def count_reasons(runs: Iterable[Run]) -> dict[str, list[int]]:
    """Sort the runs that are left out by the reason, whatever value each has.

    Parameters
    ----------
    runs : iterable of Run
        Runs, with the decision on each.

    Returns
    -------
    dict of str to list of int
        Run numbers of each reason, the most frequent first; a run with two reasons
        occurs twice.
    """
    found: dict[str, list[int]] = {}
    for run in runs:
        for reason in run.reason.split("; ") if run.reason else ():
            found.setdefault(_kind(reason), []).append(run.obs_id)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def tell_left_out(table: RunTable) -> list[str]:
    """Put in words which runs are left out, and why.

    Parameters
    ----------
    table : RunTable
        Runs, with the decision on each.

    Returns
    -------
    list of str
        Lines: one for each run if they are few, else one for each reason.
    """
    left_out = [run for run in table.runs if not run.selected]
    if len(left_out) <= _LISTED:
        return [f"  not selected {run.obs_id}: {run.reason}" for run in left_out]
    return [
        f"  {len(obs_ids)} not selected: {reason} ({_list_some(obs_ids)})"
        for reason, obs_ids in count_reasons(left_out).items()
    ]


def duration_words(seconds: float) -> str:
    """Put an estimated time in words.

    Parameters
    ----------
    seconds : float
        Time [s].

    Returns
    -------
    str
        As ``30 s``, ``12 min`` or ``3.5 h``: no more digits than an estimate has.
    """
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size_words(n_bytes: float) -> str:
    """Put a size in words.

    Parameters
    ----------
    n_bytes : float
        Size [bytes].

    Returns
    -------
    str
        As ``116 MB`` or ``3.5 GB``.
    """
    if n_bytes < 1e9:
        return f"{max(1, round(n_bytes / 1e6))} MB"
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes < 1e12 else f"{n_bytes / 1e12:.1f} TB"


def workers_words(n_workers: int) -> str:
    """Put a number of workers in words.

    Parameters
    ----------
    n_workers : int
        Worker processes.

    Returns
    -------
    str
        As ``1 worker`` or ``4 workers``.
    """
    return f"{n_workers} worker" + "s" * (n_workers != 1)


def _kind(reason: str) -> str:
    if match := _LIMIT.fullmatch(reason):
        name, side, limit = match.groups()
        name = _NAMES.get(name, name)
        return f"{name} {side} {limit}" if side else f"{name} unknown"
    if match := _CONDITION.fullmatch(reason):
        return f"{match[1]} not {match[2]}"
    return reason


def _list_some(obs_ids: list[int]) -> str:
    words = ", ".join(str(obs_id) for obs_id in obs_ids[:_LISTED])
    more = len(obs_ids) - _LISTED
    return f"{words} and {more} more" if more > 0 else words
