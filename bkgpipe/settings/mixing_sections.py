"""Keys of background events that are drawn from models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import INTEGER, NUMBER, PATH

__all__ = ["COMPONENT_PREFIX", "ComponentSettings", "MixingSettings"]

COMPONENT_PREFIX = "component:"


@dataclass(frozen=True, kw_only=True)
class MixingSettings:
    """Which runs get drawn background, and how much of it."""

    store: Path | None = key(PATH, "", "Data store whose runs get it; required")
    seed: int = key(INTEGER, "1", "Seed; equal seeds give equal files", minimum=0)


@dataclass(frozen=True, kw_only=True)
class ComponentSettings:
    """One component of the background, of which there may be several."""

    scale: float = key(NUMBER, "1", "Factor on its rate", minimum=0)
