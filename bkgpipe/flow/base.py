"""What all stages share: settings, folders, digests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ClassVar, TypeVar

import luigi

from bkgpipe._version import __version__
from bkgpipe.chain.inputs import is_selected, load_table
from bkgpipe.chain.kept import load_settings
from bkgpipe.chain.outdated import known_inputs
from bkgpipe.chain.runs import digest_all, runs_by_chunk
from bkgpipe.core.passing import passing_reason
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run, RunTable
from bkgpipe.errors import DamagedFileError
from bkgpipe.flow.engine.story import STORY
from bkgpipe.flow.engine.targets import ProductTarget, set_aside
from bkgpipe.flow.names import run_words
from bkgpipe.product.hdf5 import read_header
from bkgpipe.product.whole_file import HOST
from bkgpipe.settings import Settings

__all__ = ["PASSING", "UNKNOWN", "ChunkTask", "StageTask"]

_SECONDS = 2.0  # between two messages to the scheduler

# Ends a digest of which the last part is not known yet; no product has such a one.
UNKNOWN = "-"

PASSING = "PASSING"
"""Begins what a task says of a failure that a second trial may not meet."""

_Task = TypeVar("_Task", bound="StageTask")


class StageTask(luigi.Task):
    """A stage of the chain, or one chunk of it."""

    config = luigi.Parameter(
        default="luigi.cfg", description="settings file of the production"
    )
    stage: ClassVar[str]
    log: ClassVar[Path | None] = None  # where messages of this process are kept
    _started = 0.0  # set when Luigi starts the task, in the process that runs it

    @classmethod
    @cache
    def get_params(cls) -> list[tuple[str, luigi.Parameter]]:
        """List the parameters; luigi looks at all attributes for each clone."""
        found: list[tuple[str, luigi.Parameter]] = super().get_params()
        return found

    @property
    def settings(self) -> Settings:
        """Settings of the production."""
        return load_settings(str(self.config))

    @property
    def retry_count(self) -> int:
        """Failures after which the scheduler gives the task up."""
        return self.settings.run.retries + 1

    @property
    def folder(self) -> Path:
        """Folder of the products of this stage."""
        return self.settings.folder(self.stage)

    @property
    def run_words(self) -> str:
        """Numbers of the runs that it works on; empty for all."""
        return ""

    @property
    def table(self) -> RunTable:
        """Runs of the store, as `Select` wrote them."""
        return load_table(self.settings)

    def complete(self) -> bool:
        """Tell whether nothing is left to do."""
        # A product of runs that are no longer those of the store is not complete.
        if not is_selected(self.settings) or self.inputs().endswith(UNKNOWN):
            return False
        try:
            is_whole = bool(super().complete())
            return is_whole and not self.lost() and not self.lost_before()
        except DamagedFileError as error:
            set_aside(error)
            return False

    def lost(self) -> str:
        """Tell what else this task made that is gone, although its product is there.

        Returns
        -------
        str
            Reason to run it again; empty if there is none.
        """
        return ""

    def lost_before(self) -> str:
        """Tell what other tasks made that is gone, although the product is there.

        Returns
        -------
        str
            Reason to run them again, and not this one; empty if there is none.
        """
        return ""

    def fault(self) -> str:
        """Tell why the product must be made, and change nothing.

        Returns
        -------
        str
            Reason; empty if there is none.
        """
        try:
            return self.output().fault() or self.lost()
        except DamagedFileError:
            return "damaged"

    def on_failure(self, exception: BaseException) -> str:
        """Say in a word whether the task may succeed when it is tried again.

        Parameters
        ----------
        exception : BaseException
            What `run` raised.

        Returns
        -------
        str
            What the scheduler keeps of it.
        """
        words = str(super().on_failure(exception))
        return f"{PASSING} {words}" if passing_reason(exception) else words

    def sibling(self, task: type[_Task], **changes: int) -> _Task:
        """Make another task of the same production, with the parameters they share.

        Parameters
        ----------
        task : type
            Its class.
        **changes : int
            Parameters with another value.

        Returns
        -------
        StageTask
            The task.
        """
        found: _Task = self.clone(task, **changes)
        return found

    def inputs(self) -> str:
        """Digest of everything that this task is made from.

        Returns
        -------
        str
            Digest; ends with ``UNKNOWN`` as long as a part of it must be made first.
        """
        return digest_all(self.table)

    def header(self) -> ProductHeader:
        """Header of the product, to be called when the work is done.

        Returns
        -------
        ProductHeader
            Header; its seconds count from the start of the task.
        """
        return ProductHeader(
            stage=self.stage,
            fingerprint=self.settings.fingerprint(self.stage),
            inputs=self.inputs(),
            seconds=time.monotonic() - self._started if self._started else 0.0,
            version=__version__,
        )


class ChunkTask(StageTask):
    """A stage of one block of runs, ``obs_id // chunk_size``."""

    chunk = luigi.IntParameter(description="number of the block of runs")
    file_name = ""
    _told = 0.0

    @property
    def path(self) -> Path:
        """File of the chunk."""
        return self.folder / f"{self.file_name or self.stage}_{self.chunk}.h5"

    @property
    def used(self) -> tuple[Run, ...]:
        """Runs of the chunk that are read at all."""
        return runs_by_chunk(self.table, self.settings.data.chunk_size)[self.chunk]

    @property
    def exported(self) -> tuple[Run, ...]:
        """Runs of the chunk that get a model."""
        return tuple(run for run in self.used if run.exported)

    @property
    def run_words(self) -> str:
        """Numbers of the runs of the chunk, as far as they are known."""
        if not is_selected(self.settings):
            return ""
        size = self.settings.data.chunk_size
        runs = runs_by_chunk(self.table, size).get(int(self.chunk), ())
        return run_words([run.obs_id for run in runs])

    def to_str_params(
        self, only_significant: bool = False, only_public: bool = False
    ) -> dict[str, str]:
        """Write the parameters, with the runs for the page of a scheduler.

        Parameters
        ----------
        only_significant : bool
            Leave out what does not tell the task from others, the runs too.
        only_public : bool
            Leave out what the page is not to show.

        Returns
        -------
        dict of str to str
            Text of each.
        """
        found: dict[str, str] = super().to_str_params(only_significant, only_public)
        return found if only_significant else found | {"runs": self.run_words}

    def inputs(self) -> str:
        """Digest of what the task is made from, as far as the runs tell it."""
        return known_inputs(self.settings, self.stage, int(self.chunk))

    def tell(self, n_done: int, n_total: int) -> None:
        """Show on the scheduler's page how far the chunk is, every other second.

        Parameters
        ----------
        n_done, n_total : int
            Runs or stacks that are done, and that are to do in all.
        """
        # only in the hands of a worker of Luigi a task has these
        message: Callable[[str], None] | None = self.set_status_message
        percentage: Callable[[int], None] | None = self.set_progress_percentage
        now = time.monotonic()
        is_early = n_done < n_total and now - self._told < _SECONDS
        if not (message and percentage) or is_early:
            return
        self._told = now
        lines = [
            f"{n_done} of {n_total} done, process {os.getpid()} on {HOST}",
            f"Runs: {self.run_words}",
            f"Log: {self.log}",
            *STORY.lines,
        ]
        message("\n".join(lines))
        percentage(100 * n_done // max(1, n_total))

    def output(self) -> ProductTarget:
        return ProductTarget(self.path, inputs=self.inputs, read_header=read_header)


def _note_start(task: StageTask) -> None:
    task._started = time.monotonic()
    STORY.begin()


def _set_damaged_aside(_task: StageTask, error: BaseException) -> None:
    """Move what the task could not read, so that it is made again."""
    if isinstance(error, DamagedFileError):
        set_aside(error)


StageTask.event_handler(luigi.Event.START)(_note_start)
StageTask.event_handler(luigi.Event.FAILURE)(_set_damaged_aside)
