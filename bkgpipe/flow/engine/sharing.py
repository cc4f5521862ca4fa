"""A worker of Luigi that shares the chunks of a stage with others."""

from __future__ import annotations

from bkgpipe.chain.inputs import is_selected
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.flow.engine.worker import WatchfulFactory, WatchfulWorker

__all__ = ["SharingFactory", "SharingWorker"]


class SharingWorker(WatchfulWorker):
    """A worker that names all chunks to a central scheduler before it begins.

    The scheduler gives a task only to workers that named it. Those that wait for
    `AllChunks` to tell its chunks do so in the one that happens to run it, which would
    then make them all.
    """

    def run(self) -> bool:
        """Name the chunks and work.

        Returns
        -------
        bool
            Whether nothing failed.
        """
        self._name_chunks()
        return bool(super().run())

    def _name_chunks(self) -> None:
        stages = [t for t in self._scheduled_tasks.values() if isinstance(t, AllChunks)]
        for stage in stages:
            if is_selected(stage.settings):
                for chunk in stage.chunks():
                    if chunk.task_id not in self._scheduled_tasks:
                        self.add(chunk)


class SharingFactory(WatchfulFactory):
    """Makes what `luigi.build` works with, for a central scheduler."""

    worker_class = SharingWorker
