"""Keys of simulated archives: their runs, and the true background in them."""

from __future__ import annotations

from dataclasses import dataclass

from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import INTEGER

__all__ = ["SimulationSettings"]


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """The runs of a simulated archive."""

    runs: int = key(INTEGER, "30", "Number of runs", minimum=1)
    seed: int = key(INTEGER, "1", "Seed; equal seeds give equal files", minimum=0)
