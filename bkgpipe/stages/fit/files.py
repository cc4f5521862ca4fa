"""The file of a regression."""

from __future__ import annotations

from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.stages.fit.data import RegressionFit

__all__ = ["FIT"]

FIT = ChunkFile(RegressionFit)
