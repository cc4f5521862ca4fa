"""Functions of the place in the field of view that a regression is made of."""

from __future__ import annotations

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.splines import spline_basis

__all__ = [
    "annulus_points",
    "field_functions",
    "mean_functions",
]

_N_SAMPLES = 6  # along each side of a bin
_N_ANGLES = 48


def field_functions(
    fov_lon: np.ndarray, fov_lat: np.ndarray, *, offset_knots: np.ndarray
) -> np.ndarray:
    """Evaluate the functions of the field.

    Parameters
    ----------
    fov_lon, fov_lat : np.ndarray
        Place in the field, shape ``(n,)`` [deg].
    offset_knots : np.ndarray
        Knots in offset squared [deg2].

    Returns
    -------
    np.ndarray
        Splines in offset squared, lon, lat, lon2 - lat2 and 2 lon lat, shape
        ``(n, n_radial + 4)``.
    """
    radial = spline_basis(_offset(fov_lon, fov_lat) ** 2, offset_knots)
    rest = (fov_lon, fov_lat, fov_lon**2 - fov_lat**2, 2 * fov_lon * fov_lat)
    return np.column_stack([radial, *rest])


def mean_functions(binning: Binning, *, offset_knots: np.ndarray) -> np.ndarray:
    """Average the functions over the part of each bin that is in the field.

    Parameters
    ----------
    binning : Binning
        Axes.
    offset_knots : np.ndarray
        Knots in offset squared [deg2].

    Returns
    -------
    np.ndarray
        Means, shape ``(n_fov_lon * n_fov_lat, n_radial + 4)``; at the centre of the
        bin where it is wholly outside.
    """
    lon_edges, lat_edges = binning.fov_lon_edges, binning.fov_lat_edges
    centers = np.meshgrid(
        (lon_edges[:-1] + lon_edges[1:]) / 2,
        (lat_edges[:-1] + lat_edges[1:]) / 2,
        indexing="ij",
    )
    values = field_functions(
        centers[0].ravel(), centers[1].ravel(), offset_knots=offset_knots
    )
    lon, lat, bins = _inside_points(binning)
    points = field_functions(lon, lat, offset_knots=offset_knots)
    weight = np.cos(np.radians(lat))
    area = np.bincount(bins, weight, minlength=len(values))
    seen = area > 0
    for column, of_points in zip(values.T, points.T, strict=True):
        sums = np.bincount(bins, weight * of_points, minlength=len(values))
        column[seen] = sums[seen] / area[seen]
    return values


def annulus_points(binning: Binning) -> tuple[np.ndarray, np.ndarray]:
    """Spread points of equal solid angle over the annuli.

    Parameters
    ----------
    binning : Binning
        Axes.

    Returns
    -------
    fov_lon, fov_lat : np.ndarray
        Places, shape ``(n_offset, n_points)`` [deg].
    """
    squares = np.sin(np.radians(binning.offset_edges) / 2) ** 2
    steps = (np.arange(_N_SAMPLES) + 0.5) / _N_SAMPLES
    between = squares[:-1, np.newaxis] + np.diff(squares)[:, np.newaxis] * steps
    offset = 2 * np.arcsin(np.sqrt(between))[:, :, np.newaxis]
    angle = np.linspace(0.0, 2 * np.pi, _N_ANGLES, endpoint=False)
    lat = np.arcsin(np.sin(offset) * np.sin(angle))
    lon = np.arctan2(np.sin(offset) * np.cos(angle), np.cos(offset))
    n_offset = len(squares) - 1
    return np.degrees(lon).reshape(n_offset, -1), np.degrees(lat).reshape(n_offset, -1)


def _inside_points(binning: Binning) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a grid in each bin, and their bins, inside the largest offset."""
    lon, lat = _points(binning.fov_lon_edges), _points(binning.fov_lat_edges)
    n_lon, n_lat = lon.size // _N_SAMPLES, lat.size // _N_SAMPLES
    bins = np.arange(n_lon * n_lat).reshape(n_lon, n_lat)
    bins = bins.repeat(_N_SAMPLES, axis=0).repeat(_N_SAMPLES, axis=1)
    lon, lat = np.meshgrid(lon, lat, indexing="ij")
    is_inside = _offset(lon, lat) <= binning.offset_max
    return lon[is_inside], lat[is_inside], bins[is_inside]


def _points(edges: np.ndarray) -> np.ndarray:
    steps = (np.arange(_N_SAMPLES) + 0.5) / _N_SAMPLES
    points: np.ndarray = edges[:-1, np.newaxis] + np.diff(edges)[:, np.newaxis] * steps
    return points.ravel()


def _offset(fov_lon: np.ndarray, fov_lat: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(fov_lon), np.radians(fov_lat)
    chord = np.sin(lat / 2) ** 2 + np.cos(lat) * np.sin(lon / 2) ** 2
    offset: np.ndarray = np.degrees(2 * np.arcsin(np.sqrt(chord)))
    return offset
