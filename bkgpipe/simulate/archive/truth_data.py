"""The true background of a simulated archive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape
from bkgpipe.errors import SettingsError

__all__ = ["RunTruth", "Truth"]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Background rate per live time, as a formula.

    The rate is ``norm * E**-index / (1 + (threshold / E)**sharpness)
    * exp(-offset**2 / (2 width(E)**2) + gradient_lon * lon + gradient_lat * lat)``
    with ``width(E) = width * E**width_slope``, between the two energies and up to the
    largest offset, and zero elsewhere. Each run has it times a factor of its own:
    ``exp(zenith_slope * (cos_zenith - 1)
    + azimuth_amplitude * sin_zenith * cos(azimuth - azimuth_phase)
    + epoch_slope * (time - epoch_reference)) * muon_efficiency**muon_power``, times
    the step of its epoch, times what scatters from run to run.

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
    azimuth_amplitude : float
        Half of the difference of the logarithm of the rate between opposite azimuths,
        as it would be at the horizon; it grows with the sine of the zenith angle.
    azimuth_phase : float
        Azimuth at which the rate is largest, from north over east [deg].
    epoch_slope : float
        Derivative of the logarithm of the rate by time [1/yr].
    epoch_reference : float
        Time at which the slope makes no difference, TT as modified Julian date [d].
    epoch_steps : tuple of tuple of float
        Time from which on a factor holds, likewise [d], and the factor: the rate over
        that before the first step. Times increase.
    muon_power : float
        Power of the muon efficiency that the rate grows with.
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
    azimuth_amplitude: float = 0.0
    azimuth_phase: float = 0.0
    epoch_slope: float = 0.0
    epoch_reference: float = 53005.0
    epoch_steps: tuple[tuple[float, float], ...] = ()
    muon_power: float = 0.0
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
        times = [time for time, _ in self.epoch_steps]
        _require(
            "epoch_steps",
            is_fine=times == sorted(set(times))
            and all(factor > 0 for _, factor in self.epoch_steps),
            fix="Give increasing dates, and factors above zero",
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
        True rate of each run over the formula without any law of conditions: the
        laws of zenith, azimuth, epoch and muon efficiency, times the run's own
        scatter, shape ``(n_runs,)``.
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


def _require(name: str, *, is_fine: bool, fix: str) -> None:
    if not is_fine:
        raise SettingsError(
            what="the value is out of range", where=f"simulation, {name}", fix=fix
        )
