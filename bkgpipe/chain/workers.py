"""What processes that work for another one have in common."""

from __future__ import annotations

import os
import signal
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread

__all__ = ["become_worker"]


def become_worker() -> None:
    """Leave signals to the process that started this one, and end with it.

    What is half written at that moment is under another name.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the parent: nobody else would end this process."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
