"""What a look at a store told, and the settings that fit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bkgpipe.core.checks import require_shape
from bkgpipe.core.run import Run

__all__ = ["Proposal", "StoreSample"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StoreSample:
    """All runs of a store, and the events of some of them.

    Attributes
    ----------
    runs : tuple of Run
        All runs of the store.
    n_read : int
        Runs of which the events were read.
    hours_read : float
        Their live time [h].
    energy : np.ndarray
        Energies of their valid events, shape ``(n_events,)`` [TeV].
    offset : np.ndarray
        Distances of the same events from the pointing, shape ``(n_events,)`` [deg].
    fov_limit : float
        Largest offset of their effective areas; NaN when they have none, or only one
        offset [deg].
    safe : mapping of int to tuple of float and str
        Safe energy of the runs that were read and its origin, as `count` takes them
        [TeV].
    """

    runs: tuple[Run, ...]
    n_read: int
    hours_read: float
    energy: np.ndarray
    offset: np.ndarray
    fov_limit: float
    safe: Mapping[int, tuple[float, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_shape("offset", self.offset, self.energy.shape)

    @property
    def hours(self) -> float:
        """Live time of all runs [h]."""
        return sum(run.livetime for run in self.runs if run.livetime > 0) / 3600

    @property
    def safe_energies(self) -> np.ndarray:
        """Safe energies that are known, at most one of each run [TeV]."""
        origins = {run.obs_id: run.safe_energy_min for run in self.runs}
        origins |= {obs_id: energy for obs_id, (energy, _) in self.safe.items()}
        known = np.array([*origins.values()], dtype=np.float64)
        return known[known > 0]

    def in_field(self, offset_max: float) -> np.ndarray:
        """Return the energies of the events in a field.

        Parameters
        ----------
        offset_max : float
            Its edge [deg].

        Returns
        -------
        np.ndarray
            Energies, shape ``(n_in_field,)`` [TeV].
        """
        return self.energy[self.offset <= offset_max]

    def column(self, name: str) -> np.ndarray:
        """Return one attribute of all runs.

        Parameters
        ----------
        name : str
            Attribute of `Run`.

        Returns
        -------
        np.ndarray
            Values, shape ``(n_runs,)``.
        """
        return np.array([getattr(run, name) for run in self.runs], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A value for a key of the settings, and why.

    Attributes
    ----------
    key : str
        Section and key, as ``binning.energy_min``.
    value : str
        Value as a user would write it; empty keeps the default.
    reason : str
        Why, in one sentence without a full stop.
    """

    key: str
    value: str
    reason: str

    @property
    def is_kept(self) -> bool:
        """Whether the default fits."""
        return not self.value
