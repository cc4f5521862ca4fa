"""What was logged since a task began, for the page of a scheduler."""

from __future__ import annotations

import logging
from collections import deque

__all__ = ["STORY", "Story"]

_KEPT = 30


class Story(logging.Handler):
    """Keeps the last messages of bkgpipe.

    Attributes
    ----------
    lines : deque of str
        Time (UTC) and words of each message, the newest last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def begin(self) -> None:
        """Forget all, and listen."""
        self.lines.clear()
        logging.getLogger("bkgpipe").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message.

        Parameters
        ----------
        record : logging.LogRecord
            The message.
        """
        self.lines.append(self.format(record))


STORY = Story()
"""Of the task that this process works on."""
