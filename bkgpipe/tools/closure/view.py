"""How well models recover a truth, in words and in one figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.plot.axes import COLORS, MARKERS, draw_band, simplify_ticks
from bkgpipe.tools.closure.data import AxisClosure, ClosureReport, ModelClosure, PullSet

__all__ = ["describe_closure", "figure_closure"]

_MAX_PULL = 5.0
_COLOR_OF = dict(zip(("bkg_3d", "bkg_2d"), COLORS, strict=False))
_MARKER_OF = dict(zip(("bkg_3d", "bkg_2d"), MARKERS, strict=False))


def describe_closure(report: ClosureReport) -> str:
    """Say how well models recover the truth.

    Parameters
    ----------
    report : ClosureReport
        The comparison.

    Returns
    -------
    str
        A few lines for each projection, without a final line break.
    """
    lines = [
        (
            f"Recovered against true rate, smooth.method = {report.method}, "
            f"{report.n_runs} runs, {report.hours:.1f} h:"
        )
    ]
    for model in report.models:
        counts = model.counts
        norm = model.norm
        lines += [
            (
                f"  {model.name}: ratio - 1: mean {counts.ratio_mean:+.4f}, rms "
                f"{counts.ratio_rms:.4f} in {counts.n_bins} bins; all counts, "
                f"recovered / true: {counts.n_recovered / counts.n_expected:.4f}"
            ),
            f"    pulls of bins by their errors        {_pulls(model.shape)}",
            f"    ... and with that of the norm        {_pulls(model.bins)}",
            f"    pulls of norms                       {_pulls(model.norms)}",
            (
                f"    norm, recovered / true: {norm.mean():.4f} +- {norm.std():.4f} in "
                f"{norm.size} models; stated error {model.norm_error.mean():.4f}"
            ),
            f"    bias along energy: {_bias(model.energy)}",
            f"    bias along offset: {_bias(model.offset)}",
        ]
    return "\n".join(lines)


def _pulls(pulls: PullSet) -> str:
    return (
        f"{pulls.mean:+.3f} +- {pulls.width:.3f}, {pulls.within(1):.1%} within 1, "
        f"{pulls.within(2):.1%} within 2 (of {pulls.values.size})"
    )


def _bias(axis: AxisClosure) -> str:
    ratio = axis.ratio[np.isfinite(axis.ratio)] - 1.0
    return f"{ratio.min():+.4f} to {ratio.max():+.4f}, rms {ratio.std():.4f}"


def figure_closure(report: ClosureReport) -> Figure:
    """Draw pulls, norms and biases.

    Parameters
    ----------
    report : ClosureReport
        The comparison.

    Returns
    -------
    Figure
        Histograms of pulls beside the unit Gaussian above; bias along energy and
        offset, and the norm of each model against its true factor, below.
    """
    figure = Figure(figsize=(13.0, 8.0), layout="constrained")
    axes = figure.subplots(2, 3)
    first = report.models[0]
    for ax, model in zip(axes[0, :2], report.models, strict=False):
        _draw_pulls(ax, model.shape, _COLOR_OF[model.name])
        ax.set(title=f"{model.name}: bins, norm taken out", ylabel="bins")
    _draw_pulls(axes[0, 2], first.norms, _COLOR_OF[first.name])
    axes[0, 2].set(title=f"{first.name}: norms", ylabel="models")
    for model in report.models:
        _draw_axis(axes[1, 0], model.energy, model.name, is_log=True)
        _draw_axis(axes[1, 1], model.offset, model.name, is_log=False)
    axes[1, 0].set(xlabel="energy [TeV]", xscale="log")
    simplify_ticks(axes[1, 0].xaxis)
    axes[1, 1].set(xlabel="offset [deg]")
    for ax in axes[1, :2]:
        _finish_bias(ax)
    _draw_norms(axes[1, 2], first)
    figure.suptitle(
        f"closure: smooth.method = {report.method}, {report.n_runs} runs, "
        f"{report.hours:.1f} h"
    )
    return figure


def _draw_pulls(ax: Axes, pulls: PullSet, color: str) -> None:
    n_bins = 50 if pulls.values.size > 1000 else 20
    edges = np.linspace(-_MAX_PULL, _MAX_PULL, n_bins + 1)
    inside = np.clip(pulls.values, -_MAX_PULL, _MAX_PULL)
    ax.hist(inside, bins=edges.tolist(), color=color, alpha=0.6)
    x = np.linspace(-_MAX_PULL, _MAX_PULL, 201)
    unit = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    scale = pulls.values.size * (edges[1] - edges[0])
    ax.plot(x, unit * scale, color="black", label="unit Gaussian")
    ax.set_xlabel("(recovered - true) / error")
    ax.legend(
        title=f"{pulls.mean:+.2f} +- {pulls.width:.2f}\n"
        f"{pulls.within(1):.0%} within 1, {pulls.within(2):.0%} within 2",
        fontsize="small",
        loc="upper left",
    )
    ax.set_ylim(0, 1.35 * ax.get_ylim()[1])


def _draw_axis(ax: Axes, axis: AxisClosure, name: str, *, is_log: bool) -> None:
    edges = axis.edges
    middle = np.sqrt(edges[1:] * edges[:-1]) if is_log else (edges[1:] + edges[:-1]) / 2
    color = _COLOR_OF[name]
    ax.plot(middle, axis.ratio, color=color, marker=_MARKER_OF[name], ms=4, label=name)
    error = np.where(axis.expected > 0, axis.error, np.nan)
    draw_band(ax, middle, 1 - error, 1 + error, color=color)


def _finish_bias(ax: Axes) -> None:
    ax.axhline(1.0, color="0.5", linewidth=1)
    ax.set_title("bias; band: stated error of a bin", fontsize="medium")
    ax.set_ylabel("recovered / true")
    values = np.concatenate([np.asarray(line.get_ydata()) for line in ax.lines])
    half = float(np.nanmax(abs(values - 1.0)))
    half = 1.3 * max(0.02, half)
    ax.set_ylim(1.0 - half, 1.0 + half)
    ax.grid(visible=True, alpha=0.3)
    ax.legend()


def _draw_norms(ax: Axes, model: ModelClosure) -> None:
    color = _COLOR_OF[model.name]
    ax.errorbar(
        model.true_factor,
        model.norm,
        yerr=model.norm * model.norm_error,
        color=color,
        marker=_MARKER_OF[model.name],
        ms=4,
        linestyle="none",
        alpha=0.7,
    )
    ax.axhline(1.0, color="0.5", linewidth=1)
    ax.set(xlabel="true rate / formula without laws", ylabel="norm, recovered / true")
    ax.set_title(f"{model.name}: norm of each model", fontsize="medium")
    ax.grid(visible=True, alpha=0.3)
