"""Bins that two background models share, whatever their own are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError
from bkgpipe.geometry.frames import offset_angle, unit_vectors
from bkgpipe.tools.compare.data import FileModel

__all__ = [
    "ENERGY_STEPS",
    "CommonGrid",
    "common_grid",
    "middle",
    "require_same_alignment",
    "separation",
]

ENERGY_STEPS = 4  # per bin, as gammapy's own integral is over finer steps
_FIELD_STEPS = 3  # along each side of a bin
_N_ANGLES = 24  # directions over which an annulus is averaged
_MARGIN = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class CommonGrid:
    """Bins that two models share, and the points in them at which both are taken.

    Attributes
    ----------
    binning : Binning
        Edges; those of the field's unused axes are there too.
    is_3d : bool
        Whether the bins are those of images, or annuli.
    """

    binning: Binning
    is_3d: bool

    @property
    def solid_angle(self) -> np.ndarray:
        """Solid angle of the bins in the field [sr]."""
        axes = self.binning
        return axes.solid_angle_3d if self.is_3d else axes.solid_angle_2d

    @cached_property
    def offset(self) -> np.ndarray:
        """Offset of the centres of the bins in the field [deg]."""
        axes = self.binning
        if self.is_3d:
            lon, lat = middle(axes.fov_lon_edges), middle(axes.fov_lat_edges)
            return separation(lon[:, np.newaxis], lat)
        return middle(axes.offset_edges)

    @cached_property
    def is_inside(self) -> np.ndarray:
        """Whether a bin lies wholly within the largest offset."""
        axes = self.binning
        if not self.is_3d:
            return np.ones(self.solid_angle.shape, dtype=bool)
        lon, lat = (
            np.maximum(abs(edges[:-1]), abs(edges[1:]))
            for edges in (axes.fov_lon_edges, axes.fov_lat_edges)
        )
        corner = separation(lon[:, np.newaxis], lat)
        inside: np.ndarray = corner <= axes.offset_max * (1 + _MARGIN)
        return inside

    @cached_property
    def fine_energy(self) -> np.ndarray:
        """Edges of the steps in energy, ``(n_energy * steps + 1,)`` [TeV]."""
        log_edges = np.log(self.binning.energy_edges)
        fine: np.ndarray = np.exp(_split(log_edges, ENERGY_STEPS))
        return fine

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Longitude and latitude of the points, shape ``(n_bins, n_points)`` [deg]."""
        axes = self.binning
        if self.is_3d:
            lon, lat = (
                middle(_split(edges, _FIELD_STEPS)).reshape(-1, _FIELD_STEPS)
                for edges in (axes.fov_lon_edges, axes.fov_lat_edges)
            )
            shape = (lon.shape[0], lat.shape[0], _FIELD_STEPS, _FIELD_STEPS)
            lon = np.broadcast_to(lon[:, np.newaxis, :, np.newaxis], shape)
            lat = np.broadcast_to(lat[np.newaxis, :, np.newaxis, :], shape)
        else:
            # equal solid angles within a ring
            ring = np.sqrt(middle(_split(axes.offset_edges**2, _FIELD_STEPS)))
            angle = (np.arange(_N_ANGLES) + 0.5) * (2 * np.pi / _N_ANGLES)
            sin = np.sin(np.radians(ring))[:, np.newaxis]
            lat = np.degrees(np.arcsin(sin * np.sin(angle)))
            east = sin * np.cos(angle)
            lon = np.degrees(np.arctan2(east, np.cos(np.radians(ring))[:, np.newaxis]))
        n_bins = self.solid_angle.size
        return lon.reshape(n_bins, -1), lat.reshape(n_bins, -1)

    @cached_property
    def weights(self) -> np.ndarray:
        """Share of each point in its bin, shape ``(n_bins, n_points)``."""
        lat = self.points[1]
        area = np.cos(np.radians(lat)) if self.is_3d else np.ones(lat.shape)
        weights: np.ndarray = area / area.sum(axis=1, keepdims=True)
        return weights


def common_grid(
    models: Sequence[FileModel],
    *,
    as_2d: bool,
    energy_range: tuple[float, float] | None = None,
    offset_max: float | None = None,
) -> CommonGrid:
    """Choose bins for models of different binnings.

    Along each axis the edges are those of the model with fewer bins, as far as they lie
    within all models and the range asked for.

    Parameters
    ----------
    models : sequence of FileModel
        One or two models.
    as_2d : bool
        Average images over the position angle.
    energy_range : tuple of float, optional
        Lowest and highest energy [TeV].
    offset_max : float, optional
        Largest offset [deg].

    Returns
    -------
    CommonGrid
        The grid; of images when any model is one, unless `as_2d`.

    Raises
    ------
    BinningMismatchError
        If nothing is in common.
    """
    limits = [energy_range or (0.0, np.inf)]
    limits += [(m.energy_edges[0], m.energy_edges[-1]) for m in models]
    low, high = max(pair[0] for pair in limits), min(pair[1] for pair in limits)
    energy = _coarsest([m.energy_edges for m in models], low, high, what="energy")
    radius = min(m.offset_max for m in models)
    radius = radius if offset_max is None else min(radius, offset_max)
    images = [m.field_edges for m in models if m.is_3d]
    rings = [m.field_edges[0] for m in models if not m.is_3d]
    is_3d = bool(images) and not as_2d
    lon, lat = (
        _coarsest([axes[i] for axes in images], -radius, radius, what="field of view")
        if is_3d
        else np.array([-radius, radius])
        for i in (0, 1)
    )
    if is_3d:
        offset = np.array([0.0, radius])
    elif rings:
        offset = _coarsest(rings, 0.0, radius, what="offset")
    else:
        step = max(float(np.diff(edges).max()) for axes in images for edges in axes)
        offset = np.linspace(0.0, radius, max(2, int(radius / step)) + 1)
    axes = Binning(
        energy_edges=energy, fov_lon_edges=lon, fov_lat_edges=lat, offset_edges=offset
    )
    return CommonGrid(binning=axes, is_3d=is_3d)


def _coarsest(
    choices: Sequence[np.ndarray], low: float, high: float, *, what: str
) -> np.ndarray:
    """Take the edges with fewest bins between two limits."""
    slack = _MARGIN * (high - low)
    inside = [e[(e >= low - slack) & (e <= high + slack)] for e in choices]
    best = min(inside, key=len)
    if high <= low or best.size < 2:
        raise BinningMismatchError(
            what=f"no whole bin of both lies between {low:g} and {high:g}",
            where=f"compare, {what}",
            fix="Compare models that overlap, or ask for a wider range",
        )
    return best


def require_same_alignment(alignments: tuple[str, str], grid: CommonGrid) -> None:
    """Refuse to compare images in different frames.

    Parameters
    ----------
    alignments : tuple of str
        ``ALTAZ``, ``RADEC``, or empty when it does not matter.
    grid : CommonGrid
        The common grid.

    Raises
    ------
    BinningMismatchError
        If the frames differ and the grid is one of images.
    """
    if grid.is_3d and all(alignments) and len(set(alignments)) > 1:
        raise BinningMismatchError(
            what=f"A is an image in {alignments[0]}, B one in {alignments[1]}: "
            "the sky turns between the two",
            where="compare",
            fix="Compare their means over the position angle with --as bkg_2d",
        )


def middle(edges: np.ndarray) -> np.ndarray:
    """Return the centres of bins.

    Parameters
    ----------
    edges : np.ndarray
        Edges, shape ``(n + 1,)``.

    Returns
    -------
    np.ndarray
        Centres, shape ``(n,)``.
    """
    centers: np.ndarray = (edges[1:] + edges[:-1]) / 2
    return centers


def separation(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return the offset of places in the field of view.

    Parameters
    ----------
    lon, lat : np.ndarray
        Longitude and latitude, of shapes that broadcast [deg].

    Returns
    -------
    np.ndarray
        Distance to the pointing on the sphere, shape as broadcast [deg].
    """
    lon, lat = np.broadcast_arrays(lon, lat)
    return offset_angle(unit_vectors(lon.ravel(), lat.ravel())).reshape(lon.shape)


def _split(edges: np.ndarray, n_steps: int) -> np.ndarray:
    steps = np.arange(n_steps) / n_steps
    fine = edges[:-1, np.newaxis] + np.diff(edges)[:, np.newaxis] * steps
    return np.append(fine, edges[-1])
