"""The bundles and answers of a production, for the desk that sends its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bkgpipe.batch.bundle.pack import pack_chunks
from bkgpipe.batch.bundle.put import put_answers
from bkgpipe.batch.ship.baggage import Packed, Verdict
from bkgpipe.settings import Settings

__all__ = ["Bundles"]


@dataclass(frozen=True, kw_only=True)
class Bundles:
    """Bundles and answers of a production.

    Attributes
    ----------
    settings : Settings
        Settings that the production keeps beside its products.
    """

    settings: Settings

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
        return [
            Packed(path=bundle.path, sum=bundle.sha256, chunks=bundle.chunks)
            for bundle in pack_chunks(self.settings, word, chunks, folder=folder)
        ]

    def put(self, answer: Path) -> Verdict:
        """Verify an answer, and put its products in place.

        Parameters
        ----------
        answer : Path
            The answer.

        Returns
        -------
        Verdict
            What became of it.
        """
        (result,) = put_answers(self.settings, [answer])
        return Verdict(
            is_taken=not result.kind, reason=result.reason, can_help=result.may_pass
        )
