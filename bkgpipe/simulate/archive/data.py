"""What a simulated archive is made from, and how well the truth is recovered."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape
from bkgpipe.core.run import Events
from bkgpipe.errors import SettingsError

__all__ = [
    "Closure",
    "Distribution",
    "Field",
    "PointSource",
    "SimulatedEvents",
    "Simulation",
]

_N_VALUES = {"constant": 1, "uniform": 2, "normal": 2, "sky": 2}


def _require(name: str, *, is_fine: bool, fix: str) -> None:
    if not is_fine:
        raise SettingsError(
            what="the value is out of range", where=f"simulation, {name}", fix=fix
        )


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """What a condition of simulated runs is drawn from.

    Attributes
    ----------
    law : str
        ``constant``; ``uniform`` between two values; ``normal``; or ``sky``: an angle
        to the zenith between two values, uniform in solid angle.
    values : tuple of float
        The value; the least and the largest; or mean and standard deviation, in the
        unit of the condition.
    """

    law: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        first, last = self.values[0], self.values[-1]
        is_complete = len(self.values) == _N_VALUES.get(self.law, -1)
        is_ordered = last >= 0 if self.law == "normal" else first <= last
        _require(
            "distribution",
            is_fine=is_complete and is_ordered and all(map(math.isfinite, self.values)),
            fix="Give one value; uniform or sky and two that increase; or normal, the"
            " mean and a width of zero or more",
        )


@dataclass(frozen=True, kw_only=True)
class Field:
    """Something to point at.

    Attributes
    ----------
    name : str
        Name of the target.
    ra, dec : float
        Its place, ICRS [deg].
    """

    name: str
    ra: float
    dec: float


@dataclass(frozen=True, kw_only=True)
class PointSource:
    """A gamma-ray source at the same place in the field of each simulated run.

    Attributes
    ----------
    fov_lon, fov_lat : float
        Place in the field of view, RADEC alignment [deg].
    rate : float
        Events per live time [s-1].
    index : float
        Spectral index.
    width : float
        Standard deviation of the Gaussian point spread function [deg].
    """

    fov_lon: float
    fov_lat: float
    rate: float
    index: float = 2.5
    width: float = 0.07

    def __post_init__(self) -> None:
        _require("rate", is_fine=self.rate >= 0, fix="Make it zero or more")
        _require("width", is_fine=self.width >= 0, fix="Make it zero or more")


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedEvents:
    """The events of a simulated run, and what each of them is.

    Attributes
    ----------
    events : Events
        The events, in order of time.
    bkg_type : np.ndarray
        0 for a source, 1 for background, int16, shape ``(n_events,)``.
    """

    events: Events
    bkg_type: np.ndarray

    def __post_init__(self) -> None:
        require_shape("bkg_type", self.bkg_type, self.events.energy.shape)


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """The runs of a simulated archive.

    Attributes
    ----------
    n_runs : int
        Number of runs.
    first_obs_id : int
        Number of the first run; the others follow.
    duration : float
        Length of a run, gaps included [s].
    seed : int
        Seed; equal seeds give equal archives.
    zenith, azimuth : Distribution
        Pointing at mid-run [deg]. A field has its own azimuth at each zenith angle.
    deadc : Distribution
        Dead-time fraction as in GADF: livetime / ontime.
    muon_efficiency : Distribution
        Muon efficiency.
    n_gaps : int
        Gaps between good time intervals of a run.
    gap : float
        Length of a gap [s].
    safe_energy_min : float
        Safe energy at the zenith that the observation table gives [TeV].
    safe_energy_power : float
        Power of 1 / cos(zenith angle) with which it grows.
    min_latitude : float
        Least distance of drawn pointings from the Galactic plane [deg].
    fields : tuple of Field
        What is pointed at, in turn; empty draws the pointing from zenith and azimuth.
    wobble : float
        Distance of the pointing from the field, to each of four sides in turn [deg].
    sources : tuple of PointSource
        Sources in each field.
    time_start : float
        Start of the first run, TT as modified Julian date [d].
    time_stop : float
        Last night, likewise: runs are drawn uniformly from the places in all nights
        in between. NaN lets night follow on night.
    longitude, latitude, altitude : float
        Place of the observatory [deg, deg, m]; that of H.E.S.S.
    """

    n_runs: int = 30
    first_obs_id: int = 1001
    duration: float = 600.0
    seed: int = 0
    zenith: Distribution = Distribution(law="sky", values=(5.0, 50.0))
    azimuth: Distribution = Distribution(law="uniform", values=(0.0, 360.0))
    deadc: Distribution = Distribution(law="constant", values=(0.9,))
    muon_efficiency: Distribution = Distribution(law="constant", values=(1.0,))
    n_gaps: int = 0
    gap: float = 0.0
    safe_energy_min: float = 0.1
    safe_energy_power: float = 0.0
    min_latitude: float = 20.0
    fields: tuple[Field, ...] = ()
    wobble: float = 0.0
    sources: tuple[PointSource, ...] = ()
    time_start: float = 55000.8
    time_stop: float = float("nan")
    longitude: float = 16.5002222
    latitude: float = -23.2717777
    altitude: float = 1835.0

    def __post_init__(self) -> None:
        _require("n_runs", is_fine=self.n_runs > 0, fix="Ask for one run or more")
        _require("duration", is_fine=self.duration > 0, fix="Make it positive")
        _require(
            "gap",
            is_fine=self.n_gaps >= 0 and 0 <= self.n_gaps * self.gap < self.duration,
            fix="Leave time between the gaps",
        )
        _require(
            "zenith",
            is_fine=self.zenith.law == "normal"
            or (self.zenith.values[0] >= 0 and self.zenith.values[-1] < 85),
            fix="Keep it at 0 deg or more and below 85 deg",
        )
        _require(
            "deadc",
            is_fine=self.deadc.law == "normal"
            or (self.deadc.values[0] > 0 and self.deadc.values[-1] <= 1),
            fix="Keep it in (0, 1]",
        )
        _require(
            "time_stop",
            is_fine=not self.time_stop <= self.time_start,
            fix="Make it later than time_start",
        )

    @property
    def ontime(self) -> float:
        """Length of a run without its gaps [s]."""
        return self.duration - self.n_gaps * self.gap


@dataclass(frozen=True, kw_only=True)
class Closure:
    """How well counts or a model agree with the truth.

    Attributes
    ----------
    n_bins : int
        Bins with enough counts expected.
    n_expected, n_recovered : float
        Counts expected and recovered, sum over these bins.
    pull_mean, pull_width : float
        Mean and standard deviation of (recovered - expected) / sqrt(expected).
    ratio_mean, ratio_rms : float
        Mean and root mean square of recovered / expected - 1: bias of a bin, and what
        noise and smoothing together cost.
    """

    n_bins: int
    n_expected: float
    n_recovered: float
    pull_mean: float
    pull_width: float
    ratio_mean: float
    ratio_rms: float
