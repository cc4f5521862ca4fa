"""A worker of Luigi that watches over the processes of its tasks."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from multiprocessing import active_children
from types import TracebackType
from typing import Any, ClassVar, Literal

from luigi.rpc import RemoteScheduler
from luigi.scheduler import Scheduler
from luigi.worker import TaskProcess, Worker

from bkgpipe.chain.workers import become_worker
from bkgpipe.flow.engine.watch import Pulse
from bkgpipe.flow.names import task_name

__all__ = ["WatchfulFactory", "WatchfulWorker"]

_log = logging.getLogger(__name__)

_PATIENCE = 5.0  # s, for processes and threads to end
_TELL = 60.0  # s, of silence
_STEP = 5.0  # s, between two looks at a process


class WatchfulWorker(Worker):
    """A worker that watches over its tasks, where these run in processes of their own.

    A process that dies, or does nothing for long, is replaced by another that tries the
    same task again. Whatever ends this worker ends them too.

    Parameters
    ----------
    scheduler : Scheduler or RemoteScheduler
        The scheduler.
    n_processes : int
        Tasks at a time.
    hung_after : float
        Time of silence after which a process is killed [s].
    **options : object
        Of Luigi's worker.
    """

    def __init__(
        self,
        scheduler: Scheduler | RemoteScheduler,
        *,
        n_processes: int,
        hung_after: float,
        **options: Any,
    ) -> None:
        super().__init__(
            scheduler=scheduler,
            worker_processes=n_processes,
            task_process_context=f"{__name__}.{_InWorker.__name__}",
            **options,
        )
        self._hung_after = hung_after
        self._pulses: dict[str, Pulse] = {}
        self._n_lost: Counter[str] = Counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        self._keep_alive_thread.stop()
        if kind:
            self._leave()
        _end_finished()
        # it may be asking a scheduler that is gone, which takes minutes
        self._keep_alive_thread.join(timeout=_PATIENCE)
        # a process that was killed may hold its lock
        self._task_result_queue.cancel_join_thread()
        self._task_result_queue.close()
        return False

    def _leave(self) -> None:
        """Kill: all that a task leaves behind is a file, which is removed later."""
        processes = [each for each in self._running_tasks.values() if each.pid]
        for process in processes:
            process.kill()
        for process in processes:
            process.join(timeout=_PATIENCE)

    def _purge_children(self) -> None:
        for task_id, process in list(self._running_tasks.items()):
            if process.exitcode:
                self._replace(task_id, process, reason=_ending(process.exitcode))
            elif process.is_alive():
                self._feel(task_id, process)
        super()._purge_children()

    def _feel(self, task_id: str, process: TaskProcess) -> None:
        """Look whether a process does something, and kill one that does not."""
        pulse = self._pulses.get(task_id)
        if pulse is None or pulse.pid != process.pid:
            pulse = self._pulses[task_id] = Pulse(pid=int(process.pid or 0))
        pulse.look(step=min(_STEP, self._hung_after / 4))
        if pulse.silent >= self._hung_after:
            process.kill()
            process.join(timeout=_PATIENCE)
            process.timeout_time = 0.0  # one that waits for a disk outlives that
            self._replace(task_id, process, reason="did nothing, and was killed")
        elif pulse.silent >= min(_TELL, self._hung_after / 2) and not pulse.is_told:
            pulse.is_told = True
            _log.warning(
                "%s, process %d: nothing done for %.0f s, %s. "
                "After %.0f s it is killed and the task tried again",
                task_name(process.task),
                *(process.pid, pulse.silent, pulse.words, self._hung_after),
            )

    def _replace(self, task_id: str, process: TaskProcess, *, reason: str) -> None:
        """Try a task again whose process is lost, unless that happens too often."""
        self._n_lost[task_id] += 1
        name = f"{task_name(process.task)}, process {process.pid}"
        if self._n_lost[task_id] >= process.task.retry_count:
            _log.error("%s: %s, for the last time", name, reason)
            return
        _log.warning("%s: %s. The task is tried again", name, reason)
        self._free_results()
        del self._running_tasks[task_id]
        self._run_task(task_id)

    def _free_results(self) -> None:
        """Take the lock of the results from a process that was killed with it.

        No other process keeps it for long: results are a few words.
        """
        lock = self._task_result_queue._wlock  # type: ignore[attr-defined]
        lock.acquire(timeout=_PATIENCE)
        lock.release()


def _end_finished() -> None:
    """Kill processes that gave their result and do not end, as one that is stopped.

    Nobody else knows of them any more, but Python would wait for them at its end.
    """
    for process in active_children():
        if isinstance(process, TaskProcess):
            process.join(timeout=_PATIENCE)
            process.kill()
            process.join(timeout=_PATIENCE)


class WatchfulFactory:
    """Makes what `luigi.build` works with.

    Parameters
    ----------
    hung_after : float
        Time of silence after which a process is killed [s].
    """

    worker_class: ClassVar[type[WatchfulWorker]] = WatchfulWorker

    def __init__(self, *, hung_after: float) -> None:
        self.hung_after = hung_after
        self.connect: Callable[[], RemoteScheduler] | None = None

    def create_local_scheduler(self) -> Scheduler:
        """Make a scheduler in this process.

        Returns
        -------
        Scheduler
            Scheduler.
        """
        return Scheduler(prune_on_get_work=True, record_task_history=False)

    def create_remote_scheduler(self, url: str) -> RemoteScheduler:
        """Make the connection to a central scheduler.

        Parameters
        ----------
        url : str
            Its address, unless `connect` makes the connection.

        Returns
        -------
        RemoteScheduler
            Connection.
        """
        return self.connect() if self.connect else RemoteScheduler(url)

    def create_worker(
        self,
        scheduler: Scheduler | RemoteScheduler,
        worker_processes: int,
        assistant: bool = False,
    ) -> WatchfulWorker:
        """Make the worker.

        Parameters
        ----------
        scheduler : Scheduler or RemoteScheduler
            The scheduler.
        worker_processes : int
            Tasks at a time.
        assistant : bool
            Whether to do tasks that others named.

        Returns
        -------
        WatchfulWorker
            The worker.
        """
        return self.worker_class(
            scheduler,
            n_processes=worker_processes,
            hung_after=self.hung_after,
            assistant=assistant,
        )


class _InWorker:
    """What surrounds a task in the process that runs it.

    Parameters
    ----------
    process : TaskProcess
        The process.
    """

    def __init__(self, process: TaskProcess) -> None:
        self._process = process

    def __enter__(self) -> None:
        if self._process.use_multiprocessing:
            become_worker()

    def __exit__(self, *_: object) -> None:
        """End with the process."""


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
