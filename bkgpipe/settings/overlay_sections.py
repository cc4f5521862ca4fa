"""Keys of background events that are taken from other runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import INTEGER, PATH

__all__ = ["OverlaySettings"]


@dataclass(frozen=True, kw_only=True)
class OverlaySettings:
    """Which runs get the events of which other runs."""

    store: Path | None = key(PATH, "", "Data store whose runs get them; required")
    seed: int = key(INTEGER, "1", "Seed; equal seeds give equal files", minimum=0)
