"""Files of rates."""

from __future__ import annotations

from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.stages.smooth.data import RateModel

__all__ = ["MODELS"]

MODELS = ChunkFile(RateModel)
