"""Files of rates."""

from __future__ import annotations

from bkgpipe.datamodel import RateModel
from bkgpipe.io.chunk_file import ChunkFile

__all__ = ["MODELS"]

MODELS = ChunkFile(RateModel)
