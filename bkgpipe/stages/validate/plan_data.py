"""What is known of a validation before its first fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["RunGlance", "ScoredEnergies", "Shares"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RunGlance:
    """Energies of the events of one run, before any mask.

    Attributes
    ----------
    obs_id : int
        Run number.
    counts : np.ndarray
        Events in steps of energy, the same for all runs; shape ``(n_steps,)``.
    safe_energy_min : float
        Safe energy of the run [TeV]; zero without one.
    """

    obs_id: int
    counts: np.ndarray
    safe_energy_min: float


@dataclass(frozen=True, kw_only=True)
class ScoredEnergies:
    """Energies in which models are scored.

    Attributes
    ----------
    low, high : float
        Lowest and highest energy [TeV].
    n_bins : int
        Number of bins.
    reason : str
        What they were chosen by.
    """

    low: float
    high: float
    n_bins: int
    reason: str

    @property
    def edges(self) -> np.ndarray:
        """Energy edges, shape ``(n_bins + 1,)`` [TeV]."""
        return np.geomspace(self.low, self.high, self.n_bins + 1)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Which runs are scored alone, which together, and which not.

    Attributes
    ----------
    alone : tuple of int
        Runs with enough events.
    joined : tuple of tuple of int
        Poor runs of the same night, which have enough together.
    left_out : dict of int to str
        Reason for each of the others.
    """

    alone: tuple[int, ...]
    joined: tuple[tuple[int, ...], ...]
    left_out: dict[int, str]
