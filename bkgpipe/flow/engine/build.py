"""Run tasks with Luigi, with a scheduler of their own or with a central one."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import luigi
from luigi.execution_summary import LuigiRunResult, LuigiStatusCode
from luigi.parameter import UnconsumedParameterWarning
from luigi.rpc import RPCError
from luigi.worker import Worker

from bkgpipe.errors import BkgpipeError, OutputError
from bkgpipe.flow.base import PASSING, StageTask
from bkgpipe.flow.engine.access import find_access, try_scheduler
from bkgpipe.flow.engine.presence import submitters
from bkgpipe.flow.engine.sharing import SharingFactory
from bkgpipe.flow.engine.targets import damaged_files
from bkgpipe.flow.engine.worker import WatchfulFactory
from bkgpipe.flow.names import task_name
from bkgpipe.flow.select import Select
from bkgpipe.settings import Settings

__all__ = ["build", "scheduler_address"]

_log = logging.getLogger(__name__)

# A scheduler has no work although there is some: when it was started anew; for ten
# seconds after it saw a task done whose product was then removed; and for ever when a
# worker was killed between writing a product and telling so. It is told again.
_ROUNDS, _PAUSE = 6, 3.0
_TRIALS = 2  # more, of what could not be read or written
_FORGOTTEN = (LuigiStatusCode.NOT_RUN, LuigiStatusCode.SUCCESS)

_QUIET = ("core", "no_configure_logging", "true")
# A worker that finds nothing to do asks again after a second, which many of our tasks
# take no longer than.
_LOCAL = (_QUIET, ("worker", "wait_interval", "0.1"))
# One that sees all work in other hands waits for it, instead of leaving with the rest
# undone; it asks a server that is being started anew for some minutes.
_CENTRAL = (
    _QUIET,
    ("worker", "keep_alive", "true"),
    ("worker", "max_keep_alive_idle_duration", "60 seconds"),
    ("worker", "wait_interval", "1"),
    ("worker", "wait_jitter", "1"),
    ("core", "rpc_retry_attempts", "20"),
    ("core", "rpc_retry_wait", "5"),
)


def build(
    task: StageTask,
    settings: Settings,
    *,
    log: Path | None = None,
    factory: WatchfulFactory | None = None,
) -> None:
    """Run a task and all that it needs; again while the scheduler knows of no work.

    Also again when a product was found damaged and set aside, or when a file could not
    be read or written at that moment.

    Failures are logged in words. Whether all is done is for the caller to look at.

    Parameters
    ----------
    task : StageTask
        The task.
    settings : Settings
        Settings; their file may have sections of Luigi.
    log : Path, optional
        File that keeps the messages, for the scheduler's page to name.
    factory : WatchfulFactory, optional
        Makes the worker, if not the usual one.

    Raises
    ------
    OutputError
        If no scheduler answers.
    AccessError
        If it refuses user and password.
    SettingsError
        If these cannot be used.
    """
    factory = factory or _usual_factory(settings)
    how: dict[str, object] = {
        "workers": settings.run.workers,
        "worker_scheduler_factory": factory,
        "detailed_summary": True,
        **_scheduler(settings, factory),
    }
    StageTask.log = log
    with _configured(settings), _lost_told(settings):
        if settings.run.scheduler:
            # what there is to share is known when the runs are selected
            luigi.build([task.sibling(Select)], **how)
        n_passing = 0
        for _ in _rounds(settings):
            damaged = _damaged(settings)
            found = luigi.build([task], **how)
            if task.complete():
                return
            if _damaged(settings) != damaged:
                continue
            if n_passing < _TRIALS and _may_pass(found):
                n_passing += 1
                _log.info("A file could not be used at the moment: trying again")
                time.sleep(_PAUSE)
                continue
            if found.status not in _FORGOTTEN or _given_up(found.worker):
                return
            _log.info("The scheduler has no work, but not all is done: asking again")
            time.sleep(_PAUSE)


def _usual_factory(settings: Settings) -> WatchfulFactory:
    kind = SharingFactory if settings.run.scheduler else WatchfulFactory
    return kind(hung_after=settings.run.hung_after)


def scheduler_address(settings: Settings) -> str:
    """Name the scheduler that shares out the work.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    str
        Host and port, or address; ``local`` when each process shares out its own.
    """
    return settings.run.scheduler or "local"


def _scheduler(settings: Settings, factory: WatchfulFactory) -> dict[str, object]:
    if not settings.run.scheduler:
        return {"local_scheduler": True}
    access = find_access(settings.run)
    try_scheduler(access)
    factory.connect = access.connect
    # one that the user gave to Luigi would go before it
    return {"scheduler_url": access.url}


@contextmanager
def _lost_told(settings: Settings) -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        raise OutputError(
            what="the scheduler does not answer any more",
            where=scheduler_address(settings),
            fix="Start luigid there again, and then this command",
        ) from error


def _may_pass(found: LuigiRunResult) -> bool:
    """Tell whether a task failed for a reason that may be gone by now."""
    # a task could not tell whether it is done
    if found.status == LuigiStatusCode.SCHEDULING_FAILED:
        return True
    scheduler = found.worker._scheduler
    return any(
        # it is kept as JSON
        str(scheduler.fetch_error(task_id)["error"]).startswith(f'"{PASSING}')
        for task_id in scheduler.task_list("FAILED", "", limit=False)
    )


def _given_up(worker: Worker) -> bool:
    """Tell which tasks the scheduler does not give out again, whoever failed."""
    found = worker._scheduler.task_list("DISABLED", "", limit=False)
    names = [
        task_name(task)
        for task_id, task in worker._scheduled_tasks.items()
        if task_id in found
    ]
    if names:
        _log.error("Given up, as it failed too often: %s", ", ".join(sorted(names)))
    return bool(names)


def _damaged(settings: Settings) -> dict[Path, int]:
    found: dict[Path, int] = {}
    for folder in settings.outputs:
        found |= damaged_files(folder)
    return found


def _rounds(settings: Settings) -> Iterator[int]:
    """Count the times in a row that this process asked alone."""
    n_alone = 0
    while n_alone < _ROUNDS:
        yield n_alone
        is_alone = len(submitters(settings.data.output)) <= 1
        n_alone = n_alone + 1 if is_alone else 0


@contextmanager
def _configured(settings: Settings) -> Iterator[None]:
    """Let Luigi read its own sections of the file; what they leave open is ours."""
    if settings.path.exists():  # else they are known to this process alone
        luigi.configuration.add_config_path(str(settings.path))
    known = luigi.configuration.get_config()
    defaults = _CENTRAL if settings.run.scheduler else _LOCAL
    ours = [each for each in defaults if not known.has_option(*each[:2])]
    for section, option, value in ours:
        known.set(section, option, value)
    StageTask.event_handler(luigi.Event.START)(_tell_start)
    StageTask.event_handler(luigi.Event.PROCESSING_TIME)(_tell_end)
    StageTask.event_handler(luigi.Event.FAILURE)(_tell_failure)
    StageTask.event_handler(luigi.Event.PROCESS_FAILURE)(_tell_failure)
    with warnings.catch_warnings():
        # Luigi reads these, but not as parameters of its section
        warnings.filterwarnings(
            "ignore", ".*'rpc_retry_", category=UnconsumedParameterWarning
        )
        try:
            yield
        finally:
            for section, option, _ in ours:
                known.remove_option(section, option)


def _tell_start(task: StageTask) -> None:
    runs = f", runs {task.run_words}" if task.run_words else ""
    _log.debug("Begun: %s%s", task_name(task), runs)


def _tell_end(task: StageTask, seconds: float) -> None:
    _log.debug("Done: %s in %.1f s", task_name(task), seconds)


def _tell_failure(task: StageTask, error: BaseException | str) -> None:
    """Tell why a task failed; of a process that died there are words only."""
    words = str(error) if isinstance(error, (BkgpipeError, str)) else repr(error)
    _log.error("Failed: %s: %s", task.stage, words)
    if isinstance(error, BaseException):
        _log.debug("Traceback of %s", task_name(task), exc_info=error)
