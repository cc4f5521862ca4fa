"""Draw background events from rates in the field of view."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.geometry.frames import (
    from_fov,
    lon_lat,
    offset_angle,
    pointing_of,
    zenith_position_angle,
)
from bkgpipe.simulate.mixing.data import MixedEvents
from bkgpipe.simulate.mixing.grid import plane_vectors
from bkgpipe.simulate.mixing.grid_data import DrawGrid

__all__ = ["component_generator", "draw_events", "draw_times"]

_DAY = 86400.0


def component_generator(seed: int, obs_id: int, component: str) -> np.random.Generator:
    """Return the random numbers of one component of one run, whatever else is drawn.

    Parameters
    ----------
    seed : int
        Seed of the store.
    obs_id : int
        Run number.
    component : str
        Name of the component.

    Returns
    -------
    np.random.Generator
        Generator that depends on these three alone.
    """
    return np.random.default_rng([seed, obs_id, crc32(component.encode())])


def draw_times(rng: np.random.Generator, gti: np.ndarray, n_events: int) -> np.ndarray:
    """Draw times that are uniform in the good time intervals.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    gti : np.ndarray
        Starts and stops, shape ``(n_intervals, 2)`` [d].
    n_events : int
        Number of times.

    Returns
    -------
    np.ndarray
        Times, in no order, shape ``(n_events,)`` [d].
    """
    starts, stops = gti.T
    ends = np.cumsum(stops - starts)
    passed = rng.uniform(0.0, ends[-1], n_events)
    interval = np.searchsorted(ends, passed, side="right").clip(max=len(gti) - 1)
    times = stops[interval] - (ends[interval] - passed)
    # rounding must not carry an event out of its interval
    clipped: np.ndarray = times.clip(starts[interval], stops[interval])
    return clipped


def draw_events(
    rng: np.random.Generator,
    grid: DrawGrid,
    run: Run,
    *,
    gti: np.ndarray,
    factor: float,
    bkg_type: int,
) -> tuple[MixedEvents, int]:
    """Draw the events of one component: a Poisson number of them.

    A cell is drawn by its rate, then a place in it and an energy from its power law.
    What falls outside the largest offset, in a pixel that the edge of the field cuts,
    is rejected. Places are turned to the sky by the time of each event.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    grid : DrawGrid
        Rates.
    run : Run
        The run, for its pointing and place.
    gti : np.ndarray
        Good time intervals, shape ``(n_intervals, 2)`` [d].
    factor : float
        Factor on the rates.
    bkg_type : int
        Kind of the events.

    Returns
    -------
    events : MixedEvents
        Events, in no order.
    n_rejected : int
        Events that were drawn outside the field.

    Raises
    ------
    InputError
        If the model is aligned with the horizon and the observatory has no place.
    """
    ontime = float(np.diff(gti, axis=1).sum() * _DAY)
    n_drawn = int(rng.poisson(factor * grid.rate.sum() * ontime))
    energy, vectors = _draw_cells(rng, grid, n_drawn)
    is_inside = offset_angle(vectors) <= grid.offset_max
    lon, lat = lon_lat(vectors[is_inside])
    time = draw_times(rng, gti, lon.size)
    angle = zenith_position_angle(run, time) if grid.fov_alignment == "ALTAZ" else None
    ra, dec = from_fov(lon, lat, pointing=pointing_of(run), position_angle=angle)
    events = MixedEvents(
        ra=ra,
        dec=dec,
        energy=energy[is_inside],
        time=time,
        bkg_type=np.full(lon.size, bkg_type, dtype=np.int16),
    )
    return events, n_drawn - lon.size


def _draw_cells(
    rng: np.random.Generator, grid: DrawGrid, n_drawn: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw energies [TeV] and field-of-view vectors, shape ``(n_drawn, 3)``."""
    if not n_drawn:
        return np.empty(0), np.empty((0, 3))
    mass = np.cumsum(grid.rate.ravel())
    cell = np.searchsorted(mass, rng.uniform(0.0, mass[-1], n_drawn), side="right")
    cell = cell.clip(max=mass.size - 1)
    row, *pixel = np.unravel_index(cell, grid.rate.shape)
    first, last = grid.energy_edges[row], grid.energy_edges[row + 1]
    power = 1.0 - grid.index.ravel()[cell]
    share = _power_share(rng.uniform(size=n_drawn), power * np.log(last / first))
    energy = first * (last / first) ** share
    edges, width = grid.plane_edges, np.diff(grid.plane_edges)
    x, y = (edges[i] + width[i] * rng.uniform(size=n_drawn) for i in pixel)
    return energy, plane_vectors(x, y)


def _power_share(u: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Draw s from 0 to 1 with density exp(t s), from ``u`` uniform likewise."""
    small = np.abs(t) < 1e-8
    t = np.where(small, 1.0, t)
    share: np.ndarray = np.where(small, u, np.log1p(u * np.expm1(t)) / t)
    return share
