"""The field of view in cells: from rates to numbers of events."""

from __future__ import annotations

import numpy as np

from bkgpipe.geometry.frames import lon_lat
from bkgpipe.simulate.mixing.grid_data import DrawGrid

__all__ = [
    "bin_grid",
    "energy_steps",
    "plane_field",
    "plane_steps",
    "plane_vectors",
    "radial_grid",
    "rate_grid",
]

_N_SAMPLES = 20  # along each side of a pixel at the edge of the field
_LEAST = 1e-100  # of the other edge: stands for zero where a logarithm is taken
_STEEPEST = 20.0


def energy_steps(low: float, high: float, *, per_decade: int) -> np.ndarray:
    """Return edges at equal steps of log energy.

    Parameters
    ----------
    low, high : float
        First and last [TeV].
    per_decade : int
        Least number of steps in a decade.

    Returns
    -------
    np.ndarray
        Edges, shape ``(n_energy + 1,)`` [TeV].
    """
    n_steps = max(1, int(np.ceil(per_decade * np.log10(high / low) - 1e-9)))
    edges: np.ndarray = np.geomspace(low, high, n_steps + 1)
    return edges


def plane_steps(offset_max: float, *, pixel: float) -> np.ndarray:
    """Return edges of pixels of the plane that hold the whole field.

    Parameters
    ----------
    offset_max : float
        Largest offset [deg].
    pixel : float
        Width of a pixel at the centre [deg].

    Returns
    -------
    np.ndarray
        Edges, symmetric and even in number, shape ``(n_plane + 1,)`` [deg].
    """
    reach = np.degrees(np.tan(np.radians(offset_max)))
    n_side = int(np.ceil(reach / pixel - 1e-9))
    edges: np.ndarray = pixel * np.arange(-n_side, n_side + 1)
    return edges


def plane_field(plane_edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the pixels of the plane are in the field.

    Parameters
    ----------
    plane_edges : np.ndarray
        Edges of both axes, shape ``(n_plane + 1,)`` [deg].

    Returns
    -------
    fov_lon, fov_lat : np.ndarray
        Their centres, shape ``(n_plane, n_plane)`` [deg].
    solid_angle : np.ndarray
        Their solid angles, same shape [sr].

    References
    ----------
    Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.3 (gnomonic projection).
    """
    centers = (plane_edges[:-1] + plane_edges[1:]) / 2
    vectors = plane_vectors(*np.meshgrid(centers, centers, indexing="ij"))
    lon, lat = lon_lat(vectors)
    width = np.diff(np.radians(plane_edges))
    # the plane is further away, and seen at an angle, by one over the cosine each time
    area = (
        np.outer(width, width)
        / np.linalg.norm(vectors, axis=1).reshape(width.size, width.size) ** 3
    )
    return lon.reshape(area.shape), lat.reshape(area.shape), area


def rate_grid(
    rate: np.ndarray,
    *,
    energy_edges: np.ndarray,
    plane_edges: np.ndarray,
    offset_max: float,
    fov_alignment: str,
) -> DrawGrid:
    """Make cells from a rate at the edges in energy, a power law between two of them.

    Parameters
    ----------
    rate : np.ndarray
        Rate at the edges in energy and the centres of the pixels, shape
        ``(n_energy + 1, n_plane, n_plane)`` [s-1 TeV-1 sr-1].
    energy_edges : np.ndarray
        Edges, shape ``(n_energy + 1,)`` [TeV].
    plane_edges : np.ndarray
        Edges of both axes of the plane, shape ``(n_plane + 1,)`` [deg].
    offset_max : float
        Largest offset [deg].
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    DrawGrid
        Rates of the cells.
    """
    low, high = rate[:-1], rate[1:]
    least = np.maximum(low, high) * _LEAST
    is_seen = least > 0
    low, high = (np.where(is_seen, np.maximum(r, least), 1.0) for r in (low, high))
    step = np.log(energy_edges[1:] / energy_edges[:-1])[:, np.newaxis, np.newaxis]
    index = np.log(low / high) / step
    first = energy_edges[:-1, np.newaxis, np.newaxis]
    integral = low * first * _power_integral((1.0 - index) * step) * step
    cells = np.where(is_seen, integral, 0.0) * plane_field(plane_edges)[2]
    return _make_grid(
        cells,
        index,
        energy_edges=energy_edges,
        plane_edges=plane_edges,
        offset_max=offset_max,
        fov_alignment=fov_alignment,
    )


def bin_grid(
    counts: np.ndarray,
    *,
    energy_edges: np.ndarray,
    plane_edges: np.ndarray,
    offset_max: float,
    fov_alignment: str,
) -> DrawGrid:
    """Make cells from events in them; their spectra follow from those next to them.

    Parameters
    ----------
    counts : np.ndarray
        Events per on-time in each cell, shape ``(n_energy, n_plane, n_plane)`` [s-1].
    energy_edges : np.ndarray
        Edges, shape ``(n_energy + 1,)`` [TeV].
    plane_edges : np.ndarray
        Edges of both axes of the plane, shape ``(n_plane + 1,)`` [deg].
    offset_max : float
        Largest offset [deg].
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    DrawGrid
        Rates of the cells.
    """
    counts = np.maximum(counts, 0.0)
    index: np.ndarray = np.ones(counts.shape)
    if len(counts) > 1:
        width = np.diff(energy_edges)[:, np.newaxis, np.newaxis]
        centers = np.log(energy_edges[:-1] * energy_edges[1:]) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            index = -np.gradient(np.log(counts / width), centers, axis=0)
        index = np.where(np.isfinite(index), index, 1.0).clip(-_STEEPEST, _STEEPEST)
    return _make_grid(
        counts,
        index,
        energy_edges=energy_edges,
        plane_edges=plane_edges,
        offset_max=offset_max,
        fov_alignment=fov_alignment,
    )


def radial_grid(
    counts: np.ndarray,
    *,
    offsets: np.ndarray,
    energy_edges: np.ndarray,
    plane_edges: np.ndarray,
    offset_max: float,
) -> DrawGrid:
    """Make cells from events per solid angle that depend on the offset alone.

    Parameters
    ----------
    counts : np.ndarray
        Events per on-time and solid angle, shape ``(n_energy, n_offset)`` [s-1 sr-1];
        linear between the offsets.
    offsets : np.ndarray
        Offsets, growing, shape ``(n_offset,)`` [deg].
    energy_edges : np.ndarray
        Edges, shape ``(n_energy + 1,)`` [TeV].
    plane_edges : np.ndarray
        Edges of both axes of the plane, shape ``(n_plane + 1,)`` [deg].
    offset_max : float
        Largest offset [deg].

    Returns
    -------
    DrawGrid
        Rates of the cells.
    """
    centers = np.radians((plane_edges[:-1] + plane_edges[1:]) / 2)
    offset = np.degrees(np.arctan(np.hypot.outer(centers, centers)))
    solid_angle = plane_field(plane_edges)[2]
    cells = np.stack([np.interp(offset, offsets, row) for row in counts]) * solid_angle
    return bin_grid(
        cells,
        energy_edges=energy_edges,
        plane_edges=plane_edges,
        offset_max=offset_max,
        fov_alignment="RADEC",
    )


def plane_vectors(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the directions of points of the plane.

    Parameters
    ----------
    x, y : np.ndarray
        Their coordinates, any shape, ``n`` in all [deg at the centre].

    Returns
    -------
    np.ndarray
        Field-of-view vectors, not of length one, shape ``(n, 3)``.
    """
    x, y = np.radians(x).ravel(), np.radians(y).ravel()
    return np.column_stack([np.ones(x.size), x, y])


def _power_integral(t: np.ndarray) -> np.ndarray:
    """Integral of exp(t s) over s from 0 to 1."""
    small = np.abs(t) < 1e-8
    t = np.where(small, 1.0, t)
    integral: np.ndarray = np.where(small, 1.0, np.expm1(t) / t)
    return integral


def _make_grid(
    cells: np.ndarray,
    index: np.ndarray,
    *,
    energy_edges: np.ndarray,
    plane_edges: np.ndarray,
    offset_max: float,
    fov_alignment: str,
) -> DrawGrid:
    inside = _inside_share(plane_edges, offset_max)
    return DrawGrid(
        energy_edges=energy_edges,
        plane_edges=plane_edges,
        # nothing is drawn in pixels that are wholly outside
        rate=np.where(inside > 0, cells, 0.0),
        index=index,
        inside=inside,
        offset_max=offset_max,
        fov_alignment=fov_alignment,
    )


def _inside_share(plane_edges: np.ndarray, offset_max: float) -> np.ndarray:
    """Share of each pixel within an offset, by points in it."""
    steps = (np.arange(_N_SAMPLES) + 0.5) / _N_SAMPLES
    points = plane_edges[:-1, np.newaxis] + np.diff(plane_edges)[:, np.newaxis] * steps
    square = np.radians(points.ravel()) ** 2
    limit = np.tan(np.radians(offset_max)) ** 2
    is_inside = np.add.outer(square, square) <= limit
    n_plane = plane_edges.size - 1
    shape = (n_plane, _N_SAMPLES, n_plane, _N_SAMPLES)
    share: np.ndarray = is_inside.reshape(shape).mean(axis=(1, 3))
    return share
