"""How long a worker in a batch job may stay."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

from bkgpipe.errors import SettingsError
from bkgpipe.flow.engine.shift import Limits
from bkgpipe.settings.kinds import quantity

__all__ = ["find_limits", "time_left"]

# Slurm tells a job when it will be ended [s since 1970]; HTCondor and others tell
# nothing of the kind.
_END = "SLURM_JOB_END_TIME"

_GRACE = 30.0  # s, to stop and give back what is in hand


def find_limits(
    time_limit: str, *, margin: str, idle: str, environment: Mapping[str, str]
) -> Limits:
    """Find how long a worker may stay, from what was given and from the batch system.

    Parameters
    ----------
    time_limit : str
        Time from now, as ``2 h``; empty takes what the batch system says.
    margin : str
        Time before the limit from which no new work is taken.
    idle : str
        Longest time without work.
    environment : Mapping of str to str
        Environment variables of the job.

    Returns
    -------
    Limits
        Limits that count from now; infinite when nothing limits the time.

    Raises
    ------
    SettingsError
        If a time cannot be read, or the margin leaves no time to work.
    """
    margin_s = _read_time("--margin", margin)
    if time_limit:
        left = _read_time("--time-limit", time_limit)
    else:
        left = time_left(environment)
    if left <= margin_s:
        raise SettingsError(
            what=f"{left:.0f} s are left and {margin_s:.0f} s of them are the margin",
            where="--margin",
            fix="Ask for a longer job, or set --margin to a little more than the time "
            "of the longest task",
        )
    return Limits(
        no_new=left - margin_s,
        stop=left - min(_GRACE, margin_s / 2),
        idle=_read_time("--idle", idle),
    )


def time_left(environment: Mapping[str, str]) -> float:
    """Tell when the batch system will end this job.

    Parameters
    ----------
    environment : Mapping of str to str
        Environment variables of the job.

    Returns
    -------
    float
        Time from now [s]; infinite when it does not say so.

    Raises
    ------
    SettingsError
        If what it says is not a time.
    """
    end = environment.get(_END, "")
    if not end:
        return math.inf
    if not end.isdecimal():
        raise SettingsError(
            what=f"is {end!r}, expected seconds since 1970",
            where=_END,
            fix="Remove it from the environment, or give --time-limit",
        )
    return int(end) - time.time()


def _read_time(option: str, text: str) -> float:
    try:
        seconds = float(quantity("s").parse(text, Path()))
    except ValueError as error:
        raise SettingsError(
            what=str(error), where=option, fix="Give a time, as '2 h' or '300 s'"
        ) from error
    if not seconds >= 0:
        raise SettingsError(
            what=f"{text} is not a length of time",
            where=option,
            fix="Give a time, as '2 h' or '300 s'",
        )
    return seconds
