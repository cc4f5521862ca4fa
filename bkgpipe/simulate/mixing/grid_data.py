"""A background as cells of the field of view, to draw events from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_edges, require_shape

__all__ = ["DrawGrid"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawGrid:
    """Rates in the cells of a plane that touches the sky at the pointing.

    A direction in the field of view (x to the pointing, y and z to growing longitude
    and latitude) is at (y / x, z / x) in the plane: the gnomonic projection, in which
    WCS maps are made with ``TAN``.

    Attributes
    ----------
    energy_edges : np.ndarray
        Edges, shape ``(n_energy + 1,)`` [TeV].
    plane_edges : np.ndarray
        Edges of both axes of the plane, shape ``(n_plane + 1,)`` [deg at the centre].
    rate : np.ndarray
        Events per on-time in each cell, shape ``(n_energy, n_plane, n_plane)``, by
        longitude, then latitude [s-1].
    index : np.ndarray
        Falling power of the energy in each cell, same shape.
    inside : np.ndarray
        Share of each pixel within `offset_max`, shape ``(n_plane, n_plane)``.
    offset_max : float
        Largest offset of events [deg].
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.
    """

    energy_edges: np.ndarray
    plane_edges: np.ndarray
    rate: np.ndarray
    index: np.ndarray
    inside: np.ndarray
    offset_max: float
    fov_alignment: str

    def __post_init__(self) -> None:
        require_edges("energy_edges", self.energy_edges)
        require_edges("plane_edges", self.plane_edges)
        n_plane = self.plane_edges.size - 1
        shape = (self.energy_edges.size - 1, n_plane, n_plane)
        require_shape("rate", self.rate, shape)
        require_shape("index", self.index, shape)
        require_shape("inside", self.inside, shape[1:])

    @property
    def total(self) -> float:
        """Events per on-time within the largest offset [s-1]."""
        return float((self.rate * self.inside).sum())
