"""Files of rankings, and of the runs that they are made of."""

from __future__ import annotations

from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.stages.rank.data import Candidates, Ranking

__all__ = ["CANDIDATES", "RANKINGS"]

CANDIDATES = ChunkFile(Candidates)
RANKINGS = ChunkFile(Ranking)
