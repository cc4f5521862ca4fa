"""What a file was when it was written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Seal"]


@dataclass(frozen=True, kw_only=True)
class Seal:
    """Size and checksum of a file that a marker stands for.

    Attributes
    ----------
    name : str
        File, relative to the folder of the stage.
    size : int
        Its length [bytes].
    sha256 : str
        SHA-256 of its content, hexadecimal.
    """

    name: str
    size: int
    sha256: str
