"""What Ctrl-C, and a request to end, do in every command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["stoppable"]

_SOON = 0.01  # s
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Ears:
    """Hears the first signal; the next one ends the process at once."""

    def __init__(self) -> None:
        self.heard = 0
        self._owner = os.getpid()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs, but to nothing that the caller ignores."""
        before = {
            number: signal.signal(number, self._hear)
            for number in _SIGNALS
            if current_thread() is main_thread()
            and signal.getsignal(number) != signal.SIG_IGN
        }
        hook, sys.unraisablehook = sys.unraisablehook, self._catch
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            os._exit(128 + number)  # a worker that has just been started
        self.heard = number
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._strike()

    def _strike(self, *_: object) -> None:
        for worker in active_children():
            worker.kill()  # what it was writing is under another name
        raise KeyboardInterrupt

    def _catch(self, lost: UnraisableHookArgs) -> None:
        """Strike again where Python passed over the interrupt, as amid a fork."""
        if not self.heard:
            sys.__unraisablehook__(lost)
        elif issubclass(lost.exc_type, KeyboardInterrupt):
            signal.signal(signal.SIGALRM, self._strike)
            signal.setitimer(signal.ITIMER_REAL, _SOON)


@contextmanager
def stoppable(kept: Callable[[], str]) -> Iterator[None]:
    """End the block and all its workers on a signal, and tell what is kept.

    A second signal ends the process without words.

    Parameters
    ----------
    kept : callable
        Says what is kept and how to go on.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    SystemExit
        With the exit code of the signal: 130 for SIGINT, 143 for SIGTERM.
    """
    ears = _Ears()
    with ears.listening():
        try:
            yield
        except BaseException:
            # where it struck can make another error of it
            if not ears.heard:
                raise
            name = signal.Signals(ears.heard).name
            click.echo(f"Stopped by {name}. {kept()}", err=True)
            sys.exit(128 + ears.heard)
