"""Keys of background events that are taken from other runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bkgpipe.core.run_list import RunList
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import (
    FLAG,
    INTEGER,
    NUMBER,
    OBS_IDS,
    PATH,
    PATHS,
    choice,
    quantity,
)
from bkgpipe.simulate.overlay.data import OverlayLimits

__all__ = ["OverlaySettings"]


@dataclass(frozen=True, kw_only=True)
class OverlaySettings:
    """Which runs get the events of which other runs."""

    store: Path | None = key(PATH, "", "Data store whose runs get them; required")
    runs: RunList = key(OBS_IDS, "", "Runs that get them; empty takes all")
    keep_events: bool = key(FLAG, "true", "Keep the events of these runs, as signal")
    off_store: Path | None = key(PATH, "", "Data store of the OFF runs; required")
    allow: tuple[Path, ...] = key(
        PATHS, "", "Other folders that indexes and links of both stores may lead into"
    )
    off_runs: RunList = key(
        OBS_IDS, "", "OFF runs; empty takes all that the production allows"
    )
    production: Path | None = key(
        PATH,
        "",
        "Settings file, or output folder, of a production of the OFF store: what it"
        " excludes is never copied; empty takes the defaults",
    )
    alignment: str = key(
        choice("ALTAZ", "RADEC"), "ALTAZ", "Field in which an event keeps its place"
    )
    offset_max: float = key(
        quantity("deg"), "4 deg", "Largest offset of events", minimum=0.1, maximum=20
    )
    order: str = key(
        choice("nearest", "sequence", "random"),
        "nearest",
        "Read OFF runs nearest in cos zenith first, by number, or shuffled by the seed",
    )
    reuse: bool = key(
        FLAG, "false", "Begin the OFF runs again when all that match are used up"
    )
    pool: Path | None = key(
        PATH, "", "overlay_pool.json of another output: what it used is not used again"
    )
    zenith_slope: float = key(
        NUMBER,
        "0",
        "Rates go as exp(slope * cos zenith); 0 takes those of the OFF runs",
    )
    check: bool = key(FLAG, "true", "Take only OFF runs within the limits below")
    max_zenith_difference: float = key(
        quantity("deg"), "inf", "Limit in zenith angle", minimum=0
    )
    max_cos_zenith_difference: float = key(
        NUMBER, "0.1", "Limit in the cosine of the zenith angle", minimum=0
    )
    max_azimuth_difference: float = key(
        quantity("deg"), "inf", "Limit in azimuth", minimum=0
    )
    same_side: bool = key(FLAG, "false", "Ask for both in the north, or in the south")
    max_time_difference: float = key(
        quantity("d"), "inf", "Limit in time (epoch)", minimum=0
    )
    max_muon_efficiency_difference: float = key(
        NUMBER, "0.2", "Limit in muon efficiency", minimum=0
    )
    max_nsb_difference: float = key(
        NUMBER, "inf", "Limit in night-sky background", minimum=0
    )
    same_telescopes: bool = key(FLAG, "false", "Ask for the same telescopes")
    check_threshold: bool = key(
        FLAG, "true", "Ask for a safe energy no higher than that of the target"
    )
    seed: int = key(INTEGER, "1", "Seed; equal seeds give equal files", minimum=0)

    @property
    def limits(self) -> OverlayLimits:
        """The limits for the numerics; none when nothing is checked."""
        if not self.check:
            return OverlayLimits()
        return OverlayLimits(
            zenith=self.max_zenith_difference,
            cos_zenith=self.max_cos_zenith_difference,
            azimuth=self.max_azimuth_difference,
            same_side=self.same_side,
            time=self.max_time_difference,
            muon_efficiency=self.max_muon_efficiency_difference,
            nsb=self.max_nsb_difference,
            same_telescopes=self.same_telescopes,
            threshold=self.check_threshold,
        )
