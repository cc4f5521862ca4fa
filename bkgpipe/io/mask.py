"""Files of exclusion masks."""

from __future__ import annotations

from bkgpipe.datamodel import ExclusionMask
from bkgpipe.io.chunk_file import ChunkFile

__all__ = ["MASKS"]

MASKS = ChunkFile(ExclusionMask)
