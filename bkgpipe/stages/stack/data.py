"""Sums of runs, and the groups that say which runs belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.checks import require_shape

__all__ = ["Conditions", "Group", "Stack"]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions of observation, of one run or exposure-weighted over several.

    Attributes
    ----------
    zenith, azimuth : float
        Of the pointing; azimuth from north over east, mean on the circle [deg].
    cos_zenith : float
        Cosine of the zenith angle.
    deadc : float
        Dead-time fraction as in GADF: livetime / ontime.
    muon_efficiency : float
        Muon efficiency; NaN when no run has one.
    """

    zenith: float
    azimuth: float
    cos_zenith: float
    deadc: float
    muon_efficiency: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Runs that share a model because their conditions are alike.

    Attributes
    ----------
    group_id : int
        Number of the group, from 1 on.
    obs_ids : np.ndarray
        Runs in it, sorted, shape ``(n_runs,)``.
    cells : np.ndarray
        Cells of the grid that it covers: least and largest zenith angle, least and
        largest azimuth, shape ``(n_cells, 4)``; the first is the one that it started
        from, the others were too poor and joined [deg].
    zenith, azimuth : float
        Livetime-weighted means [deg].
    livetime : float
        Sum over the runs [s].
    n_events : int
        Events kept, sum over the runs.
    merged : tuple of str
        Names of the cells that joined, as ``zenith 0-20 azimuth 0-180``.
    """

    group_id: int
    obs_ids: np.ndarray
    cells: np.ndarray
    zenith: float
    azimuth: float
    livetime: float
    n_events: int
    merged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_shape("cells", self.cells, (len(self.merged) + 1, 4))


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Counts and exposure of several runs added up.

    Attributes
    ----------
    stack_id : int
        ``group_id`` of a group, ``obs_id`` of the target of a ranked or own stack.
    binning : Binning
        Axes.
    obs_ids : np.ndarray
        Runs in the sum, sorted, shape ``(n_runs,)``.
    counts_3d, exposure_3d : np.ndarray
        Sums, shape ``(n_energy, n_fov_lon, n_fov_lat)`` [1, s sr].
    counts_2d, exposure_2d : np.ndarray
        Sums, shape ``(n_energy, n_offset)`` [1, s sr].
    ontime, livetime : float
        Sums [s].
    conditions : Conditions
        Exposure-weighted means.
    systematic : float
        Relative scatter of the runs' norms about the sum beyond Poisson noise; NaN
        when unknown, as for a single run.
    """

    stack_id: int
    binning: Binning
    obs_ids: np.ndarray
    counts_3d: np.ndarray
    exposure_3d: np.ndarray
    counts_2d: np.ndarray
    exposure_2d: np.ndarray
    ontime: float
    livetime: float
    conditions: Conditions
    systematic: float = float("nan")

    def __post_init__(self) -> None:
        for name in ("counts_3d", "exposure_3d"):
            require_shape(name, getattr(self, name), self.binning.shape_3d)
        for name in ("counts_2d", "exposure_2d"):
            require_shape(name, getattr(self, name), self.binning.shape_2d)

    @property
    def hours(self) -> float:
        """Live time [h]."""
        return self.livetime / 3600.0
