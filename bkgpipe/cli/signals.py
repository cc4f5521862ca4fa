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
from typing import TYPE_CHECKING, Any

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
        self._before: dict[signal.Signals, Any] = {}
        self._hook = sys.unraisablehook

    def listen(self) -> None:
        """Begin to listen, but to nothing that the caller ignores."""
        sys.unraisablehook = self._catch
        if current_thread() is not main_thread():
            return
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before != signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._hear)

    def rest(self) -> None:
        """Give each signal back to whom it was taken from."""
        # what the interrupt left half made may still complain when it goes
        sys.unraisablehook = _pass_over if self.heard else self._hook
        for number, before in self._before.items():
            signal.signal(number, before)

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


def _pass_over(_lost: UnraisableHookArgs) -> None:
    """Say nothing: the process has been told to end, and ends."""


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
    try:
        ears.listen()
        yield
    except BaseException:
        # where it struck can make another error of it
        if not ears.heard:
            raise
        name = signal.Signals(ears.heard).name
        click.echo(f"Stopped by {name}. {kept()}", err=True)
        sys.exit(128 + ears.heard)
    finally:
        ears.rest()
