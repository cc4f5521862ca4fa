"""Points spread over the field of view, to measure what a mask keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.geometry.frames import lon_lat, offset_angle, unit_vectors

__all__ = [
    "FieldBins",
    "FieldSamples",
    "field_solid_angles",
    "find_bins",
    "make_field_samples",
    "ring_vectors",
    "solid_angle_in_disc",
]

# Distance between points [deg], near the pixel size of a mask of nside 2048, and the
# least number of points per bin along each axis
_SPACING = 0.03
_MIN_PER_AXIS = 3

# Points get closer, at most to an eighth, until each annulus has this many
_MIN_PER_ANNULUS = 16

# Circles of a ring, each for the same solid angle, and points on each
_N_CIRCLES, _N_CIRCLE_POINTS = 24, 180

_N_QUADRATURE = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldBins:
    """Bins in the field of view that directions fall into.

    Attributes
    ----------
    offset : np.ndarray
        Distance to the pointing, shape ``(n,)`` [deg].
    is_inside : np.ndarray
        True inside the largest offset and both other axes, shape ``(n,)``.
    index_3d : np.ndarray
        Bin in the flattened ``(n_fov_lon, n_fov_lat)``, shape ``(n,)``; means nothing
        where not inside.
    index_2d : np.ndarray
        Bin in ``(n_offset,)``, likewise, shape ``(n,)``.
    """

    offset: np.ndarray
    is_inside: np.ndarray
    index_3d: np.ndarray
    index_2d: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldSamples:
    """Points of the field of view, with the solid angle that each stands for.

    Attributes
    ----------
    vectors : np.ndarray
        Field-of-view vectors, shape ``(n, 3)``.
    index_3d, index_2d : np.ndarray
        Bins as in `FieldBins`, shape ``(n,)``.
    weight_3d, weight_2d : np.ndarray
        Solid angle, shape ``(n,)`` [sr]; those of a bin add up to the part of the bin
        that is inside the field.
    solid_angle_3d, solid_angle_2d : np.ndarray
        These parts of all bins, shapes ``(n_fov_lon, n_fov_lat)`` and ``(n_offset,)``
        [sr].
    """

    vectors: np.ndarray
    index_3d: np.ndarray
    index_2d: np.ndarray
    weight_3d: np.ndarray
    weight_2d: np.ndarray
    solid_angle_3d: np.ndarray
    solid_angle_2d: np.ndarray


def find_bins(binning: Binning, vectors: np.ndarray) -> FieldBins:
    """Find the bins of directions in the field of view.

    Both projections share one field, so that an event is in both or in neither.

    Parameters
    ----------
    binning : Binning
        Axes; bins include their lower edge.
    vectors : np.ndarray
        Field-of-view vectors, shape ``(n, 3)``.

    Returns
    -------
    FieldBins
        Bin of each direction.
    """
    lon, lat = lon_lat(vectors)
    offset = offset_angle(vectors)
    i_lon, in_lon = _find(binning.fov_lon_edges, lon)
    i_lat, in_lat = _find(binning.fov_lat_edges, lat)
    i_offset, in_offset = _find(binning.offset_edges, offset)
    return FieldBins(
        offset=offset,
        is_inside=in_lon & in_lat & in_offset,
        index_3d=i_lon * binning.shape_3d[2] + i_lat,
        index_2d=i_offset,
    )


def solid_angle_in_disc(
    fov_lon_edges: np.ndarray, fov_lat_edges: np.ndarray, radius: float
) -> np.ndarray:
    """Return the solid angle of bins as far as it is in a disc about the pointing.

    Parameters
    ----------
    fov_lon_edges, fov_lat_edges : np.ndarray
        Edges, shapes ``(n_fov_lon + 1,)`` and ``(n_fov_lat + 1,)`` [deg].
    radius : float
        Radius of the disc, at most 90 [deg].

    Returns
    -------
    np.ndarray
        Solid angle, shape ``(n_fov_lon, n_fov_lat)`` [sr].

    Examples
    --------
    >>> edges = np.array([-2.0, 0.0, 2.0])
    >>> area = solid_angle_in_disc(edges, edges, 1.0)
    >>> disc = 2 * np.pi * (1 - np.cos(np.radians(1.0)))
    >>> (area / disc).round(4)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    # the disc reaches no further in longitude than its radius
    lon_edges = np.clip(fov_lon_edges, -radius, radius)
    lon = np.radians(_midpoints(lon_edges, _N_QUADRATURE))
    # A meridian is inside up to cos(lat) cos(lon) = cos(radius)
    cos_lat = np.minimum(np.cos(np.radians(radius)) / np.cos(lon), 1.0)
    reach = np.sqrt(1.0 - cos_lat**2)[:, np.newaxis]
    sin_lat = np.clip(np.sin(np.radians(fov_lat_edges)), -reach, reach)
    height = np.diff(sin_lat, axis=1).reshape(fov_lon_edges.size - 1, _N_QUADRATURE, -1)
    width = np.diff(np.radians(lon_edges))[:, np.newaxis]
    area: np.ndarray = width * height.mean(axis=1)
    return area


def field_solid_angles(binning: Binning) -> tuple[np.ndarray, np.ndarray]:
    """Return the solid angle of the field in each bin of both projections.

    Parameters
    ----------
    binning : Binning
        Axes.

    Returns
    -------
    solid_angle_3d : np.ndarray
        Of the part of each bin inside the largest offset, shape ``(n_fov_lon,
        n_fov_lat)`` [sr].
    solid_angle_2d : np.ndarray
        Of the part of each annulus inside the image, shape ``(n_offset,)`` [sr]. Both
        are made once for each binning, not to be changed.
    """
    samples = make_field_samples(binning)
    return samples.solid_angle_3d, samples.solid_angle_2d


def make_field_samples(binning: Binning) -> FieldSamples:
    """Spread points over the field of view of a binning.

    Parameters
    ----------
    binning : Binning
        Axes.

    Returns
    -------
    FieldSamples
        The points; made once for each binning, not to be changed.
    """
    return _make_field_samples(
        tuple(binning.fov_lon_edges.tolist()),
        tuple(binning.fov_lat_edges.tolist()),
        tuple(binning.offset_edges.tolist()),
    )


@lru_cache(maxsize=8)
def ring_vectors(inner: float, outer: float) -> np.ndarray:
    """Spread points over a ring about the pointing, each for the same solid angle.

    Parameters
    ----------
    inner, outer : float
        Radii of the ring [deg].

    Returns
    -------
    np.ndarray
        Field-of-view vectors, shape ``(n, 3)``; not to be changed.
    """
    cos_inner, cos_outer = np.cos(np.radians([inner, outer]))
    share = (np.arange(_N_CIRCLES) + 0.5) / _N_CIRCLES
    cos = np.repeat(cos_inner + share * (cos_outer - cos_inner), _N_CIRCLE_POINTS)
    turn = np.tile(np.linspace(0, 2 * np.pi, _N_CIRCLE_POINTS, False), _N_CIRCLES)
    sin = np.sqrt(1.0 - cos**2)
    return np.column_stack([cos, sin * np.cos(turn), sin * np.sin(turn)])


@lru_cache(maxsize=8)
def _make_field_samples(
    lon_edges: tuple[float, ...],
    lat_edges: tuple[float, ...],
    offset_edges: tuple[float, ...],
) -> FieldSamples:
    binning = Binning(
        energy_edges=np.array([1.0, 2.0]),
        fov_lon_edges=np.array(lon_edges),
        fov_lat_edges=np.array(lat_edges),
        offset_edges=np.array(offset_edges),
    )
    for spacing in (_SPACING, _SPACING / 2, _SPACING / 4, _SPACING / 8):
        samples = _sample(binning, spacing)
        in_annulus = np.bincount(samples.index_2d, minlength=binning.shape_2d[1])
        if in_annulus.min() >= _MIN_PER_ANNULUS:
            break
    return samples


def _sample(binning: Binning, spacing: float) -> FieldSamples:
    lon_edges, lat_edges = binning.fov_lon_edges, binning.fov_lat_edges
    points = _crossed(_points(lon_edges, spacing), _points(lat_edges, spacing))
    # A bin of which only a tip is in the field may miss all points of the grid; its
    # nearest point to the pointing then stands for it, and for nothing elsewhere
    nearest = _crossed(_nearest(lon_edges), _nearest(lat_edges))
    lon, lat = np.concatenate([points, nearest], axis=1)
    share = np.repeat([1.0, 1e-9], [points.shape[1], nearest.shape[1]])
    vectors = unit_vectors(lon, lat)
    bins = find_bins(binning, vectors)
    inside = bins.is_inside
    index_3d, index_2d = bins.index_3d[inside], bins.index_2d[inside]
    # Within a bin the points stand for solid angles that differ by cos(lat)
    weight = (share * np.cos(np.radians(lat)))[inside]
    area_3d, area_2d = _field_solid_angles(binning)
    return FieldSamples(
        vectors=vectors[inside],
        index_3d=index_3d,
        index_2d=index_2d,
        weight_3d=_scaled(weight, index_3d, area_3d.ravel()),
        weight_2d=_scaled(weight, index_2d, area_2d),
        solid_angle_3d=area_3d,
        solid_angle_2d=area_2d,
    )


def _crossed(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Return all pairs, shape ``(2, n_lon * n_lat)``."""
    return np.stack(np.meshgrid(lon, lat, indexing="ij")).reshape(2, -1)


def _points(edges: np.ndarray, spacing: float) -> np.ndarray:
    width = (edges[-1] - edges[0]) / (edges.size - 1)
    return _midpoints(edges, max(_MIN_PER_AXIS, round(width / spacing)))


def _nearest(edges: np.ndarray) -> np.ndarray:
    """Return the point of each bin nearest to zero, just inside the bin."""
    inset = 1e-6 * np.diff(edges)
    return np.asarray(np.clip(0.0, edges[:-1] + inset, edges[1:] - inset))


def _scaled(weight: np.ndarray, index: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Scale the weights so that those of each bin add up to its area."""
    total = np.bincount(index, weight, minlength=area.size)
    scaled: np.ndarray = weight * (area[index] / total[index])
    return scaled


def _field_solid_angles(binning: Binning) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = binning.fov_lon_edges, binning.fov_lat_edges
    discs = [solid_angle_in_disc(lon, lat, edge) for edge in binning.offset_edges]
    annuli = np.diff([disc.sum() for disc in discs])
    whole = min(-lon[0], lon[-1], -lat[0], lat[-1]) * (1 + 1e-9)
    is_whole = binning.offset_edges[1:] <= whole
    return discs[-1] - discs[0], np.where(is_whole, binning.solid_angle_2d, annuli)


def _midpoints(edges: np.ndarray, n_points: int) -> np.ndarray:
    """Return `n_points` midpoints of equal parts of each bin, one bin after another."""
    share = (np.arange(n_points) + 0.5) / n_points
    points: np.ndarray = edges[:-1, np.newaxis] + np.outer(np.diff(edges), share)
    return points.ravel()


def _find(edges: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bin numbers, and where they are on the axis."""
    index = np.searchsorted(edges, values, side="right") - 1
    return index, (index >= 0) & (index < edges.size - 1)
