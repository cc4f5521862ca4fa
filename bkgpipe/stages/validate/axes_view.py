"""A test of models on several energy axes, in words and in one figure."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.plot.axes import simplify_ticks
from bkgpipe.stages.validate.axes_data import (
    RANGES,
    AxesSummary,
    AxesTest,
    AxisRow,
    AxisScore,
)

__all__ = ["describe_axes", "figure_axes"]

_HEADINGS = (
    "bins per decade",
    "predicted/counted",
    "shape rms",
    "worst bin",
    "chi2/bins",
    "floor",
    "scatter of runs: worst, median",
)
_LEAST_SPAN, _LARGEST_SPAN = 1.1, 5.0  # of counted over predicted in a figure


def describe_axes(summary: AxesSummary) -> str:
    """Say how well models predict runs on axes that are not their own.

    Parameters
    ----------
    summary : AxesSummary
        Numbers.

    Returns
    -------
    str
        A table for each kind of models and range, without a final line break.
    """
    where = f"offsets to {summary.offset_max:g} deg"
    if any(row.energies != RANGES[0] for row in summary.rows):
        where += f", to {summary.inside_offset:g} deg below the safe energy"
    lines = [f"Energy axes of an analyst, by gammapy's own makers: {where}"]
    blocks = groupby(summary.rows, key=lambda row: (row.model, row.energies))
    for (model, energies), group in blocks:
        rows = list(group)
        lines += ["", f"{model}, {energies}: {rows[0].n_runs} runs{_missing(rows)}"]
        lines += _format([_HEADINGS, *map(_cells, rows)])
    return "\n".join(lines)


def _missing(rows: list[AxisRow]) -> str:
    n_uncovered = max(row.n_uncovered for row in rows)
    return f"; up to {n_uncovered} events where models have no bin" * (n_uncovered > 0)


def _cells(row: AxisRow) -> tuple[str, ...]:
    return (
        row.axis,
        f"{row.total:.3f}",
        f"{row.rms:.1%}",
        f"{row.worst:+.1%} at {row.worst_energy:.2g} TeV",
        f"{row.chi2:.0f}/{row.n_bins}",
        f"{row.floor_total:.3f}, {row.floor_chi2:.0f}/{row.n_bins}",
        "-"
        if np.isnan(row.scatter)
        else f"{row.scatter:.3f}, {row.scatter_median:.3f}",
    )


def _format(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def figure_axes(test: AxesTest) -> Figure:
    """Draw counted over predicted against energy.

    Parameters
    ----------
    test : AxesTest
        Scores.

    Returns
    -------
    Figure
        A row for each range, a column for each kind of models.
    """
    present = {score.energies for scores in test.scores.values() for score in scores}
    ranges = [energies for energies in RANGES if energies in present]
    size = (1.0 + 6.0 * len(test.scores), 0.8 + 3.6 * len(ranges))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(ranges), len(test.scores), squeeze=False, sharex=True)
    for row, energies in zip(panels, ranges, strict=True):
        for ax, (name, scores) in zip(row, test.scores.items(), strict=True):
            drawn = [score for score in scores if score.energies == energies]
            _draw(ax, drawn)
            ax.set_title(f"{name}\n{energies}", fontsize="medium")
    for ax in panels[-1]:
        ax.set_xlabel("energy [TeV]")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title="bins per decade",
        loc="outside lower center",
        ncols=5,
        fontsize="small",
    )
    return figure


def _draw(ax: Axes, scores: list[AxisScore]) -> None:
    colors = colormaps["viridis"](np.linspace(0.0, 0.95, max(len(scores), 1)))
    for score, color in zip(scores, colors, strict=False):
        is_drawn = score.is_judged & (score.counts > 0)
        edges = score.axis.energy_edges
        centers = np.sqrt(edges[1:] * edges[:-1])[is_drawn]
        ratio = score.ratio[is_drawn]
        error = ratio / np.sqrt(score.counts[is_drawn])
        style = {"color": color, "marker": ".", "ms": 4, "linewidth": 0.8}
        ax.errorbar(centers, ratio, yerr=error, label=score.axis.name, **style)
    ax.axhline(1.0, color="0.5", linewidth=1)
    ax.set(xscale="log", yscale="log", ylabel="counted / predicted")
    span = _span(scores)
    ax.set_ylim(1 / span, span)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("{x:g}")
    simplify_ticks(ax.xaxis)


def _span(scores: list[AxisScore]) -> float:
    found = [score.ratio[score.is_judged & (score.counts > 0)] for score in scores]
    away = np.abs(np.log(np.concatenate([*found, np.ones(1)])))
    span = float(np.exp(1.2 * np.quantile(away, 0.98)))
    return float(np.clip(span, _LEAST_SPAN, _LARGEST_SPAN))
