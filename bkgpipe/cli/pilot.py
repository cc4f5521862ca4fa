"""Work on a production from within a batch job."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from enum import IntEnum
from math import isfinite
from pathlib import Path

from bkgpipe.batch.pilot import find_limits
from bkgpipe.chain.found import read_with_found
from bkgpipe.cli.run import begin, working_on
from bkgpipe.errors import SettingsError
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.engine.build import scheduler_address
from bkgpipe.flow.engine.pilot import work
from bkgpipe.flow.engine.shift import Limits, Shift
from bkgpipe.product.whole_file import HOST
from bkgpipe.settings import Settings

__all__ = ["Outcome", "run_pilot"]

_log = logging.getLogger(__name__)


class Outcome(IntEnum):
    """Exit codes of a pilot; 2 says that it was called wrongly."""

    DONE = 0
    FAILED = 1
    LEFT = 3


def run_pilot(
    config: Path,
    overrides: Iterable[str],
    *,
    time_limit: str,
    margin: str,
    idle: str,
) -> Outcome:
    """Take work from a scheduler until all is done or it is time to leave.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    time_limit : str
        Time after which the job ends, as ``2 h``; empty takes what the batch system
        says.
    margin : str
        Time before that from which no new work is taken.
    idle : str
        Longest time without work.

    Returns
    -------
    Outcome
        Exit code.

    Raises
    ------
    BkgpipeError
        If settings, store, output folder or scheduler cannot be used.
    """
    limits = find_limits(time_limit, margin=margin, idle=idle, environment=os.environ)
    settings = read_with_found(config, overrides)
    if not settings.run.scheduler:
        raise SettingsError(
            what="no scheduler is named, and pilots get their work from one",
            where="[run] scheduler_host, scheduler_url",
            fix="Start luigid and give its machine by --scheduler-host, or work "
            "without one by bkgpipe run",
        )
    task = begin(settings, stage=None)
    if task.complete():
        _log.info("Nothing to do: the production is done")
        return Outcome.DONE
    with working_on(settings, task) as (beat, log):
        _tell_start(settings, limits)
        shift = Shift(limits=limits, beat=beat)
        reason = work(task, settings, log=log, shift=shift)
        return _conclude(task, shift, reason=reason)


def _tell_start(settings: Settings, limits: Limits) -> None:
    last_call = f"after {limits.no_new:.0f} s" if isfinite(limits.no_new) else "never"
    _log.info(
        "Pilot: process %d on %s, workers: %d, scheduler: %s, takes no new work %s",
        os.getpid(),
        HOST,
        settings.run.workers,
        scheduler_address(settings),
        last_call,
    )


def _conclude(task: StageTask, shift: Shift, *, reason: str) -> Outcome:
    """Tell why the pilot leaves, and what it leaves undone."""
    if not shift.stopped and task.complete():
        outcome, words = Outcome.DONE, "the production is done"
    elif reason:
        stopped = ", ".join(shift.stopped) or "nothing"
        outcome, words = Outcome.LEFT, f"{reason}; stopped and given back: {stopped}"
    else:
        outcome, words = Outcome.FAILED, "the rest cannot be done, see the failures"
    _log.info(
        "Left after %.0f s with exit code %d, tasks done: %d; %s",
        shift.seconds,
        outcome,
        shift.n_done,
        words,
    )
    return outcome
