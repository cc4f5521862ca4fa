"""What the rate monitor saw, in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from bkgpipe.plot.axes import COLORS
from bkgpipe.tools.monitor.data import Monitor, MonitorBins, RunCurve, RunLevel

__all__ = ["figure_monitor"]

_MAX_CURVES = 12
_MAX_NAMES = 12
_N_COLUMNS = 3
_MAX_PULL = 5.0
_QUIET, _ODD = COLORS[:2]
_SHADES = {"drop": COLORS[1], "gap": COLORS[1], "burst": COLORS[2]}


def figure_monitor(monitor: Monitor) -> Figure:
    """Draw the rates of all runs, and those with changes in time.

    Parameters
    ----------
    monitor : Monitor
        What was seen.

    Returns
    -------
    Figure
        Above all runs, against the order in time and the zenith angle; below, for the
        most significant changes, the rate in time with the changes shaded, and the
        deviation of each energy and offset bin from what is expected.
    """
    curves = _strongest(monitor.curves)
    n_rows = _n_rows(curves)
    figure = Figure(figsize=(12.0, 4.0 + 3.6 * n_rows), layout="constrained")
    if not curves:
        _draw_levels(figure.subplots(1, 2, width_ratios=[1.6, 1.0]), monitor)
        return figure
    heights = [4.0, 3.6 * n_rows]
    parts = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)
    top, below = parts[:, 0]
    _draw_levels(top.subplots(1, 2, width_ratios=[1.6, 1.0]), monitor)
    _draw_curves(below, curves, monitor.bins)
    return figure


def _n_rows(curves: Sequence[RunCurve]) -> int:
    return -(-len(curves) // _N_COLUMNS)


def _strongest(curves: Sequence[RunCurve]) -> list[RunCurve]:
    def weakness(curve: RunCurve) -> float:
        return -max(change.significance for change in curve.changes)

    chosen = sorted(curves, key=weakness)[:_MAX_CURVES]
    return sorted(chosen, key=lambda curve: curve.rates.obs_id)


def _draw_levels(axes: np.ndarray, monitor: Monitor) -> None:
    by_time, by_zenith = axes
    by_time.set(xlabel="run, in order of time", ylabel="rate / expected")
    by_zenith.set(xlabel="zenith angle [deg]", ylabel="rate / that at the zenith")
    levels = monitor.levels
    if not levels:
        for ax in axes:
            ax.text(0.5, 0.5, "too few runs to compare", ha="center", va="center")
        return
    is_odd = np.array([level.is_outlier for level in levels])
    ratio = np.array([1 + level.change for level in levels])
    zenith = np.array([level.zenith for level in levels])
    limit = monitor.limits.outlier * monitor.scatter
    by_time.axhspan(np.exp(-limit), np.exp(limit), color="0.9", label="ordinary")
    by_time.axhline(1.0, color="0.5", linewidth=0.8)
    angles = np.linspace(zenith.min(), zenith.max(), 100)
    by_zenith.plot(angles, _law(monitor, angles), color="0.5", linewidth=0.8)
    order = np.arange(len(levels))
    scaled = ratio * _law(monitor, zenith)
    for ax, x, y in ((by_time, order, ratio), (by_zenith, zenith, scaled)):
        # 10^5 points are as many as anybody can see in an image
        style = {"marker": ".", "linestyle": "none", "rasterized": True}
        ax.plot(x[~is_odd], y[~is_odd], color=_QUIET, label="run", **style)
        ax.plot(x[is_odd], y[is_odd], color=_ODD, label="out of the ordinary", **style)
        _name_outliers(ax, levels, x, y)
        ax.margins(y=0.15)
        ax.grid(visible=True, alpha=0.3)
    by_time.legend(fontsize="small", ncols=3, loc="best")


def _law(monitor: Monitor, zenith: np.ndarray) -> np.ndarray:
    law: np.ndarray = np.cos(np.radians(zenith)) ** monitor.level_exponent
    return law


def _name_outliers(
    ax: Axes, levels: Sequence[RunLevel], x: np.ndarray, y: np.ndarray
) -> None:
    """Write the numbers of the worst runs, in turn below and above their points."""
    odd = [i for i, level in enumerate(levels) if level.is_outlier]
    worst = sorted(odd, key=lambda i: -abs(levels[i].significance))[:_MAX_NAMES]
    for turn, i in enumerate(sorted(worst, key=lambda i: float(x[i]))):
        is_below = turn % 2 == 0
        ax.annotate(
            str(levels[i].obs_id),
            (float(x[i]), float(y[i])),
            xytext=(0, -4 if is_below else 4),
            textcoords="offset points",
            ha="center",
            va="top" if is_below else "bottom",
            fontsize="small",
        )


def _draw_curves(
    figure: SubFigure, curves: Sequence[RunCurve], bins: MonitorBins
) -> None:
    n_columns = min(len(curves), _N_COLUMNS)
    n_rows = _n_rows(curves)
    grid = figure.add_gridspec(
        2 * n_rows,
        n_columns + 1,
        height_ratios=[3, 2] * n_rows,
        width_ratios=[*[1.0] * n_columns, 0.03],
    )
    for i, curve in enumerate(curves):
        row, column = divmod(i, n_columns)
        series = figure.add_subplot(grid[2 * row, column])
        strip = figure.add_subplot(grid[2 * row + 1, column], sharex=series)
        _draw_series(series, curve)
        mesh = _draw_strip(strip, curve, bins)
        if column == 0:
            series.set_ylabel("rate [1/s]")
            _name_bands(strip, bins)
        else:
            strip.set_yticks([])
    bar = figure.add_subplot(grid[:2, -1])
    figure.colorbar(mesh, cax=bar, label="(counted - expected) / error")


def _draw_series(ax: Axes, curve: RunCurve) -> None:
    rates = curve.rates
    live = rates.is_live
    minutes, livetime = rates.minutes, rates.livetime[live]
    middle = ((minutes[:-1] + minutes[1:]) / 2)[live]
    counts = rates.counts.sum(axis=(1, 2))[live]
    for change in curve.changes:
        ends = change.start_minute, change.stop_minute
        # a line about it, so that seconds without events are seen as well
        ax.axvspan(*ends, color=_SHADES[change.kind], alpha=0.25, linewidth=1.5)
    rate, error = counts / livetime, np.sqrt(np.maximum(counts, 1)) / livetime
    ax.errorbar(middle, rate, error, fmt=".", color=COLORS[3], markersize=5)
    expected = curve.expected[live] / livetime
    ax.plot(middle, expected, color=_QUIET, linewidth=1.2)
    ax.set_xlim(minutes[0], minutes[-1])
    ax.tick_params(labelbottom=False)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    words = ", ".join(dict.fromkeys(change.kind for change in curve.changes))
    ax.set_title(f"{rates.obs_id} {rates.target}: {words}", fontsize="medium")
    ax.grid(visible=True, alpha=0.3)


def _draw_strip(ax: Axes, curve: RunCurve, bins: MonitorBins) -> QuadMesh:
    """Draw the deviation of each energy and offset bin, energies one above another."""
    rates, n_bands = curve.rates, bins.shape[0] * bins.shape[1]
    expected = curve.expected_bands.reshape(-1, n_bands)
    counts = rates.counts.reshape(-1, n_bands)
    error = np.sqrt(np.maximum(expected, 1.0))
    pulls = np.where(rates.is_live[:, np.newaxis], (counts - expected) / error, np.nan)
    mesh = ax.pcolormesh(
        rates.minutes,
        np.arange(n_bands + 1),
        pulls.T,
        cmap="PuOr_r",
        vmin=-_MAX_PULL,
        vmax=_MAX_PULL,
    )
    for edge in np.arange(1, bins.shape[0]) * bins.shape[1]:
        ax.axhline(float(edge), color="0.4", linewidth=0.6)
    ax.set_facecolor("0.85")
    ax.set_xlabel("minutes from the start of the run")
    return mesh


def _name_bands(ax: Axes, bins: MonitorBins) -> None:
    n_energy, n_offset = bins.shape
    edges = bins.energy_edges
    names = [f"{low:g}-{high:g}" for low, high in pairwise(edges)]
    ax.set_yticks((np.arange(n_energy) + 0.5) * n_offset, names, fontsize="small")
    ax.set_ylabel("energy [TeV],\noffset upward", fontsize="small")
