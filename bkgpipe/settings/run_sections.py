"""Keys of the sections about single runs: which, their masks and histograms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.criteria import RunCuts
from bkgpipe.core.run_list import RunList
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
    quantities,
    quantity,
)

__all__ = [
    "BinningSettings",
    "CountSettings",
    "DataSettings",
    "MaskSettings",
    "SelectSettings",
]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Where the archive is, and where products go."""

    store: Path | None = key(
        PATH,
        "",
        "Folder of the DL3 data store, or the FITS file with both indexes; required",
    )
    allow: tuple[Path, ...] = key(
        PATHS, "", "Other folders that its index and its links may lead into"
    )
    output: Path = key(PATH, "bkgpipe-output", "Folder of all products")
    counts: Path | None = key(
        PATH,
        "",
        "Folder of masks and counts, which productions may share; empty takes output",
    )
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

    obs_ids: RunList = key(OBS_IDS, "", "Runs to take; empty takes all")
    exclude_obs_ids: RunList = key(OBS_IDS, "", "Runs to leave out")
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
    star_radius: float = key(
        quantity("deg"),
        "0.35 deg",
        "Radius around a star",
        minimum=0,
        maximum=10,
    )
    star_magnitude: float = key(
        NUMBER,
        "8",
        "Only stars brighter than this [mag]; the table ends at 8",
        minimum=-2,
        maximum=8,
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
    find: bool = key(
        FLAG,
        "false",
        "Look for sources in maps of the sky, and exclude what is found as well",
    )
    find_passes: int = key(
        INTEGER,
        "6",
        "Models are made anew at most so many times while more is found",
        minimum=1,
        maximum=50,
    )
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
    """Which energies of a run are safe, its exposure, and its control events."""

    exposure: str = key(
        choice("geometry", "events"),
        "geometry",
        "Kept solid angle from the mask, or from the kept share of the events (biased)",
    )
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
        quantity("deg"),
        "1 deg",
        "Offset at which that area is taken, or the nearest of the responses",
        minimum=0,
    )
    control_offset: float = key(
        quantity("deg"), "4 deg", "Outer edge of the ring of control events", minimum=0
    )
