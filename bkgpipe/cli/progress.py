"""Show how far each stage is, from what is on disk."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from bkgpipe.chain.summary import read_states
from bkgpipe.chain.workers import become_worker
from bkgpipe.errors import BkgpipeError
from bkgpipe.settings import Settings
from bkgpipe.stages.report.summary import StageState

__all__ = ["show_progress"]

_PATIENCE = 5.0  # s, for the watcher to show the end
_BAR_SECONDS = 0.3
_LINE_SECONDS = 2.0


@contextmanager
def show_progress(settings: Settings, *, beat: Callable[[], None]) -> Iterator[None]:
    """Show progress while the block runs: bars on a terminal, lines elsewhere.

    A process of its own looks at the folders, so that it shows the work of all
    workers, and no thread is there when Luigi forks.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    beat : callable
        Called again and again while the production runs.

    Yields
    ------
    None
        Nothing.
    """
    context = multiprocessing.get_context("fork")
    # no lock is shared: the watcher may be killed or stopped at any moment
    finished, end = context.Pipe(duplex=False)
    show = _show_bars if sys.stderr.isatty() else _show_lines
    watcher = context.Process(
        target=_watch, args=(show, settings, finished, beat), daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        end.send_bytes(b"over")
        watcher.join(timeout=_PATIENCE)
        watcher.kill()
        finished.close()
        end.close()


def _watch(
    show: Callable[[Settings, Connection, Callable[[], None]], None],
    settings: Settings,
    finished: Connection,
    beat: Callable[[], None],
) -> None:
    become_worker()
    show(settings, finished, beat)


def _is_over(finished: Connection, *, parent: int, seconds: float) -> bool:
    """Wait; True when the production ended, or its process is gone."""
    return finished.poll(seconds) or os.getppid() != parent


def _look(settings: Settings) -> list[StageState]:
    """Read how far the stages are; nothing when files cannot be read just now."""
    try:
        return read_states(settings)
    except (BkgpipeError, OSError):
        return []


def _show_bars(
    settings: Settings, finished: Connection, beat: Callable[[], None]
) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    parent = os.getppid()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = {}
        is_over = False
        while not is_over:
            is_over = _is_over(finished, parent=parent, seconds=_BAR_SECONDS)
            beat()
            for state in _look(settings):
                if state.stage not in bars:
                    bars[state.stage] = progress.add_task(state.stage, rate="")
                bar = progress.tasks[bars[state.stage]]
                progress.update(
                    bar.id,
                    completed=state.n_done,
                    total=state.n_total if state.n_total >= 0 else None,
                    rate=f"{bar.speed:.1f} chunks/s" if bar.speed else "",
                )


def _show_lines(
    settings: Settings, finished: Connection, beat: Callable[[], None]
) -> None:
    parent = os.getppid()
    started = time.monotonic()
    told: dict[str, int] = {}
    is_over = False
    while not is_over:
        is_over = _is_over(finished, parent=parent, seconds=_LINE_SECONDS)
        beat()
        for state in _look(settings):
            if state.n_done != told.get(state.stage, 0):
                _tell(state, seconds=time.monotonic() - started)
                told[state.stage] = state.n_done


def _tell(state: StageState, *, seconds: float) -> None:
    total = f" of {state.n_total}" if state.n_total >= 0 else ""
    print(f"{seconds:6.1f} s  {state.stage}: {state.n_done}{total}", file=sys.stderr)
