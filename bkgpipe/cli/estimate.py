"""How long a production takes, how large it is, and which runs it leaves out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from math import prod
from pathlib import Path

from bkgpipe.datamodel import Run, RunTable
from bkgpipe.settings import Settings

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

# Measured on the 105 runs of H.E.S.S. DL3 DR1 with the default binning.
_SECONDS = 10.0  # start, index and report
_SECONDS_PER_RUN = 0.06
_SECONDS_PER_MODEL = 0.12
_BYTES_PER_RUN = 20_000
_BYTES_PER_BIN = 36
_INFLATION = 1.6

_LISTED = 5
_LIMIT = re.compile(r"(\w+) (?:is unknown,|\S+(?: \w+)? is (\w+)) \w+ (\S+(?: \w+)?)")
_CONDITION = re.compile(r"(\S+) (?:is|are) .*, not (.+)")
_NAMES = {"livetime": "live time", "zenith": "zenith angle", "time_start": "start"}


def estimate_seconds(settings: Settings, *, n_runs: int, n_models: int) -> float:
    """Estimate how long it takes to count runs and to make models.

    Parameters
    ----------
    settings : Settings
        Settings.
    n_runs : int
        Runs to count.
    n_models : int
        Models to make.

    Returns
    -------
    float
        Time [s].
    """
    work = n_runs * _SECONDS_PER_RUN + n_models * _SECONDS_PER_MODEL
    return _SECONDS + work / settings.run.workers


def estimate_bytes(settings: Settings, table: RunTable) -> int:
    """Estimate how large all products are.

    Parameters
    ----------
    settings : Settings
        Settings.
    table : RunTable
        Runs, with the decision on each.

    Returns
    -------
    int
        Size [bytes].
    """
    axes = settings.binning.axes
    n_bins = prod(axes.shape_3d) + prod(axes.shape_2d)
    size = len(table.used) * _BYTES_PER_RUN
    size += len(table.exported) * _BYTES_PER_BIN * n_bins
    if settings.export.store == "full":
        size += int(_INFLATION * sum(max(0, run.file_size) for run in table.exported))
    return size


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
