"""How the rate of runs follows their conditions, and what the models say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape

__all__ = ["ConditionCurve", "Dependence", "RunRate", "RunSpectrum"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RunSpectrum:
    """Counts of one run in energy, beside those that its model predicts.

    Attributes
    ----------
    obs_id : int
        Run number.
    stack_id : int
        Number of its model; -1 when it has none.
    safe_energy_min : float
        Lowest energy at which the run contributes [TeV].
    kept_fraction : float
        Share of the solid angle of the field that the mask keeps.
    checksum : str
        SHA-256 of the events file as read.
    counts : np.ndarray
        Events kept, shape ``(n_energy,)``.
    exposure : np.ndarray
        Exposure, shape ``(n_energy,)`` [s sr].
    predicted : np.ndarray
        Events that the model predicts where the run has exposure, shape
        ``(n_energy,)``; NaN without a model.
    """

    obs_id: int
    stack_id: int
    safe_energy_min: float
    kept_fraction: float
    checksum: str
    counts: np.ndarray
    exposure: np.ndarray
    predicted: np.ndarray

    def __post_init__(self) -> None:
        for name in ("exposure", "predicted"):
            require_shape(name, getattr(self, name), self.counts.shape)


@dataclass(frozen=True, kw_only=True)
class RunRate:
    """Rate of one run above an energy, counted and predicted.

    Attributes
    ----------
    obs_id : int
        Run number.
    stack_id : int
        Number of its model; -1 when it has none.
    safe_energy_min : float
        Lowest energy at which the run contributes [TeV].
    kept_fraction : float
        Share of the solid angle of the field that the mask keeps.
    checksum : str
        SHA-256 of the events file as read.
    n_events : int
        Events kept, of all energies.
    counts : int
        Events kept above that energy.
    exposure : float
        Exposure there; zero for a run that is not safe at it [s sr].
    predicted : float
        Events that its model predicts there; NaN without a model.
    """

    obs_id: int
    stack_id: int
    safe_energy_min: float
    kept_fraction: float
    checksum: str
    n_events: int
    counts: int
    exposure: float
    predicted: float

    @property
    def rate(self) -> float:
        """Rate that was counted, NaN without exposure [s-1 sr-1]."""
        return self.counts / self.exposure if self.exposure > 0 else float("nan")

    @property
    def rate_error(self) -> float:
        """Its Poisson error, that of one event where there is none [s-1 sr-1]."""
        error = float(np.sqrt(max(self.counts, 1)))
        return error / self.exposure if self.exposure > 0 else float("nan")

    @property
    def predicted_rate(self) -> float:
        """Rate that the model predicts [s-1 sr-1]."""
        return self.predicted / self.exposure if self.exposure > 0 else float("nan")

    @property
    def ratio(self) -> float:
        """Counted over predicted; NaN without a prediction."""
        is_known = self.exposure > 0 and self.predicted > 0
        return self.counts / self.predicted if is_known else float("nan")

    @property
    def pull(self) -> float:
        """Excess over the prediction in units of its Poisson error."""
        is_known = self.exposure > 0 and self.predicted > 0
        excess = self.counts - self.predicted
        return excess / float(np.sqrt(self.predicted)) if is_known else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionCurve:
    """Rate that a regression predicts as one condition changes.

    All other conditions are at the medians of the runs.

    Attributes
    ----------
    name : str
        Condition: ``zenith`` [deg], ``time`` [d] or ``muon_efficiency``.
    values : np.ndarray
        Values of the condition, shape ``(n,)``.
    rate : np.ndarray
        Rate above the energy, mean over the field, shape ``(n,)`` [s-1 sr-1].
    error : np.ndarray
        Relative statistical error, shape ``(n,)``; an upper limit.
    """

    name: str
    values: np.ndarray
    rate: np.ndarray
    error: np.ndarray

    def __post_init__(self) -> None:
        for name in ("rate", "error"):
            require_shape(name, getattr(self, name), self.values.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dependence:
    """Rates of all runs above one energy.

    Attributes
    ----------
    energy_min : float
        Lower edge of the lowest energy bin; NaN without runs [TeV].
    runs : tuple of RunRate
        In order of ``obs_id``.
    curves : tuple of ConditionCurve
        What a regression says; empty for other methods.
    """

    energy_min: float = float("nan")
    runs: tuple[RunRate, ...] = ()
    curves: tuple[ConditionCurve, ...] = ()
