"""What the HDF5 files of each stage hold, to be read and written.

``MASKS.read(path)`` returns a `Chunk` of masks, and so on. ``CANDIDATES`` and ``FIT``
are files of a single product, which has the number 0.
"""

from __future__ import annotations

from bkgpipe.datamodel import (
    Candidates,
    ExclusionMask,
    ExportEntry,
    NodeModel,
    Ranking,
    RateModel,
    RegressionFit,
    RunCounts,
    Stack,
)
from bkgpipe.io.chunk_file import ChunkFile

__all__ = [
    "CANDIDATES",
    "COUNTS",
    "ENTRIES",
    "FIT",
    "MASKS",
    "MODELS",
    "NODES",
    "RANKINGS",
    "STACKS",
]

MASKS = ChunkFile(ExclusionMask)
COUNTS = ChunkFile(RunCounts)
CANDIDATES = ChunkFile(Candidates)
RANKINGS = ChunkFile(Ranking)
STACKS = ChunkFile(Stack)
FIT = ChunkFile(RegressionFit)
MODELS = ChunkFile(RateModel)
NODES = ChunkFile(NodeModel)
ENTRIES = ChunkFile(ExportEntry)
