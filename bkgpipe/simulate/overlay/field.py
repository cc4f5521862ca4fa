"""When which part of the field of an OFF run is outside its excluded regions."""

from __future__ import annotations

import healpy as hp
import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import (
    fov_matrix,
    offset_angle,
    pointing_of,
    swap_alignment,
    zenith_position_angle,
)
from bkgpipe.simulate.overlay.clock import in_order, time_at
from bkgpipe.simulate.overlay.data import FieldGrid, OffExposure
from bkgpipe.stages.mask.data import ExclusionMask

__all__ = ["find_cells", "make_exposure", "make_grid", "position_angles"]

# the field turns by less than a quarter of a cell between two looks at it
_TURN_PER_CELL = 0.25
_MIN_STEP = 1.0  # s, also where the field turns fast, near the zenith
_N_TRACK = 200
_OUTSIDE = -1


def make_grid(*, nside: int, offset_max: float) -> FieldGrid:
    """Divide the field of view into cells of equal solid angle.

    Parameters
    ----------
    nside : int
        HEALPix resolution.
    offset_max : float
        Edge of the field [deg].

    Returns
    -------
    FieldGrid
        All cells that touch the field.
    """
    pointing = np.array([1.0, 0.0, 0.0])
    cells = np.sort(
        hp.query_disc(nside, pointing, np.radians(offset_max), inclusive=True)
    )
    centres = np.column_stack(hp.pix2vec(nside, cells))
    return FieldGrid(
        nside=nside, offset_max=offset_max, cells=cells, offset=offset_angle(centres)
    )


def find_cells(grid: FieldGrid, vectors: np.ndarray) -> np.ndarray:
    """Find the cells of field-of-view vectors.

    Parameters
    ----------
    grid : FieldGrid
        Cells.
    vectors : np.ndarray
        Unit vectors, shape ``(n, 3)``.

    Returns
    -------
    np.ndarray
        Index of the cell, -1 outside the grid, shape ``(n,)``.
    """
    pixels = hp.vec2pix(grid.nside, *vectors.T)
    index = np.searchsorted(grid.cells, pixels).clip(max=grid.n_cells - 1)
    found: np.ndarray = np.where(grid.cells[index] == pixels, index, _OUTSIDE)
    return found


def position_angles(
    run: Run, time: np.ndarray, *, fov_alignment: str
) -> np.ndarray | None:
    """Return how the field is turned at each time.

    Parameters
    ----------
    run : Run
        The run.
    time : np.ndarray
        TT as modified Julian date, shape ``(n,)`` [d].
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    np.ndarray or None
        Position angle of the zenith for ALTAZ, shape ``(n,)`` [deg]; None for RADEC.

    Raises
    ------
    InputError
        If ALTAZ is asked for and the place of the observatory is not known.
    """
    if fov_alignment == "RADEC":
        return None
    return zenith_position_angle(run, time)


def make_exposure(
    run: Run, gti: np.ndarray, mask: ExclusionMask, *, grid: FieldGrid, alignment: str
) -> OffExposure:
    """Find when each cell of the field is outside the excluded regions of a run.

    The regions stand still on the sky, and turn in an ALTAZ field. A cell counts as
    excluded for all of a step if any part of it is at any time of the step.

    Parameters
    ----------
    run : Run
        The OFF run.
    gti : np.ndarray
        Its good time intervals, shape ``(n_intervals, 2)`` [d].
    mask : ExclusionMask
        Its mask.
    grid : FieldGrid
        Cells of the field.
    alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    OffExposure
        Kept cells in each step of its live time.

    Raises
    ------
    InputError
        If the run has no live time, or its pointing or place is not known.
    """
    gti = in_order(gti)
    livetime = float(np.diff(gti, axis=1).sum() * 86400.0) * run.deadc
    if not livetime > 0:
        raise InputError(
            what=f"live time is {livetime} s, expected more than zero",
            where=f"run {run.obs_id}",
            fix="Check its GTI table and DEADC, or leave the run out",
        )
    points = _excluded_points(run, mask, offset_max=grid.offset_max)
    angles = _looks(run, gti, livetime, grid=grid, alignment=alignment)
    if not len(points):
        angles = angles[:3]
    excluded = np.zeros((len(angles), grid.n_cells), dtype=bool)
    for row, angle in zip(excluded, angles, strict=True):
        turned = points if np.isnan(angle) else swap_alignment(points, angle)
        found = find_cells(grid, turned)
        row[found[found != _OUTSIDE]] = True
    # a step is seen at its start, in its middle, and at its end
    is_excluded = excluded[:-2:2] | excluded[1:-1:2] | excluded[2::2]
    return OffExposure(
        obs_id=run.obs_id,
        gti=gti,
        deadc=run.deadc,
        step_edges=np.linspace(0.0, livetime, len(is_excluded) + 1),
        kept=~is_excluded,
    )


def _looks(
    run: Run, gti: np.ndarray, livetime: float, *, grid: FieldGrid, alignment: str
) -> np.ndarray:
    """Return the angles of the field at edges and middles of steps, NaN for RADEC."""
    if alignment == "RADEC":
        return np.full(3, np.nan)
    track = time_at(gti, np.linspace(0.0, livetime, _N_TRACK), deadc=run.deadc)
    angle = zenith_position_angle(run, track)
    cell = np.degrees(hp.nside2resol(grid.nside))
    turn = np.degrees(2 * _TURN_PER_CELL * cell / grid.offset_max)
    fastest = float(np.abs(np.diff(angle)).max()) * _N_TRACK
    n_steps = max(1, int(np.ceil(min(fastest / turn, livetime / _MIN_STEP))))
    looks = np.linspace(0.0, livetime, 2 * n_steps + 1)
    return zenith_position_angle(run, time_at(gti, looks, deadc=run.deadc))


def _excluded_points(run: Run, mask: ExclusionMask, *, offset_max: float) -> np.ndarray:
    """Return RADEC vectors that lie close enough to mark all that is excluded."""
    pixels = mask.excluded_pixels
    if not pixels.size:
        return np.empty((0, 3))
    around = hp.get_all_neighbours(mask.nside, pixels)
    rim = pixels[~np.isin(around, pixels).all(axis=0)]
    corners = np.swapaxes(hp.boundaries(mask.nside, rim, step=1), 1, 2).reshape(-1, 3)
    # a corner lies on other pixels as well: it must be inside its own
    centres = np.repeat(np.column_stack(hp.pix2vec(mask.nside, rim)), 4, axis=0)
    inside = 0.98 * corners + 0.02 * centres
    sky = np.concatenate([np.column_stack(hp.pix2vec(mask.nside, pixels)), inside])
    points: np.ndarray = sky @ fov_matrix(*pointing_of(run)).T
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    near: np.ndarray = points[offset_angle(points) < offset_max + 1.0]
    return near
