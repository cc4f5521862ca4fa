"""The axes on which events are counted and models are written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bkgpipe.core.checks import require_edges
from bkgpipe.errors import BinningMismatchError

__all__ = ["Binning"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Binning:
    """Edges of the energy, field-of-view and offset axes.

    Attributes
    ----------
    energy_edges : np.ndarray
        Edges in reconstructed energy, shape ``(n_energy + 1,)`` [TeV].
    fov_lon_edges, fov_lat_edges : np.ndarray
        Edges in the field of view, ``(n_fov_lon + 1,)``, ``(n_fov_lat + 1,)`` [deg].
    offset_edges : np.ndarray
        Edges in offset from zero on, shape ``(n_offset + 1,)``; the last is the
        largest offset at which an event counts, in both projections [deg].
    """

    energy_edges: np.ndarray
    fov_lon_edges: np.ndarray
    fov_lat_edges: np.ndarray
    offset_edges: np.ndarray

    def __post_init__(self) -> None:
        for name in ("energy_edges", "fov_lon_edges", "fov_lat_edges", "offset_edges"):
            require_edges(name, getattr(self, name))

    @property
    def n_energy(self) -> int:
        """Number of energy bins."""
        return self.energy_edges.size - 1

    @property
    def shape_3d(self) -> tuple[int, int, int]:
        """Shape ``(n_energy, n_fov_lon, n_fov_lat)``."""
        n_lon, n_lat = self.fov_lon_edges.size - 1, self.fov_lat_edges.size - 1
        return self.n_energy, n_lon, n_lat

    @property
    def shape_2d(self) -> tuple[int, int]:
        """Shape ``(n_energy, n_offset)``."""
        return self.n_energy, self.offset_edges.size - 1

    @property
    def offset_max(self) -> float:
        """Largest offset at which an event counts [deg]."""
        return float(self.offset_edges[-1])

    @cached_property
    def energy_width(self) -> np.ndarray:
        """Width of the energy bins, shape ``(n_energy,)`` [TeV]."""
        return np.diff(self.energy_edges)

    @cached_property
    def solid_angle_3d(self) -> np.ndarray:
        """Solid angle of whole bins, shape ``(n_fov_lon, n_fov_lat)`` [sr]."""
        width = np.diff(np.radians(self.fov_lon_edges))
        height = np.diff(np.sin(np.radians(self.fov_lat_edges)))
        return np.outer(width, height)

    @cached_property
    def solid_angle_2d(self) -> np.ndarray:
        """Solid angle of whole annuli, shape ``(n_offset,)`` [sr]."""
        # 1 - cos loses half the digits at small offsets, sin^2 does not
        caps = 4 * np.pi * np.sin(np.radians(self.offset_edges) / 2) ** 2
        return np.diff(caps)

    def cut(self, energies: slice) -> Binning:
        """Return the axes of some neighbouring energy bins.

        Parameters
        ----------
        energies : slice
            Which, with a start and a stop.

        Returns
        -------
        Binning
            The axes.
        """
        if energies == slice(0, self.n_energy):
            return self
        edges = self.energy_edges[energies.start : energies.stop + 1]
        return replace(self, energy_edges=edges)

    def find(self, part: Binning) -> slice:
        """Find the energy bins of a part of these axes.

        Parameters
        ----------
        part : Binning
            Axes that `cut` returned.

        Returns
        -------
        slice
            Its energy bins among these.
        """
        start = int(np.searchsorted(self.energy_edges, part.energy_edges[0]))
        return slice(start, start + part.n_energy)

    def require_same(self, other: Binning, *, where: str) -> None:
        """Refuse another binning.

        Parameters
        ----------
        other : Binning
            Binning found.
        where : str
            Product or run that has it.

        Raises
        ------
        BinningMismatchError
            If any edges differ.
        """
        for name in ("energy_edges", "fov_lon_edges", "fov_lat_edges", "offset_edges"):
            if not np.array_equal(getattr(self, name), getattr(other, name)):
                raise BinningMismatchError(
                    what=f"{name} differ from those expected",
                    where=where,
                    fix="Count both again with the same [binning] settings",
                )
