"""Rates of runs against the conditions that they were taken in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.time import Time
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.core.run import Run
from bkgpipe.plot.axes import COLORS, draw_band
from bkgpipe.stages.report.dependence import ConditionCurve, Dependence, RunRate

__all__ = ["figure_dependence"]

_DAYS_PER_YEAR = 365.25
_MANY = 400  # above, error bars hide each other, and medians are drawn
_N_MEDIANS = 15
_LEFT, _MARGIN, _BELOW, _ABOVE = 0.85, 0.1, 0.5, 0.36  # of the axes [inch]
_LABELS = {
    "zenith": "zenith angle [deg]",
    "time": "time [year]",
    "muon_efficiency": "muon efficiency",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Points:
    """Runs as points, in columns of shape ``(n_runs,)``."""

    rate: np.ndarray
    error: np.ndarray
    predicted: np.ndarray


def figure_dependence(dependence: Dependence, runs: Sequence[Run]) -> Figure:
    """Draw the rate of each run against zenith angle, time and muon efficiency.

    Parameters
    ----------
    dependence : Dependence
        Rates of runs, counted and predicted.
    runs : sequence of Run
        Their conditions; those of other runs are left alone.

    Returns
    -------
    Figure
        Rates above, and counted over predicted below; the prediction of a regression
        as a curve with its error, conditions that are unknown or all alike left out.
    """
    known = {run.obs_id: run for run in runs}
    rates = [r for r in dependence.runs if r.exposure > 0 and r.obs_id in known]
    members = [known[rate.obs_id] for rate in rates]
    columns = _conditions(members)
    curves = {curve.name: curve for curve in dependence.curves}
    figure = Figure(figsize=(1.6 + 3.4 * len(columns), 5.4))
    axes = figure.subplots(2, len(columns), squeeze=False, sharex="col", sharey="row")
    # by hand, as finding the places takes as long as the drawing
    width, height = figure.get_size_inches()
    left, right = _LEFT / width, 1.0 - _MARGIN / width
    below, above = _BELOW / height, 1.0 - _ABOVE / height
    figure.subplots_adjust(left, below, right, above, wspace=0.04, hspace=0.07)
    points = _make_points(rates)
    for (name, values), (above, below) in zip(columns.items(), axes.T, strict=True):
        _draw_rates(above, values, points)
        if name in curves:
            _draw_prediction(above, curves[name])
        _draw_ratios(below, values, points)
        below.set_xlabel(_LABELS[name])
    axes[0, 0].set_ylabel(f"rate above {dependence.energy_min:.3g} TeV\n[s-1 sr-1]")
    axes[0, 0].set_ylim(bottom=0.0)
    axes[1, 0].set_ylabel("counted / predicted")
    _add_legend(figure, axes[0, 0])
    return figure


def _conditions(runs: Sequence[Run]) -> dict[str, np.ndarray]:
    """Conditions that differ from run to run; the zenith angle in any case."""
    columns = {
        "zenith": np.array([run.zenith for run in runs]),
        "time": _years(np.array([run.time_start for run in runs])),
        "muon_efficiency": np.array([run.muon_efficiency for run in runs]),
    }
    return {
        name: values
        for name, values in columns.items()
        if name == "zenith" or _varies(values)
    }


def _varies(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size and np.ptp(known) > 0)


def _years(days: np.ndarray) -> np.ndarray:
    years = np.full(days.shape, np.nan)
    is_known = np.isfinite(days)
    years[is_known] = Time(days[is_known], format="mjd").jyear
    return years


def _make_points(rates: Sequence[RunRate]) -> _Points:
    return _Points(
        rate=np.array([rate.rate for rate in rates]),
        error=np.array([rate.rate_error for rate in rates]),
        predicted=np.array([rate.predicted_rate for rate in rates]),
    )


def _draw_rates(ax: Axes, values: np.ndarray, points: _Points) -> None:
    ax.grid(visible=True, alpha=0.3)
    style: dict[str, Any] = {"linestyle": "none", "color": COLORS[0], "marker": "o"}
    if values.size > _MANY:
        ax.plot(values, points.rate, ms=2, alpha=0.3, label="runs", **style)
        _draw_medians(
            ax, values, points.predicted, color=COLORS[1], label="median of the models"
        )
        _draw_medians(
            ax, values, points.rate, color=COLORS[3], label="median of the runs"
        )
        return
    ax.errorbar(values, points.rate, yerr=points.error, ms=3, label="counted", **style)
    if np.isfinite(points.predicted).any():
        ax.plot(
            values,
            points.predicted,
            linestyle="none",
            marker="s",
            ms=5,
            mfc="none",
            color=COLORS[1],
            label="predicted by the model of the run",
        )


def _draw_ratios(ax: Axes, values: np.ndarray, points: _Points) -> None:
    ax.grid(visible=True, alpha=0.3)
    ax.axhline(1.0, color="0.5", linewidth=1)
    is_known = np.isfinite(points.predicted) & (points.predicted > 0)
    values, expected = values[is_known], points.predicted[is_known]
    ratio, error = points.rate[is_known] / expected, points.error[is_known] / expected
    style: dict[str, Any] = {"linestyle": "none", "color": COLORS[0], "marker": "o"}
    if values.size > _MANY:
        ax.plot(values, ratio, ms=2, alpha=0.3, **style)
        _draw_medians(ax, values, ratio, color=COLORS[3], label="median of the runs")
        low, high = np.quantile(ratio, [0.005, 0.995])
        ax.set_ylim(min(low, 0.9), max(high, 1.1))
    else:
        ax.errorbar(values, ratio, yerr=error, ms=3, **style)


def _draw_medians(
    ax: Axes, x: np.ndarray, y: np.ndarray, *, color: str, label: str
) -> None:
    is_known = np.isfinite(x + y)
    order = np.argsort(x[is_known], kind="stable")
    parts = [
        (np.median(x[is_known][part]), np.median(y[is_known][part]))
        for part in np.array_split(order, _N_MEDIANS)
        if part.size
    ]
    if parts:
        ax.plot(*np.transpose(parts), color=color, marker="D", ms=4, label=label)


def _draw_prediction(ax: Axes, curve: ConditionCurve) -> None:
    values = _years(curve.values) if curve.name == "time" else curve.values
    error = curve.rate * curve.error
    ax.plot(values, curve.rate, color=COLORS[3], label="regression, all else at median")
    draw_band(ax, values, curve.rate - error, curve.rate + error, color=COLORS[3])


def _add_legend(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="upper left", ncols=3, fontsize="small")
