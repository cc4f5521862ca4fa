"""Keys of the sections about models: which runs they are made of, and how."""

from __future__ import annotations

from dataclasses import dataclass

from bkgpipe.core.criteria import MimicLimits, RankCriteria
from bkgpipe.core.run_list import RunList
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import (
    FLAG,
    INTEGER,
    NUMBER,
    OBS_IDS,
    choice,
    choices,
    quantities,
    quantity,
)
from bkgpipe.stages.fit.terms import DEFAULT_TERMS, TERMS
from bkgpipe.stages.rank.divergence import DIVERGENCES
from bkgpipe.stages.table import method_names

__all__ = [
    "ExportSettings",
    "FitSettings",
    "RankSettings",
    "SkySettings",
    "SmoothSettings",
    "StackSettings",
]


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """Which runs look like a target run."""

    hours: float = key(
        quantity("h"), "10 h", "Live time to stack for one target", minimum=0
    )
    divergence: str = key(
        choice(*DIVERGENCES),
        "kullback_leibler",
        "How unlike two shapes are; jensen_shannon is slower",
    )
    energy_bins: int = key(
        INTEGER,
        "12",
        "Energy bins of the shapes, joined from those of [binning]",
        minimum=1,
        maximum=1000,
    )
    offset_bins: int = key(INTEGER, "5", "Likewise in offset", minimum=1, maximum=1000)
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
        NUMBER, "0.2", "Mimic limit in muon efficiency", minimum=0
    )
    max_nsb_difference: float = key(
        NUMBER, "inf", "Mimic limit in night-sky background", minimum=0
    )
    max_rate_difference: float = key(
        NUMBER, "inf", "Mimic limit in the log of the rate of control events", minimum=0
    )
    same_telescopes: bool = key(FLAG, "false", "Ask for the same telescope list")
    widen: bool = key(
        FLAG, "true", "Widen the limits, all alike, when too few runs pass them"
    )
    scale: str = key(
        choice("control", "none"),
        "control",
        "Bring each run to the rate of control events of the target, or leave it",
    )
    allow_short: bool = key(
        FLAG, "true", "Go on with a warning when fewer hours are found than asked for"
    )

    @property
    def criteria(self) -> RankCriteria:
        """How to rank, for the numerics."""
        return RankCriteria(
            divergence=self.divergence,
            energy_bins=self.energy_bins,
            offset_bins=self.offset_bins,
            hours=self.hours,
            own=self.own,
            min_overlap=self.min_overlap,
            limits=MimicLimits(
                zenith=self.max_zenith_difference,
                azimuth=self.max_azimuth_difference,
                time=self.max_time_difference,
                muon_efficiency=self.max_muon_efficiency_difference,
                nsb=self.max_nsb_difference,
                rate=self.max_rate_difference,
                same_telescopes=self.same_telescopes,
            ),
            widen=self.widen,
            scale=self.scale,
        )


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """Which runs are added up for a model."""

    strategy: str = key(
        choice(*method_names("stack")),
        "groups",
        "Groups of like conditions, the ranked runs of each target, or its own run",
    )
    method: str = key(
        choice("sum", "michi"),
        "sum",
        "Exposure without what the masks take, or live time alone as gammapy in 2015",
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
class FitSettings:
    """The regression of all runs, which [smooth] method = regression asks for."""

    terms: tuple[str, ...] = key(
        choices(*TERMS), ", ".join(DEFAULT_TERMS), "Conditions that it looks at"
    )
    energy_splines: int = key(
        INTEGER,
        "0",
        "Splines per decade of energy; 0 takes one for each energy bin",
        minimum=0,
        maximum=40,
    )
    offset_splines: int = key(INTEGER, "6", "Splines in offset", minimum=4, maximum=30)
    penalty: float = key(
        NUMBER, "1", "Strength of the penalty on bends of the splines", minimum=0
    )
    term_penalty: float = key(
        NUMBER,
        "1000",
        "Strength of the penalty on steps of a term in energy",
        minimum=0,
    )
    ridge: float = key(
        NUMBER, "10", "Strength of the pull of the terms to zero", minimum=0
    )
    choose_penalties: bool = key(
        FLAG,
        "false",
        "Whether to start from these three strengths and choose by nights left out",
    )
    max_points: int = key(
        INTEGER,
        "500",
        "More runs than these are joined by like conditions before the fit",
        minimum=1,
        maximum=100000,
    )


@dataclass(frozen=True, kw_only=True)
class SmoothSettings:
    """From sums, or from the fit, to a rate."""

    method: str = key(
        choice(*method_names("smooth")),
        "regression",
        "How the sums become a rate; regression fits all runs at once",
    )
    sigma: float = key(
        NUMBER, "1", "Width of the Gaussian [bins]", minimum=0, maximum=100
    )


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What is written for others."""

    obs_ids: RunList = key(
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
        choice("none", "run", "run_energy", "rim"),
        "none",
        "Scale each model to its run outside the mask, at all, by energy or by its rim",
    )
    low_norm: bool = key(
        FLAG,
        "true",
        "Scale each energy below the safe energy to the events of its run",
    )
    norm_min_offset: float = key(
        quantity("deg"),
        "0 deg",
        "Norms do not look at events nearer to the pointing than this",
        minimum=0,
    )
    store: str = key(
        choice("full", "index"),
        "full",
        "Copy the events files into the new store, or only index those of the old one",
    )


@dataclass(frozen=True, kw_only=True)
class SkySettings:
    """Maps of counts, background and significance."""

    energy_edges: tuple[float, ...] = key(
        quantities("TeV"),
        "",
        "Edges of the energy bands; empty takes a band for each decade",
    )
    nside: int = key(
        INTEGER,
        "1024",
        "HEALPix resolution of the background, and of the map of the archive",
        minimum=64,
        maximum=2048,
    )
    pixel: float = key(
        quantity("deg"),
        "0.05 deg",
        "Pixel of the maps of fields",
        minimum=0.01,
        maximum=1,
    )
    radii: tuple[float, ...] = key(
        quantities("deg"),
        "0.1 deg, 0.25 deg, 0.4 deg",
        "Radii of the discs in which significance is computed",
    )
    norm: str = key(
        choice("run", "none"),
        "run",
        "Scale the background of each run to its events outside the mask, or do not",
    )
    false_alarms: float = key(
        NUMBER,
        "0.001",
        "Hot spots outside the mask that chance may make in all fields, on average",
        minimum=0,
        maximum=10,
    )
    max_radius: float = key(
        quantity("deg"),
        "1.5 deg",
        "Upper limit of the radius of a hot spot",
        minimum=0.1,
        maximum=10,
    )
