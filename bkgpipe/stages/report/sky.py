"""Where the runs pointed, and what was left out there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.coordinates import SkyCoord
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.core.run import Run
from bkgpipe.plot.axes import COLORS
from bkgpipe.stages.mask.data import ExclusionRegion

__all__ = ["figure_sky"]

_MAX_NAMES = 8
_APART = (40.0, 9.0)  # names nearer than this in both directions would overlap [deg]
_NEAR_EDGE = 140.0  # in longitude: names go inward [deg]
_LEAST_SIZE = 3.0  # of a mark, which a region may be smaller than [points]
_POINTS_PER_DEG = 9.4 * 0.94 * 72 / 360  # width of the axes over that of the sky


def figure_sky(
    runs: Sequence[Run], regions: Sequence[ExclusionRegion], *, field_radius: float
) -> Figure:
    """Draw pointings and excluded regions on a map of the sky.

    Parameters
    ----------
    runs : sequence of Run
        Runs whose pointings are drawn.
    regions : sequence of ExclusionRegion
        Excluded regions.
    field_radius : float
        Radius of the field of view [deg].

    Returns
    -------
    Figure
        Mollweide map in Galactic coordinates, longitude growing to the left; fields and
        regions in their sizes at the centre of the map, but not smaller than a dot.
    """
    figure = Figure(figsize=(9.4, 5.2))
    ax = figure.add_axes((0.03, 0.08, 0.94, 0.84), projection="mollweide")
    _draw_axes(ax)
    known = [run for run in runs if np.isfinite(run.ra + run.dec)]
    distinct = _distinct(known)
    x, y = _to_map([run.ra for run in distinct], [run.dec for run in distinct])
    ax.scatter(
        x,
        y,
        s=_area(np.full(len(distinct), field_radius)),
        color=COLORS[0],
        alpha=0.35,
        linewidth=0,
        label=f"fields of view of {len(known)} runs",
    )
    x, y = _to_map(
        [region.ra for region in regions], [region.dec for region in regions]
    )
    ax.scatter(
        x,
        y,
        s=_area(np.array([region.radius for region in regions])),
        facecolor="none",
        edgecolor=COLORS[1],
        linewidth=0.7,
        label=f"{len(regions)} excluded regions",
    )
    _draw_names(ax, known)
    figure.legend(loc="lower center", ncols=2, fontsize="small", frameon=False)
    return figure


def _draw_axes(ax: Axes) -> None:
    longitudes = np.arange(-120, 121, 60)
    ax.set_xticks(np.radians(longitudes), [""] * longitudes.size)
    for each in longitudes:
        ax.annotate(
            f"{-each % 360}°",
            (np.radians(each), 0.0),
            xytext=(2, -9),
            textcoords="offset points",
            fontsize="x-small",
            color="0.35",
        )
    latitudes = np.arange(-60, 61, 30)
    ax.set_yticks(np.radians(latitudes), [f"{each}°" for each in latitudes])
    ax.tick_params(labelsize="x-small", labelcolor="0.35")
    ax.grid(visible=True, alpha=0.4, linewidth=0.5)
    ax.axhline(0.0, color="0.5", linewidth=0.8)
    ax.set_title("Galactic longitude and latitude", fontsize="medium")


def _to_map(ra: list[float], dec: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Turn into Galactic coordinates, as the projection takes them [rad]."""
    place = SkyCoord(np.array(ra), np.array(dec), unit="deg", frame="icrs").galactic
    x: np.ndarray = -place.l.wrap_at("180d").rad
    return x, place.b.rad


def _area(radius: np.ndarray) -> np.ndarray:
    """Area of a mark for a disc on the sky [points2]."""
    size = np.maximum(2 * np.nan_to_num(radius) * _POINTS_PER_DEG, _LEAST_SIZE)
    area: np.ndarray = size**2
    return area


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """Take one run of each pointing, so that deep fields do not hide the rest."""
    return list({(round(run.ra, 1), round(run.dec, 1)): run for run in runs}.values())


def _draw_names(ax: Axes, runs: Sequence[Run]) -> None:
    """Name the targets with most live time, if there is space."""
    hours: dict[str, float] = {}
    place: dict[str, Run] = {}
    for run in runs:
        hours[run.target] = hours.get(run.target, 0.0) + run.livetime
        place.setdefault(run.target, run)
    ordered = [name for name in sorted(hours, key=lambda name: -hours[name]) if name]
    if not ordered:
        return
    ra, dec = [place[n].ra for n in ordered], [place[n].dec for n in ordered]
    x, y = _to_map(ra, dec)
    taken: list[tuple[float, float]] = []
    for i, name in enumerate(ordered):
        if len(taken) == _MAX_NAMES:
            return
        # above the field, or else below it
        for shift in (9, -17):
            height = np.degrees(y[i]) + shift / _POINTS_PER_DEG
            if not _overlaps(np.degrees(x[i]), height, taken):
                taken.append((np.degrees(x[i]), height))
                _write_name(ax, name, (x[i], y[i]), shift)
                break


def _overlaps(x: float, y: float, taken: list[tuple[float, float]]) -> bool:
    return any(
        abs(x - other_x) < _APART[0] and abs(y - other_y) < _APART[1]
        for other_x, other_y in taken
    )


def _write_name(ax: Axes, name: str, place: tuple[float, float], shift: float) -> None:
    is_near = abs(np.degrees(place[0])) > _NEAR_EDGE
    inward = "right" if place[0] > 0 else "left"
    ax.annotate(
        name,
        place,
        xytext=(0, shift),
        textcoords="offset points",
        ha=inward if is_near else "center",
        fontsize="small",
    )
