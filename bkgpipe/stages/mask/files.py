"""Files of exclusion masks."""

from __future__ import annotations

from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.stages.mask.data import ExclusionMask

__all__ = ["MASKS"]

MASKS = ChunkFile(ExclusionMask)
