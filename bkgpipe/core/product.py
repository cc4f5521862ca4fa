"""What every product file says of itself, and how runs share a file."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Chunk", "ProductHeader"]

_Record = TypeVar("_Record")


@dataclass(frozen=True, kw_only=True)
class ProductHeader:
    """Origin of a product file.

    Attributes
    ----------
    stage : str
        Stage that made it.
    fingerprint : str
        Hash of the settings that it depends on.
    inputs : str
        Digest of the inputs that it was made from.
    seconds : float
        Wall time that it took [s].
    version : str
        Version of bkgpipe.
    """

    stage: str
    fingerprint: str
    inputs: str
    seconds: float
    version: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk(Generic[_Record]):
    """Products of a block of runs (or stacks), and those that could not be made.

    Attributes
    ----------
    records : dict of int to object
        Product of each ``obs_id`` (or ``stack_id``).
    refused : dict of int to str
        Reason for each that has no product.
    """

    records: dict[int, _Record] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)

    def only(self, numbers: Container[int]) -> Chunk[_Record]:
        """Take some of a block.

        Parameters
        ----------
        numbers : container of int
            Those to take; they need not be in it.

        Returns
        -------
        Chunk
            Their products and reasons, in the same order.
        """
        return Chunk(
            records={key: each for key, each in self.records.items() if key in numbers},
            refused={key: why for key, why in self.refused.items() if key in numbers},
        )
