"""Keys of background events that are drawn from models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bkgpipe.core.run_list import RunList
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import (
    FLAG,
    INTEGER,
    NUMBER,
    OBS_IDS,
    PATH,
    PATHS,
    Kind,
    choice,
    quantity,
)
from bkgpipe.simulate.mixing.data import BKG_TYPES

__all__ = ["COMPONENT_PREFIX", "COSMIC", "OWN", "ComponentSettings", "MixingSettings"]

COMPONENT_PREFIX = "component:"
OWN = "own"
"""Model of a component that is the one that the store names for each run."""
COSMIC = "electron"
"""Model of a component that is made from the cosmic rays and the responses."""


def _parse_model(text: str, folder: Path) -> str | Path | None:
    return text if text in {OWN, COSMIC} else PATH.parse(text, folder)


def _parse_optional(text: str, folder: Path) -> float:
    return NUMBER.parse(text, folder) if text else float("nan")


_MODEL = Kind(
    name="own, electron or a file",
    parse=_parse_model,
    write=lambda value: "" if value is None else str(value),
)
_OPTIONAL = Kind(
    name="number, or empty",
    parse=_parse_optional,
    write=lambda value: "" if np.isnan(value) else repr(value),
)


@dataclass(frozen=True, kw_only=True)
class MixingSettings:
    """Which runs get drawn background, and how much of it."""

    store: Path | None = key(PATH, "", "Data store whose runs get it; required")
    allow: tuple[Path, ...] = key(
        PATHS, "", "Other folders that its index and its links may lead into"
    )
    runs: RunList = key(OBS_IDS, "", "Runs to take; empty takes all")
    seed: int = key(INTEGER, "1", "Seed; equal seeds give equal files", minimum=0)
    keep_events: bool = key(
        FLAG,
        "false",
        "Keep the events of the runs; they must be signal alone",
    )
    scale: float = key(NUMBER, "1", "Factor on all components", minimum=0)
    offset_max: float = key(
        quantity("deg"),
        "2.5 deg",
        "Largest offset of events",
        minimum=0.1,
        maximum=20,
    )
    energy_min: float = key(quantity("TeV"), "0.05 TeV", "Lowest energy", minimum=1e-6)
    energy_max: float = key(quantity("TeV"), "100 TeV", "Highest energy", maximum=1e6)
    safe_energy: str = key(
        choice("auto", "table", "aeff", "none"),
        "auto",
        "Draw above the safe energy of each run; auto: table, then aeff, then none",
    )
    safe_energy_min: float = key(
        quantity("TeV"),
        "0 TeV",
        "Safe energy of all runs; 0 takes safe_energy",
        minimum=0,
    )
    aeff_fraction: float = key(
        NUMBER,
        "0.1",
        "With aeff: fraction of the largest effective area at 1 deg",
        minimum=0,
        maximum=1,
    )
    pixel: float = key(
        quantity("deg"),
        "0.05 deg",
        "Step across the field in which models are looked up",
        minimum=0.005,
        maximum=0.5,
    )
    per_decade: int = key(
        INTEGER,
        "48",
        "Steps per decade of energy, likewise; diffuse emission takes 24 at most",
        minimum=4,
        maximum=200,
    )


@dataclass(frozen=True, kw_only=True)
class ComponentSettings:
    """One component of the background, of which there may be several."""

    type: str = key(
        choice("total", "hadron", "electron", "muon", "diffuse", "template"),
        "total",
        "What the events are: the number in BKG_TYPE",
    )
    model: str | Path | None = key(
        _MODEL,
        "",
        "own (the model that the store names for the run), electron (cosmic rays), or "
        "a file; empty takes own, or electron for these",
    )
    rate: float = key(
        _OPTIONAL,
        "",
        "Events per second of on-time in the field; empty takes the model's",
        minimum=0,
    )
    scale: float = key(
        _OPTIONAL, "", "Factor on the model's rate; not with rate", minimum=0
    )
    bkg_type: int = key(
        INTEGER,
        "1",
        "Number in BKG_TYPE of type = template",
        minimum=1,
        maximum=98,
    )
    psf: bool = key(FLAG, "true", "Smear diffuse emission by the point spread")

    @property
    def number(self) -> int:
        """Number in the column ``BKG_TYPE``."""
        return self.bkg_type if self.type == "template" else BKG_TYPES[self.type]

    @property
    def source(self) -> str | Path | None:
        """Model, where none is given by what is usual for the type."""
        usual = {"total": OWN, "hadron": OWN, "electron": COSMIC}
        return self.model or usual.get(self.type)

    @property
    def factor(self) -> float:
        """Factor on the model's rate, if that is what counts."""
        return 1.0 if np.isnan(self.scale) else self.scale
