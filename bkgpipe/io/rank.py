"""Files of rankings, and of the runs that they are made of."""

from __future__ import annotations

from bkgpipe.datamodel import Candidates, Ranking
from bkgpipe.io.chunk_file import ChunkFile

__all__ = ["CANDIDATES", "RANKINGS"]

CANDIDATES = ChunkFile(Candidates)
RANKINGS = ChunkFile(Ranking)
