"""What a simulated archive is made from, and how well the truth is recovered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.datamodel.checks import require_shape
from bkgpipe.errors import SettingsError

__all__ = ["Closure", "PointSource", "RunTruth", "Simulation", "Truth"]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Background rate per live time, as a formula.

    The rate is ``norm * E**-index / (1 + (threshold / E)**sharpness)
    * exp(-offset**2 / (2 width(E)**2) + gradient_lon * lon + gradient_lat * lat
    + zenith_slope * (cos_zenith - 1))`` with ``width(E) = width * E**width_slope``,
    between the two energies and up to the largest offset, and zero elsewhere.

    Attributes
    ----------
    norm : float
        Rate at 1 TeV, centre and zenith, far above threshold [s-1 TeV-1 sr-1].
    index : float
        Spectral index.
    threshold : float
        Energy at which half of the power law is lost [TeV].
    sharpness : float
        Steepness of the threshold; zero for a pure power law of half the norm.
    width : float
        Gaussian width of the field of view at 1 TeV [deg].
    width_slope : float
        Power of the energy with which the width grows.
    gradient_lon, gradient_lat : float
        Gradient of the logarithm of the rate [1/deg].
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``: the frame of the gradients.
    zenith_slope : float
        Derivative of the logarithm of the rate by the cosine of the zenith angle.
    run_scatter : float
        Standard deviation of the logarithm of the norm from run to run.
    energy_min, energy_max : float
        Range of the reconstructed energy [TeV].
    offset_max : float
        Edge of the field of view [deg].
    """

    norm: float = 280.0
    index: float = 2.7
    threshold: float = 0.2
    sharpness: float = 4.0
    width: float = 1.3
    width_slope: float = 0.08
    gradient_lon: float = 0.0
    gradient_lat: float = 0.0
    fov_alignment: str = "RADEC"
    zenith_slope: float = 0.0
    run_scatter: float = 0.0
    energy_min: float = 0.05
    energy_max: float = 100.0
    offset_max: float = 4.0

    def __post_init__(self) -> None:
        for name in ("norm", "threshold", "width", "energy_min", "offset_max"):
            _require(name, is_fine=getattr(self, name) > 0, fix="Make it positive")
        _require(
            "energy_max",
            is_fine=self.energy_max > self.energy_min,
            fix="Make it larger than energy_min",
        )
        _require(
            "run_scatter", is_fine=self.run_scatter >= 0, fix="Make it zero or more"
        )
        _require(
            "fov_alignment",
            is_fine=self.fov_alignment in ("ALTAZ", "RADEC"),
            fix="Use ALTAZ or RADEC",
        )


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
        On-time of a run [s].
    seed : int
        Seed; equal seeds give equal archives.
    zenith_min, zenith_max : float
        Range of the zenith angle at mid-run, uniform in solid angle [deg].
    deadc : float
        Dead-time fraction as in GADF: livetime / ontime.
    safe_energy_min : float
        Lowest safe energy that the observation table gives [TeV].
    sources : tuple of PointSource
        Sources in each field.
    time_start : float
        Start of the first run, TT as modified Julian date [d].
    longitude, latitude, altitude : float
        Place of the observatory [deg, deg, m]; that of H.E.S.S.
    """

    n_runs: int = 30
    first_obs_id: int = 1001
    duration: float = 600.0
    seed: int = 0
    zenith_min: float = 5.0
    zenith_max: float = 50.0
    deadc: float = 0.9
    safe_energy_min: float = 0.1
    sources: tuple[PointSource, ...] = ()
    time_start: float = 55000.8
    longitude: float = 16.5002222
    latitude: float = -23.2717777
    altitude: float = 1835.0

    def __post_init__(self) -> None:
        _require("n_runs", is_fine=self.n_runs > 0, fix="Ask for one run or more")
        _require("duration", is_fine=self.duration > 0, fix="Make it positive")
        _require("deadc", is_fine=0 < self.deadc <= 1, fix="Keep it in (0, 1]")
        _require(
            "zenith_max",
            is_fine=0 <= self.zenith_min <= self.zenith_max < 85,
            fix="Keep 0 <= zenith_min <= zenith_max < 85 deg",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class RunTruth:
    """The true rate of each run of a simulated archive.

    Attributes
    ----------
    truth : Truth
        The formula.
    obs_ids : np.ndarray
        Runs, sorted, shape ``(n_runs,)``.
    factor : np.ndarray
        True rate of each run over the formula at the zenith: the zenith law times
        the run's own scatter, shape ``(n_runs,)``.
    """

    truth: Truth
    obs_ids: np.ndarray
    factor: np.ndarray

    def __post_init__(self) -> None:
        require_shape("factor", self.factor, self.obs_ids.shape)

    def factors(self, obs_ids: np.ndarray) -> np.ndarray:
        """Return the factors of some runs.

        Parameters
        ----------
        obs_ids : np.ndarray
            Runs, all of which were simulated, shape ``(n_taken,)``.

        Returns
        -------
        np.ndarray
            Factors, shape ``(n_taken,)``.
        """
        taken: np.ndarray = self.factor[np.searchsorted(self.obs_ids, obs_ids)]
        return taken


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


def _require(name: str, *, is_fine: bool, fix: str) -> None:
    if not is_fine:
        raise SettingsError(
            what="the value is out of range", where=f"simulation, {name}", fix=fix
        )
