"""Every key of the settings file: its default, its range and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bkgpipe.datamodel import Binning, MimicLimits, RunCuts
from bkgpipe.numerics.regression import DEFAULT_TERMS
from bkgpipe.numerics.terms import TERMS
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import (
    CATALOGS,
    CIRCLES,
    FLAG,
    INTEGER,
    NUMBER,
    OBS_IDS,
    PATH,
    PATHS,
    TEXT,
    TIME,
    WORDS,
    Circle,
    choice,
    choices,
    quantities,
    quantity,
)

__all__ = [
    "SECTIONS",
    "BinningSettings",
    "CountSettings",
    "DataSettings",
    "ExportSettings",
    "MaskSettings",
    "RankSettings",
    "RunSettings",
    "SelectSettings",
    "SmoothSettings",
    "StackSettings",
]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where the archive is, and where products go."""

    store: Path | None = key(
        PATH, "", "Folder of the DL3 data store (with its index files); required"
    )
    output: Path = key(PATH, "bkgpipe-output", "Folder of all products")
    gammapy_data: Path | None = key(
        PATH, "", "Folder with catalogs/; empty takes $GAMMAPY_DATA"
    )
    chunk_size: int = key(
        INTEGER,
        "100",
        "Runs share a file by obs_id // chunk_size",
        minimum=1,
        maximum=100000,
    )


@dataclass(frozen=True, kw_only=True)
class SelectSettings:
    """Which runs may contribute to models."""

    obs_ids: tuple[int, ...] = key(OBS_IDS, "", "Runs to take; empty takes all")
    exclude_obs_ids: tuple[int, ...] = key(OBS_IDS, "", "Runs to leave out")
    max_zenith: float = key(
        quantity("deg"), "90 deg", "Largest zenith angle", minimum=0, maximum=90
    )
    min_livetime: float = key(
        quantity("s"), "5 min", "Shortest live time of a run", minimum=0
    )
    max_quality: int = key(
        INTEGER, "2", "Largest GADF quality flag (0 is best)", minimum=0
    )
    time_min: float = key(TIME, "", "Earliest start of a run")
    time_max: float = key(TIME, "", "Latest start of a run")
    telescopes: str = key(TEXT, "", "Telescope list asked for, as in TELLIST")
    conditions: tuple[str, ...] = key(
        WORDS, "", "Cuts on columns of the observation table, as MUONEFF > 0.8"
    )

    @property
    def cuts(self) -> RunCuts:
        """The same for the numerics; no date means no limit."""
        return RunCuts(
            obs_ids=self.obs_ids,
            exclude_obs_ids=self.exclude_obs_ids,
            max_zenith=self.max_zenith,
            min_livetime=self.min_livetime,
            max_quality=self.max_quality,
            time_min=-np.inf if np.isnan(self.time_min) else self.time_min,
            time_max=np.inf if np.isnan(self.time_max) else self.time_max,
            telescopes=self.telescopes,
            conditions=self.conditions,
        )


@dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """What part of the sky no model may see."""

    radius: float = key(
        quantity("deg"),
        "0.35 deg",
        "Radius around a point source",
        minimum=0,
        maximum=10,
    )
    extension_factor: float = key(
        NUMBER, "3", "Radius of an extended source in units of its extension", minimum=0
    )
    max_radius: float = key(
        quantity("deg"),
        "1.5 deg",
        "Upper limit of that radius; reported when it bites",
        minimum=0,
        maximum=90,
    )
    catalogs: tuple[str | Path, ...] = key(
        CATALOGS,
        "gammacat, 3hwc",
        "gammacat, 3hwc, hgps, stars or table files",
    )
    circles: tuple[Circle, ...] = key(
        CIRCLES, "", "Discs: 'name: ra dec radius' in degrees, separated by commas"
    )
    regions: tuple[Path, ...] = key(PATHS, "", "DS9 or CRTF region files")
    masks: tuple[Path, ...] = key(PATHS, "", "FITS images or HEALPix maps, 0 excludes")
    search_radius: float = key(
        quantity("deg"),
        "4 deg",
        "Regions further than this from the pointing do not matter",
        minimum=0,
        maximum=90,
    )
    nside: int = key(INTEGER, "2048", "HEALPix resolution", minimum=256, maximum=16384)
    min_kept_fraction: float = key(
        NUMBER,
        "0.2",
        "Runs of which less of the field is kept are not stacked",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class BinningSettings:
    """Axes of the histograms and models."""

    energy_edges: tuple[float, ...] = key(
        quantities("TeV"), "", "Energy edges; empty takes the next three keys"
    )
    energy_min: float = key(quantity("TeV"), "0.1 TeV", "Lowest energy", minimum=1e-6)
    energy_max: float = key(quantity("TeV"), "100 TeV", "Highest energy", maximum=1e6)
    per_decade: int = key(
        INTEGER, "8", "Energy bins per decade", minimum=1, maximum=100
    )
    offset_max: float = key(
        quantity("deg"),
        "2.5 deg",
        "Largest offset of the models",
        minimum=0.1,
        maximum=20,
    )
    fov_bins: int = key(
        INTEGER, "20", "Bins of bkg_3d across the field", minimum=2, maximum=1000
    )
    offset_bins: int = key(
        INTEGER, "20", "Bins of bkg_2d, equal in solid angle", minimum=2, maximum=1000
    )

    @property
    def energy_edges_tev(self) -> np.ndarray:
        """Energy edges, given or logarithmic, shape ``(n_energy + 1,)`` [TeV]."""
        if self.energy_edges:
            return np.array(self.energy_edges)
        n_decades = np.log10(self.energy_max / self.energy_min)
        n_energy = max(1, round(self.per_decade * n_decades))
        edges: np.ndarray = np.geomspace(self.energy_min, self.energy_max, n_energy + 1)
        return edges

    @cached_property
    def axes(self) -> Binning:
        """The binning that these keys describe."""
        fov_edges = np.linspace(-self.offset_max, self.offset_max, self.fov_bins + 1)
        # Equal solid angle: sin(offset / 2)^2 grows by equal steps.
        highest = np.sin(np.radians(self.offset_max) / 2)
        steps = np.sqrt(np.linspace(0, 1, self.offset_bins + 1))
        offset_edges = 2 * np.degrees(np.arcsin(highest * steps))
        offset_edges[-1] = self.offset_max
        return Binning(
            energy_edges=self.energy_edges_tev,
            fov_lon_edges=fov_edges,
            fov_lat_edges=fov_edges,
            offset_edges=offset_edges,
        )


@dataclass(frozen=True, kw_only=True)
class CountSettings:
    """Which energies of a run are safe, and its control events."""

    safe_energy: str = key(
        choice("auto", "table", "aeff", "none"),
        "auto",
        "Where the safe energy comes from; auto: table, then aeff, then none",
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
        "Safe above this fraction of the largest effective area",
        minimum=0,
        maximum=1,
    )
    aeff_offset: float = key(
        quantity("deg"), "1 deg", "Offset at which that area is taken", minimum=0
    )
    control_offset: float = key(
        quantity("deg"), "4 deg", "Outer edge of the ring of control events", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """Which runs look like a target run."""

    hours: float = key(
        quantity("h"), "10 h", "Live time to stack for one target", minimum=0
    )
    own: bool = key(FLAG, "false", "Whether the target itself may be taken")
    min_overlap: float = key(
        NUMBER,
        "0.5",
        "Share of the target's events that common bins must hold",
        minimum=0,
        maximum=1,
    )
    max_zenith_difference: float = key(
        quantity("deg"), "inf", "Mimic limit in zenith angle", minimum=0
    )
    max_azimuth_difference: float = key(
        quantity("deg"), "inf", "Mimic limit in azimuth", minimum=0
    )
    max_time_difference: float = key(
        quantity("d"), "inf", "Mimic limit in time (epoch)", minimum=0
    )
    max_muon_efficiency_difference: float = key(
        NUMBER, "inf", "Mimic limit in muon efficiency", minimum=0
    )
    max_nsb_difference: float = key(
        NUMBER, "inf", "Mimic limit in night-sky background", minimum=0
    )
    same_telescopes: bool = key(FLAG, "false", "Ask for the same telescope list")
    allow_short: bool = key(
        FLAG, "true", "Go on with a warning when fewer hours are found than asked for"
    )

    @property
    def limits(self) -> MimicLimits:
        """The mimic limits, for the numerics."""
        return MimicLimits(
            zenith=self.max_zenith_difference,
            azimuth=self.max_azimuth_difference,
            time=self.max_time_difference,
            muon_efficiency=self.max_muon_efficiency_difference,
            nsb=self.max_nsb_difference,
            same_telescopes=self.same_telescopes,
        )


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """Which runs are added up for a model."""

    strategy: str = key(
        choice("groups", "ranked", "own"),
        "groups",
        "Groups of like conditions, the ranked runs of each target, or its own run",
    )
    zenith_edges: tuple[float, ...] = key(
        quantities("deg"), "0, 20, 30, 40, 50, 60, 90 deg", "Edges of groups in zenith"
    )
    azimuth_edges: tuple[float, ...] = key(
        quantities("deg"), "-90, 90, 270 deg", "Edges of groups in azimuth"
    )
    min_hours: float = key(
        quantity("h"), "2 h", "Groups with less live time are merged", minimum=0
    )
    min_counts: int = key(
        INTEGER, "5000", "Groups with fewer events are merged", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class SmoothSettings:
    """From counts and exposure to a rate."""

    method: str = key(
        choice("none", "gaussian", "regression"),
        "regression",
        "How the sums become a rate; regression fits all runs at once",
    )
    sigma: float = key(
        NUMBER, "1", "Width of the Gaussian [bins]", minimum=0, maximum=100
    )
    terms: tuple[str, ...] = key(
        choices(*TERMS),
        ", ".join(DEFAULT_TERMS),
        "Conditions that the regression looks at",
    )
    energy_splines: int = key(
        INTEGER, "5", "Splines of the regression per decade", minimum=1, maximum=20
    )
    offset_splines: int = key(
        INTEGER, "6", "Splines of the regression in offset", minimum=4, maximum=30
    )
    penalty: float = key(
        NUMBER, "1", "Strength of its penalty on bends of the splines", minimum=0
    )
    term_penalty: float = key(
        NUMBER, "10", "Strength of its penalty on steps of a term in energy", minimum=0
    )
    ridge: float = key(
        NUMBER, "100", "Strength of its pull of the terms to zero", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What is written for others."""

    obs_ids: tuple[int, ...] = key(
        OBS_IDS, "", "Runs that get a model; empty takes all selected runs"
    )
    format: tuple[str, ...] = key(
        choices("bkg_3d", "bkg_2d"),
        "bkg_3d, bkg_2d",
        "Models to write; the first one is the one that the store's index names",
    )
    alignment: str = key(
        choice("RADEC", "ALTAZ"), "RADEC", "Alignment of the field of view"
    )
    norm: str = key(
        choice("none", "run", "run_energy"),
        "none",
        "Scale each model to its run outside the mask, at all or by energy",
    )
    store: str = key(
        choice("full", "index"),
        "full",
        "Copy the events files into the new store, or only index those of the old one",
    )


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a production runs; nothing here changes a result."""

    workers: int = key(
        INTEGER, "1", "Worker processes on this machine", minimum=1, maximum=1024
    )
    allow_refused: bool = key(
        FLAG, "false", "Whether a production with unusable runs ends with exit code 0"
    )


SECTIONS: dict[str, type] = {
    "data": DataSettings,
    "select": SelectSettings,
    "mask": MaskSettings,
    "binning": BinningSettings,
    "count": CountSettings,
    "rank": RankSettings,
    "stack": StackSettings,
    "smooth": SmoothSettings,
    "export": ExportSettings,
    "run": RunSettings,
}
