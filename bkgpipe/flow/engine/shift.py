"""How long a worker works: until a time, a signal, or for as long as there is work."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

__all__ = ["Leaving", "Limits", "Shift"]

_BEAT = 60.0  # s, between two signs of life
# A worker looks every other second whether it has to go. When a signal found it in
# something that takes longer, as asking a scheduler that is gone, it is torn from it.
_PATIENCE = 6.0  # s
_LAST_CALL, _STOP = signal.SIGUSR1, (signal.SIGTERM, signal.SIGINT)


class Leaving(BaseException):
    """A worker has to go although the production is not done; says why.

    It is no Exception, because Luigi goes on after those while it schedules.
    """


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a worker may stay.

    Attributes
    ----------
    started : float
        When it began, by ``time.monotonic()`` [s].
    no_new : float
        Time since then after which it takes no new work [s].
    stop : float
        Time since then at which it stops what it has in hand [s].
    idle : float
        Longest time without work [s].
    """

    started: float = field(default_factory=time.monotonic)
    no_new: float = math.inf
    stop: float = math.inf
    idle: float = math.inf


class Shift:
    """The time that a worker spends on a production.

    Parameters
    ----------
    limits : Limits
        How long it may stay.
    beat : callable
        Called every minute while the worker asks whether it has to go.

    Attributes
    ----------
    n_done : int
        Tasks that it did.
    stopped : list of str
        Names of the tasks that it stopped.
    """

    def __init__(self, *, limits: Limits, beat: Callable[[], None]) -> None:
        self.n_done = 0
        self.stopped: list[str] = []
        self._limits = limits
        self._beat = beat
        self._busy = self._told = time.monotonic()
        self._last_call = ""
        self._signal = ""
        self._is_leaving = False

    @property
    def seconds(self) -> float:
        """Time since it began [s]."""
        return time.monotonic() - self._limits.started

    @property
    def takes_work(self) -> bool:
        """Whether it asks for more work."""
        if not self._last_call and self.seconds > self._limits.no_new:
            self.call_last("near the time limit")
        return not self._last_call

    def call_last(self, reason: str) -> None:
        """Take no new work from now on, and leave when the work in hand is done.

        Parameters
        ----------
        reason : str
            Why, in words.
        """
        self._last_call = self._last_call or reason

    def check(self, *, n_running: int) -> None:
        """Look whether to leave, to be called every few seconds.

        Parameters
        ----------
        n_running : int
            Tasks in hand.

        Raises
        ------
        Leaving
            If it is time to.
        """
        now = time.monotonic()
        if now - self._told > _BEAT:
            self._beat()
            self._told = now
        if n_running:
            self._busy = now
        reason = self._signal or self._over(n_running=n_running)
        if reason:
            raise Leaving(reason)

    def _over(self, *, n_running: int) -> str:
        if self.seconds > self._limits.stop:
            return "at the time limit"
        if n_running:
            return ""
        if not self.takes_work:
            return self._last_call
        idle = time.monotonic() - self._busy
        is_idle = idle > self._limits.idle
        return f"without work for {idle:.0f} s, others hold it" if is_idle else ""

    @contextmanager
    def obey_signals(self) -> Iterator[None]:
        """Leave on SIGTERM and SIGINT while the block runs; SIGUSR1 is the last call.

        Yields
        ------
        None
            Nothing.
        """
        before = {
            number: signal.signal(number, self._hear)
            for number in (*_STOP, _LAST_CALL, signal.SIGALRM)
        }
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def leave(self) -> None:
        """Say that the worker is leaving: signals change nothing any more."""
        self._is_leaving = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    @contextmanager
    def hurry(self) -> Iterator[None]:
        """Give the block some seconds.

        Yields
        ------
        None
            Nothing.

        Raises
        ------
        Leaving
            If it takes longer.
        """
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            raise Leaving(self._signal or "no answer")
        name = signal.Signals(number).name
        if number == _LAST_CALL:
            self.call_last(f"after {name}")
        elif not self._signal and not self._is_leaving:
            self._signal = f"after {name}"
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
