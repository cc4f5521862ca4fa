"""Background rates, as smoothed and as written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.checks import require_shape
from bkgpipe.stages.stack.data import Conditions

__all__ = ["NodeModel", "RateModel"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RateModel:
    """Background rate per live time, as mean of each bin.

    Attributes
    ----------
    stack_id : int
        Stack that it was made from.
    binning : Binning
        Axes.
    method : str
        Smoothing method.
    rate_3d : np.ndarray
        Rate, shape ``(n_energy, n_fov_lon, n_fov_lat)`` [s-1 TeV-1 sr-1]; zero where
        there were no counts or no exposure.
    exposure_3d : np.ndarray
        Exposure behind it, same shape, zero where unseen [s sr].
    rate_2d, exposure_2d : np.ndarray
        Likewise, shape ``(n_energy, n_offset)``.
    n_runs : int
        Runs in the stack.
    livetime : float
        Live time of the stack [s].
    conditions : Conditions
        Exposure-weighted conditions of the stack.
    error_3d, error_2d : np.ndarray
        Relative statistical errors of the rates, of the same shapes, as standard
        deviations; those of bins without a rate are of what may be filled in. Empty
        when unknown.
    systematic : float
        Relative error of the norm: its scatter from run to run beyond Poisson noise,
        and what conditions beyond those of a fit add; NaN when unknown.
    systematic_energy : np.ndarray
        The same at each energy, shape ``(n_energy,)``; energies of a band share it.
        Empty when unknown.
    is_fitted : np.ndarray
        True for the energies that have events, one after the other, shape
        ``(n_energy,)``; empty for all.
    has_safe_runs : np.ndarray
        True for the energies that are safe for some run behind the model, same shape;
        empty for all.
    low_scatter : float
        Relative scatter of the norms of single runs at one energy below the safe
        energy; NaN when unknown.
    excursions : tuple of str
        Conditions of the run beyond those of the fit, in words.
    """

    stack_id: int
    binning: Binning
    method: str
    rate_3d: np.ndarray
    exposure_3d: np.ndarray
    rate_2d: np.ndarray
    exposure_2d: np.ndarray
    n_runs: int
    livetime: float
    conditions: Conditions
    error_3d: np.ndarray = field(default_factory=lambda: np.empty(0))
    error_2d: np.ndarray = field(default_factory=lambda: np.empty(0))
    systematic: float = float("nan")
    systematic_energy: np.ndarray = field(default_factory=lambda: np.empty(0))
    is_fitted: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    has_safe_runs: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    low_scatter: float = float("nan")
    excursions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("is_fitted", "has_safe_runs"):
            if getattr(self, name).size:
                require_shape(name, getattr(self, name), self.binning.shape_3d[:1])
        for name in ("rate_3d", "exposure_3d"):
            require_shape(name, getattr(self, name), self.binning.shape_3d)
        for name in ("rate_2d", "exposure_2d"):
            require_shape(name, getattr(self, name), self.binning.shape_2d)
        _require_errors(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeModel:
    """A model as it is written: values at bin centres, per on-time, all positive.

    Attributes
    ----------
    stack_id : int
        Stack that it was made from.
    obs_id : int
        Run that it is for; -1 for the model of a group.
    binning : Binning
        Axes; the energies are those that have events, and a neighbour where readers
        need it.
    bkg_3d : np.ndarray
        Rate at the centres, ``(n_energy, n_fov_lon, n_fov_lat)`` [s-1 TeV-1 sr-1].
    bkg_2d : np.ndarray
        Rate at the centres, shape ``(n_energy, n_offset)`` [s-1 TeV-1 sr-1].
    n_filled_3d, n_filled_2d : int
        Bins without counts or exposure that were filled from their neighbours.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.
    n_runs : int
        Runs behind the model.
    livetime : float
        Live time behind the model [s].
    conditions : Conditions
        Conditions behind the model; its ``deadc`` is the one that was applied.
    norm, norm_error : np.ndarray
        Factor that scaled the model to its run at each energy, and its error, shape
        ``(n_energy,)``; empty when none was applied.
    error_3d, error_2d : np.ndarray
        Relative statistical errors of the rates, of the same shapes, as standard
        deviations; empty when unknown.
    systematic : float
        Relative error of the norm: its scatter from run to run, or, once the model is
        scaled to its run, the statistical error of that factor; NaN when unknown, or
        when it depends on energy.
    systematic_energy : np.ndarray
        The same at each energy, shape ``(n_energy,)``; empty when unknown, or once the
        model is scaled to its run.
    fit_range : np.ndarray
        Least and largest energy that has events, shape ``(2,)``; empty if that is the
        whole axis [TeV].
    safe_energy : float
        Safe energy of the run; NaN for the model of a group, and when unknown [TeV].
    is_filled_3d, is_filled_2d : np.ndarray
        True for filled bins, of the shapes of the models; empty for none.
    excursions : tuple of str
        Conditions of the run beyond those of the fit, in words.
    """

    stack_id: int
    obs_id: int
    binning: Binning
    bkg_3d: np.ndarray
    bkg_2d: np.ndarray
    n_filled_3d: int
    n_filled_2d: int
    fov_alignment: str
    n_runs: int
    livetime: float
    conditions: Conditions
    norm: np.ndarray = field(default_factory=lambda: np.empty(0))
    norm_error: np.ndarray = field(default_factory=lambda: np.empty(0))
    error_3d: np.ndarray = field(default_factory=lambda: np.empty(0))
    error_2d: np.ndarray = field(default_factory=lambda: np.empty(0))
    systematic: float = float("nan")
    systematic_energy: np.ndarray = field(default_factory=lambda: np.empty(0))
    fit_range: np.ndarray = field(default_factory=lambda: np.empty(0))
    safe_energy: float = float("nan")
    is_filled_3d: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    is_filled_2d: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=bool))
    excursions: tuple[str, ...] = ()

    @property
    def is_safe(self) -> np.ndarray:
        """True for energy bins above the safe energy as a whole, ``(n_energy,)``."""
        low = self.binning.energy_edges[:-1]
        is_safe: np.ndarray = ~(low < self.safe_energy * (1 - 1e-9))
        return is_safe

    @property
    def is_fitted(self) -> np.ndarray:
        """True for energy bins that have events, shape ``(n_energy,)``."""
        edges = self.binning.energy_edges
        low, high = self.fit_range if self.fit_range.size else edges[[0, -1]]
        is_fitted: np.ndarray = (edges[:-1] >= low) & (edges[1:] <= high)
        return is_fitted

    def __post_init__(self) -> None:
        require_shape("bkg_3d", self.bkg_3d, self.binning.shape_3d)
        require_shape("bkg_2d", self.bkg_2d, self.binning.shape_2d)
        for name in ("norm", "norm_error"):
            if getattr(self, name).size:
                require_shape(name, getattr(self, name), self.binning.shape_3d[:1])
        _require_errors(self)
        for name in ("3d", "2d"):
            is_filled = getattr(self, f"is_filled_{name}")
            if is_filled.size:
                shape = getattr(self, f"bkg_{name}").shape
                require_shape(f"is_filled_{name}", is_filled, shape)


def _require_errors(model: RateModel | NodeModel) -> None:
    shapes = {"error_3d": model.binning.shape_3d, "error_2d": model.binning.shape_2d}
    for name, shape in shapes.items():
        if getattr(model, name).size:
            require_shape(name, getattr(model, name), shape)
    if model.systematic_energy.size:
        shape_1d = model.binning.shape_3d[:1]
        require_shape("systematic_energy", model.systematic_energy, shape_1d)
