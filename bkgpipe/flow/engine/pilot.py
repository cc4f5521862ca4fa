"""A worker of Luigi that can leave before all is done, and gives back its tasks."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

from luigi.rpc import RemoteScheduler, RPCError
from luigi.scheduler import Scheduler
from luigi.task_status import DONE, PENDING
from luigi.worker import GetWorkResponse

from bkgpipe.flow.base import StageTask
from bkgpipe.flow.engine.build import build
from bkgpipe.flow.engine.sharing import SharingFactory, SharingWorker
from bkgpipe.flow.engine.shift import Leaving, Shift
from bkgpipe.flow.names import task_name
from bkgpipe.settings import Settings

__all__ = ["PilotWorker", "work"]

_log = logging.getLogger(__name__)


def work(task: StageTask, settings: Settings, *, log: Path, shift: Shift) -> str:
    """Work on a production until it is done, or the shift is over.

    Parameters
    ----------
    task : StageTask
        The production.
    settings : Settings
        Settings; they name a central scheduler.
    log : Path
        File that keeps the messages.
    shift : Shift
        How long to stay; learns what was done.

    Returns
    -------
    str
        Why the worker left; empty when there is nothing left that it could do.

    Raises
    ------
    OutputError
        If no scheduler answers.
    """
    factory = _Factory(shift, hung_after=settings.run.hung_after)
    with shift.obey_signals():
        try:
            build(task, settings, log=log, factory=factory)
        except Leaving as leaving:
            return str(leaving)
    return ""


class PilotWorker(SharingWorker):
    """A worker that leaves when its shift is over.

    Its tasks run in processes of their own. Those that it has to stop it gives back,
    so that another worker gets them at once; they do not count as failed.

    Parameters
    ----------
    scheduler : Scheduler or RemoteScheduler
        The scheduler.
    shift : Shift
        How long to stay.
    **options : object
        Of `WatchfulWorker`.
    """

    def __init__(
        self,
        scheduler: Scheduler | RemoteScheduler,
        *,
        shift: Shift,
        **options: Any,
    ) -> None:
        # the shift hears the signals
        super().__init__(scheduler, no_install_shutdown_handler=True, **options)
        self._shift = shift
        self._begun: dict[str, float] = {}

    def _leave(self) -> None:
        self._shift.leave()
        super()._leave()
        self._give_back()

    def _get_work(self) -> GetWorkResponse:
        self._shift.check(n_running=len(self._running_tasks))
        self._stop_requesting_work = not self._shift.takes_work
        found: GetWorkResponse = super()._get_work()
        return found

    def _handle_next_task(self) -> None:
        self._shift.check(n_running=len(self._running_tasks))
        super()._handle_next_task()

    def _start_phasing_out(self) -> None:
        # asked for by someone on the page of the scheduler, if not by the shift
        self._shift.call_last("as told by the scheduler")
        super()._start_phasing_out()

    def _run_task(self, task_id: str) -> None:
        self._begun[task_id] = time.monotonic()
        super()._run_task(task_id)

    def _add_task(self, *args: Any, **told: Any) -> None:
        super()._add_task(*args, **told)
        task_id = told["task_id"]
        if told["status"] == DONE and task_id in self._running_tasks:
            seconds = time.monotonic() - self._begun[task_id]
            name = task_name(self._running_tasks[task_id].task)
            self._shift.n_done += 1
            _log.info("Done: %s in %.1f s", name, seconds)

    def _give_back(self) -> None:
        tasks = [process.task for process in self._running_tasks.values()]
        self._shift.stopped = [task_name(task) for task in tasks]
        try:
            with self._shift.hurry():
                for task in tasks:
                    self._free(task)
                # what a process sent just before it was stopped changes nothing now
                self._scheduler.disable_worker(worker=self._id)
        except (Leaving, RPCError):
            _log.warning(
                "The scheduler does not answer: it will give these tasks to others "
                "when it misses this worker"
            )

    def _free(self, task: StageTask) -> None:
        """Make a task of this worker pending again.

        The scheduler believes that of a running task only when it needs more than was
        known. So it is told what it knows; or that the task waits for itself, which is
        taken back.
        """
        needed = [each.task_id for each in task.deps()]
        tell = partial(
            self._scheduler.add_task,
            worker=self._id,
            task_id=task.task_id,
            status=PENDING,
            runnable=False,  # not by this worker
            retry_policy_dict={"retry_count": task.retry_count},
        )
        tell(new_deps=needed or [task.task_id])
        if not needed:
            tell(deps=[])


class _Factory(SharingFactory):
    """Makes pilots."""

    def __init__(self, shift: Shift, *, hung_after: float) -> None:
        super().__init__(hung_after=hung_after)
        self._shift = shift

    def create_worker(
        self,
        scheduler: Scheduler | RemoteScheduler,
        worker_processes: int,
        assistant: bool = False,  # noqa: ARG002
    ) -> PilotWorker:
        return PilotWorker(
            scheduler,
            n_processes=worker_processes,
            hung_after=self.hung_after,
            shift=self._shift,
            force_multiprocessing=True,
        )
