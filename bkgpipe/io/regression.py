"""The file of a regression."""

from __future__ import annotations

from bkgpipe.datamodel import RegressionFit
from bkgpipe.io.chunk_file import ChunkFile

__all__ = ["FIT"]

FIT = ChunkFile(RegressionFit)
