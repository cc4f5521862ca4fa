"""What a job takes along and brings back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Baggage", "Packed", "Verdict"]


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A file with all that a job needs.

    Attributes
    ----------
    path : Path
        The file.
    sum : str
        Its SHA-256.
    chunks : tuple of int
        Chunks that the job makes.
    """

    path: Path
    sum: str
    chunks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of an answer.

    Attributes
    ----------
    is_taken : bool
        Whether its products are in place, now or before.
    reason : str
        Why it was refused.
    can_help : bool
        Whether another job could bring a better one.
    """

    is_taken: bool
    reason: str = ""
    can_help: bool = True


class Baggage(Protocol):
    """How bundles are made, and answers put in place."""

    def pack(
        self, word: str, chunks: Sequence[tuple[int, ...]], folder: Path
    ) -> list[Packed]:
        """Make the bundle of each job.

        Parameters
        ----------
        word : str
            What the jobs make.
        chunks : sequence of tuple of int
            Chunks of each job.
        folder : Path
            Folder of the bundles.

        Returns
        -------
        list of Packed
            Bundle of each job, in this order.
        """
        ...

    def put(self, answer: Path) -> Verdict:
        """Verify an answer, and put its products in place; twice is harmless.

        Parameters
        ----------
        answer : Path
            The answer.

        Returns
        -------
        Verdict
            What became of it.
        """
        ...
