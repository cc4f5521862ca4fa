"""What a look at a store told, and the settings that fit it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.datamodel.checks import require_shape
from bkgpipe.datamodel.run import Run

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
    has_area : bool
        Whether every one of them has an effective area.
    """

    runs: tuple[Run, ...]
    n_read: int
    hours_read: float
    energy: np.ndarray
    offset: np.ndarray
    fov_limit: float
    has_area: bool

    def __post_init__(self) -> None:
        require_shape("offset", self.offset, self.energy.shape)

    @property
    def hours(self) -> float:
        """Live time of all runs [h]."""
        return sum(run.livetime for run in self.runs if run.livetime > 0) / 3600

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
