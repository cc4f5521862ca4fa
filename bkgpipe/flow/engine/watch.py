"""Whether a process still does something, by what the system says of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Pulse"]

_STATES = {"T": "it is stopped", "D": "it waits for a disk or a file system"}


@dataclass(kw_only=True)
class Pulse:
    """What is known of a process that works.

    A process that computes, reads or writes takes CPU time. One that takes none is
    stopped, or waits for something that does not come. Where the system tells nothing
    of processes, each seems to be at work.

    Attributes
    ----------
    pid : int
        Its number.
    silent : float
        Time for which it has done nothing [s]. Time in which this process was stopped
        itself does not count.
    is_told : bool
        Whether that was told.
    """

    pid: int
    silent: float = 0.0
    is_told: bool = False
    _spent: str = ""
    _looked: float = field(default_factory=time.monotonic)

    def look(self, *, step: float) -> None:
        """Look at the process, if the last look is some seconds ago.

        Parameters
        ----------
        step : float
            Time between two looks [s].
        """
        passed = time.monotonic() - self._looked
        if passed < step:
            return
        self._looked += passed
        spent = " ".join(_status(self.pid)[11:13])
        is_silent = spent != "" and spent == self._spent
        self.silent = self.silent + min(passed, 2 * step) if is_silent else 0.0
        self.is_told = self.is_told and is_silent
        self._spent = spent

    @property
    def words(self) -> str:
        """Why it does nothing, as far as the system tells."""
        status = _status(self.pid)
        return _STATES.get(status[0], "it waits") if status else "it is gone"


def _status(pid: int) -> list[str]:
    """State, ..., user time and system time of a process; empty if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(") ")[2].split()
