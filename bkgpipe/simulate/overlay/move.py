"""Move events of OFF runs through the field of view onto a target run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.run import Events, Run
from bkgpipe.geometry.frames import (
    fov_matrix,
    from_fov,
    lon_lat,
    offset_angle,
    pointing_of,
    swap_alignment,
    unit_vectors,
)
from bkgpipe.simulate.mixing.data import BKG_TYPES, MixedEvents
from bkgpipe.simulate.overlay.clock import livetime_at, time_at
from bkgpipe.simulate.overlay.data import (
    FieldGrid,
    OffExposure,
    OverlayTally,
    OverlayTarget,
    PoolPiece,
)
from bkgpipe.simulate.overlay.field import find_cells, position_angles
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.pixels import is_kept_vectors

__all__ = ["LocatedEvents", "locate_events", "overlay_piece"]

# rings in which the rate of an OFF run is taken
_N_RINGS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class LocatedEvents:
    """Events of an OFF run that none of its excluded regions is near to.

    Attributes
    ----------
    fov_lon, fov_lat : np.ndarray
        Place in the field, shape ``(n_kept,)`` [deg].
    energy : np.ndarray
        Energy, shape ``(n_kept,)`` [TeV].
    cell : np.ndarray
        Cell of the field, shape ``(n_kept,)``.
    clock : np.ndarray
        Live time that their cell was kept before them, shape ``(n_kept,)`` [s].
    excluded_at, outside_at : np.ndarray
        Live time of the events that are excluded, and of those beyond the field, shapes
        ``(n_excluded,)`` and ``(n_outside,)`` [s].
    n_read, n_invalid : int
        Events in the file; those outside the good times, or with numbers that are none.
    """

    fov_lon: np.ndarray
    fov_lat: np.ndarray
    energy: np.ndarray
    cell: np.ndarray
    clock: np.ndarray
    excluded_at: np.ndarray
    outside_at: np.ndarray
    n_read: int
    n_invalid: int


def locate_events(
    run: Run,
    events: Events,
    mask: ExclusionMask,
    *,
    exposure: OffExposure,
    grid: FieldGrid,
    alignment: str,
) -> LocatedEvents:
    """Find where in the field, and when, the kept events of an OFF run are.

    Parameters
    ----------
    run : Run
        The OFF run.
    events : Events
        Its events.
    mask : ExclusionMask
        Its mask.
    exposure : OffExposure
        When its cells are kept.
    grid : FieldGrid
        Cells of the field.
    alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    LocatedEvents
        Kept events in the order of the file.

    Raises
    ------
    InputError
        If the pointing or the place of the run is not known.
    """
    livetime = livetime_at(exposure.gti, events.time, deadc=exposure.deadc)
    numbers = np.isfinite([events.ra, events.dec, events.energy, livetime])
    valid = np.flatnonzero(numbers.all(axis=0) & (events.energy > 0))
    sky = unit_vectors(events.ra[valid], events.dec[valid])
    vectors = sky @ fov_matrix(*pointing_of(run)).T
    angles = position_angles(run, events.time[valid], fov_alignment=alignment)
    if angles is not None:
        vectors = swap_alignment(vectors, angles)
    cell = find_cells(grid, vectors)
    inside = (cell >= 0) & (offset_angle(vectors) < grid.offset_max)
    seconds = livetime[valid]
    edges = exposure.step_edges
    step = np.searchsorted(edges, seconds, side="right") - 1
    step = step.clip(0, edges.size - 2)
    kept = inside & exposure.kept[step, cell] & is_kept_vectors(mask, sky)
    lost_at = seconds[inside & ~kept], seconds[~inside]
    step, cell, seconds = step[kept], cell[kept], seconds[kept]
    lon, lat = lon_lat(vectors[kept])
    return LocatedEvents(
        fov_lon=lon,
        fov_lat=lat,
        energy=events.energy[valid][kept],
        cell=cell,
        clock=_kept_before(exposure)[step, cell] + seconds - edges[step],
        excluded_at=lost_at[0],
        outside_at=lost_at[1],
        n_read=events.n_events,
        n_invalid=events.n_events - valid.size,
    )


def overlay_piece(
    located: LocatedEvents,
    piece: PoolPiece,
    *,
    exposure: OffExposure,
    target: OverlayTarget,
    grid: FieldGrid,
    alignment: str,
    threshold: float,
) -> tuple[MixedEvents, OverlayTally]:
    """Move the events that a target gets of an OFF run to its pointing and time.

    Parameters
    ----------
    located : LocatedEvents
        Kept events of the OFF run.
    piece : PoolPiece
        What the target gets of it.
    exposure : OffExposure
        When its cells are kept.
    target : OverlayTarget
        The target.
    grid : FieldGrid
        Cells of the field.
    alignment : str
        ``ALTAZ`` or ``RADEC``: the frame in which an event keeps its place.
    threshold : float
        Lowest energy [TeV].

    Returns
    -------
    events : MixedEvents
        Events on the sky of the target, in no order.
    tally : OverlayTally
        Where the events of the OFF run went.

    Raises
    ------
    InputError
        If the pointing or the place of the target is not known.
    """
    passed = located.clock - piece.start[located.cell]
    is_given = (passed >= 0) & (passed < piece.taken[located.cell])
    is_high = located.energy >= threshold
    drawn = np.flatnonzero(is_given & is_high)
    cell = located.cell[drawn]
    livetime = piece.filled[cell] + passed[drawn] / piece.factor
    time = time_at(target.gti, livetime, deadc=target.run.deadc)
    ra, dec = from_fov(
        located.fov_lon[drawn],
        located.fov_lat[drawn],
        pointing=pointing_of(target.run),
        position_angle=position_angles(target.run, time, fov_alignment=alignment),
    )
    events = MixedEvents(
        ra=ra,
        dec=dec,
        energy=located.energy[drawn],
        time=time,
        bkg_type=np.full(drawn.size, BKG_TYPES["overlay"], dtype=np.int16),
    )
    # most of the field reads the run from here to there
    span = np.median(piece.start), np.median(piece.start + piece.taken)
    tally = OverlayTally(
        n_drawn=drawn.size,
        n_reused=int(piece.is_reused[cell].sum()),
        n_excluded=_number_in(span, located.excluded_at),
        n_outside=_number_in(span, located.outside_at),
        n_low=int((is_given & ~is_high).sum()),
        expected=_expected(located.cell[is_high], piece, exposure, grid),
    )
    return events, tally


def _number_in(span: tuple[float, float], livetime: np.ndarray) -> int:
    return int(np.count_nonzero((livetime >= span[0]) & (livetime < span[1])))


def _kept_before(exposure: OffExposure) -> np.ndarray:
    """Live time that each cell was kept before each step, ``(n_steps, n_cells)``."""
    width = np.diff(exposure.step_edges)[:, np.newaxis]
    kept = np.cumsum(width * exposure.kept, axis=0)
    return np.concatenate([np.zeros((1, kept.shape[1])), kept[:-1]])


def _expected(
    cell: np.ndarray, piece: PoolPiece, exposure: OffExposure, grid: FieldGrid
) -> float:
    """Sum the rate of all kept events of the run times what is taken, ring by ring."""
    ring = (grid.offset / grid.offset_max * _N_RINGS).astype(int).clip(0, _N_RINGS - 1)
    counts = np.bincount(ring[cell], minlength=_N_RINGS)
    taken = np.bincount(ring, piece.taken, minlength=_N_RINGS)
    offered = np.bincount(ring, exposure.kept_livetime, minlength=_N_RINGS)
    seen = offered > 0
    return float((counts[seen] * taken[seen] / offered[seen]).sum())
