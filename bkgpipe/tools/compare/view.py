"""A comparison of background models in words and in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from bkgpipe.plot.axes import COLORS, MARKERS, draw_band, log_scale, simplify_ticks
from bkgpipe.stages.report.bands import band_name
from bkgpipe.tools.compare.data import Comparison, RunComparison, StoreComparison

__all__ = ["describe_comparison", "figure_comparison"]

_DIVERGING = "PuOr"
_MAX_PULL = 5.0
_LISTED = 12


def describe_comparison(
    comparison: StoreComparison, *, bands: Sequence[float] = ()
) -> str:
    """Say how two models, or those of two stores, compare.

    Parameters
    ----------
    comparison : StoreComparison
        The comparison.
    bands : sequence of float
        Edges of energy bands [TeV]; chosen when empty.

    Returns
    -------
    str
        A row for each run and each band, without a final line break.
    """
    pair = comparison.mean
    axes, kind = pair.binning, "image" if pair.is_3d else "offset"
    low, high = axes.energy_edges[[0, -1]]
    lines = [
        f"A: {comparison.name_a}",
        f"   errors: {pair.a.error_source}",
        f"B: {comparison.name_b}",
        f"   errors: {pair.b.error_source}",
        (
            f"Common bins: {low:.3g} to {high:.3g} TeV in {axes.n_energy}, "
            f"{kind} of {pair.solid_angle.size} bins to {axes.offset_max:.3g} deg; "
            f"{pair.n_bins} used"
        ),
        *comparison.notes,
        *_error_notes(pair),
    ]
    if len(comparison.runs) > 1:
        lines += ["", *_run_rows(comparison.runs), *_summary(comparison)]
    lines += ["", *_band_rows(comparison, bands), *_missing(comparison)]
    return "\n".join(lines)


def _error_notes(pair: Comparison) -> list[str]:
    """Say which errors pulls are made of, if they are not those of both."""
    if not pair.has_pulls:
        return ["No pulls: neither of them has errors"]
    unknown = [
        letter
        for letter, rates in (("A", pair.a), ("B", pair.b))
        if not rates.error.size and not rates.systematic
    ]
    return [
        f"{letter} has no errors: pulls use those of the other" for letter in unknown
    ]


def _run_rows(runs: Sequence[RunComparison]) -> list[str]:
    rows = ["run           A/B     rms of bins   pulls"]
    return rows + [
        f"{run.obs_id:<10d} {run.ratio:8.4f} {run.rms:10.4f}      {_pulls(run)}"
        for run in runs
    ]


def _pulls(run: RunComparison) -> str:
    if not np.isfinite(run.pull_mean):
        return "-"
    return f"{run.pull_mean:+.2f} +- {run.pull_width:.2f}"


def _summary(comparison: StoreComparison) -> list[str]:
    ratios = comparison.ratios
    middle = np.median(ratios)
    return [
        (
            f"{len(ratios)} runs: A/B {ratios.mean():.4f} +- {ratios.std():.4f} "
            f"(median {middle:.4f}, {ratios.min():.4f} to {ratios.max():.4f})"
        )
    ]


def _band_rows(comparison: StoreComparison, edges: Sequence[float]) -> list[str]:
    pair = comparison.mean
    whose = "mean over runs" if len(comparison.runs) > 1 else "this pair"
    rows = [f"band, {whose:<17s} A/B     rms of bins   pulls"]
    for band in pair.bands(edges):
        used, size = pair.is_used[band], pair.size[band][pair.is_used[band]]
        a, b = pair.a.rate[band][used] * size, pair.b.rate[band][used] * size
        ratio = a.sum() / b.sum()
        rms = np.sqrt(np.average((a / b / ratio - 1) ** 2, weights=a / ratio + b))
        pull = pair.pull[band][np.isfinite(pair.pull[band])]
        told = f"{pull.mean():+.2f} +- {pull.std():.2f}" if pull.size else "-"
        name = band_name(pair.binning, band)
        rows.append(f"{name:<20s} {ratio:8.4f} {rms:10.4f}      {told}")
    return rows


def _missing(comparison: StoreComparison) -> list[str]:
    lines = []
    for letter, runs in (("A", comparison.only_a), ("B", comparison.only_b)):
        if runs:
            shown = ", ".join(str(run) for run in runs[:_LISTED])
            more = ", ..." if len(runs) > _LISTED else ""
            lines.append(f"Only in {letter}: {len(runs)} runs ({shown}{more})")
    if comparison.left_out:
        lines.append(f"Not compared: {len(comparison.left_out)} runs")
        lines += [f"  {key}: {why}" for key, why in sorted(comparison.left_out.items())]
    return lines


def figure_comparison(
    comparison: StoreComparison, *, bands: Sequence[float] = ()
) -> Figure:
    """Draw two models, or the means over runs of two stores, side by side.

    Parameters
    ----------
    comparison : StoreComparison
        The comparison.
    bands : sequence of float
        Edges of energy bands [TeV]; chosen when empty.

    Returns
    -------
    Figure
        Images of both, their ratio and pulls in bands of energy above; spectra,
        profiles, pulls and the ratios of runs below.
    """
    pair = comparison.mean
    chosen = pair.bands(bands)
    n_columns = (4 if pair.has_pulls else 3) if pair.is_3d else 0
    height = 2.75 * len(chosen) if n_columns else 0.0
    figure = Figure(figsize=(13.0, height + 7.2), layout="constrained")
    if n_columns:
        heights = (height, 7.2)
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)
        above, below = parts[:, 0]
        _draw_images(above, pair, chosen)
    else:
        below = figure.subfigures(1, 1)
    _draw_curves(below, comparison, chosen)
    return figure


def _draw_images(figure: SubFigure, pair: Comparison, bands: list[np.ndarray]) -> None:
    columns = ("A", "B", "A / B", *(("pull",) if pair.has_pulls else ()))
    axes = figure.subplots(len(bands), len(columns), squeeze=False)
    for row, band in zip(axes, bands, strict=True):
        a, b = (pair.image(rates.rate, band) for rates in (pair.a, pair.b))
        same = Normalize(vmin=0.0, vmax=float(np.nanmax(np.stack([a, b]))))
        _draw_field(row[0], pair, a, norm=same)
        _draw_field(row[1], pair, b, norm=same)
        # a few bins at the rim must not wash out all others
        half = max(0.02, float(np.nanquantile(abs(a / b - 1.0), 0.95)))
        around = Normalize(vmin=1.0 - half, vmax=1.0 + half)
        _draw_field(row[2], pair, a / b, norm=around, cmap=_DIVERGING)
        if pair.has_pulls:
            sigma = np.hypot(*(pair.image(r.sigma, band) for r in (pair.a, pair.b)))
            limits = Normalize(vmin=-_MAX_PULL, vmax=_MAX_PULL)
            _draw_field(row[3], pair, (a - b) / sigma, norm=limits, cmap=_DIVERGING)
        for ax, name in zip(row, columns, strict=True):
            unit = " [s-1 sr-1]" if name in "AB" else ""
            title = f"{name}{unit}, {band_name(pair.binning, band)}"
            ax.set_title(title, fontsize="medium")


def _draw_field(
    ax: Axes,
    pair: Comparison,
    image: np.ndarray,
    *,
    norm: Normalize,
    cmap: str = "viridis",
) -> None:
    """Draw an image with its bar beside it, as there are rows of them."""
    axes = pair.binning
    edges = axes.fov_lon_edges, axes.fov_lat_edges
    drawn = ax.pcolormesh(*edges, image.T, norm=norm, cmap=cmap)
    ax.set(xlabel="fov_lon [deg]", ylabel="fov_lat [deg]", aspect="equal")
    ax.set_facecolor("0.85")
    figure = ax.get_figure()
    if figure is not None:
        bar = figure.colorbar(drawn, ax=ax, shrink=0.9, ticks=MaxNLocator(4))
        bar.ax.yaxis.set_major_formatter("{x:.4g}")


def _draw_curves(
    figure: SubFigure, comparison: StoreComparison, bands: list[np.ndarray]
) -> None:
    pair = comparison.mean
    axes = figure.subplots(2, 3, height_ratios=(3, 2))
    _draw_spectra(axes[0, 0], axes[1, 0], pair)
    _draw_profiles(axes[0, 1], axes[1, 1], pair, bands)
    _draw_pulls(axes[0, 2], pair)
    if len(comparison.runs) > 1:
        _draw_runs(axes[1, 2], comparison)
    else:
        axes[1, 2].remove()


def _draw_spectra(above: Axes, below: Axes, pair: Comparison) -> None:
    edges = pair.binning.energy_edges
    centers = np.sqrt(edges[1:] * edges[:-1])
    curves = [pair.spectrum(rates) for rates in (pair.a, pair.b)]
    for name, curve, color, marker in zip("AB", curves, COLORS, MARKERS, strict=False):
        _draw_curve(above, centers, curve, color=color, marker=marker, label=name)
    reach = _draw_ratio(below, centers, curves, color=COLORS[3])
    log_scale(above, curves[0][0])
    above.set_ylabel("rate [s-1 TeV-1 sr-1]")
    above.set_title("spectrum, mean over the field", fontsize="medium")
    above.legend()
    for ax in (above, below):
        ax.set_xscale("log")
        simplify_ticks(ax.xaxis)
        ax.set_xlabel("energy [TeV]")
    _finish_ratio(below, reach)


def _draw_profiles(
    above: Axes, below: Axes, pair: Comparison, bands: list[np.ndarray]
) -> None:
    styles = cycle(zip(COLORS, MARKERS, strict=True))
    drawn, reach = [], []
    for band, (color, marker) in zip(bands, styles, strict=False):
        parts = [pair.profile(rates, band) for rates in (pair.a, pair.b)]
        offset, curves = parts[0][0], [part[1:] for part in parts]
        name = band_name(pair.binning, band)
        _draw_curve(above, offset, curves[0], color=color, marker=marker, label=name)
        above.plot(offset, curves[1][0], color=color, linestyle="--")
        reach.append(_draw_ratio(below, offset, curves, color=color))
        drawn.append(curves[0][0])
    log_scale(above, np.concatenate(drawn))
    above.set(xlabel="offset [deg]", ylabel="rate [s-1 sr-1]")
    above.set_title("profiles: points A, dashed B", fontsize="medium")
    above.legend(fontsize="small")
    below.set_xlabel("offset [deg]")
    _finish_ratio(below, np.concatenate(reach))


_Curve = tuple[np.ndarray, np.ndarray]


def _draw_curve(
    ax: Axes, x: np.ndarray, curve: _Curve, *, color: str, marker: str, label: str
) -> None:
    mean, error = curve
    filled = np.where(mean > 0, mean, np.nan)
    ax.plot(x, filled, color=color, marker=marker, ms=4, label=label)
    draw_band(
        ax, x, np.maximum(filled - error, 0.1 * filled), filled + error, color=color
    )
    ax.grid(visible=True, alpha=0.3)


def _draw_ratio(
    ax: Axes, x: np.ndarray, curves: Sequence[_Curve], *, color: str
) -> np.ndarray:
    """Draw the ratio of two curves; return the larger of deviation and error."""
    (a, error_a), (b, error_b) = curves
    ratio = a / b
    error = ratio * np.hypot(error_a / a, error_b / b)
    # bands of several curves would hide each other
    ax.errorbar(x, ratio, yerr=error, color=color, marker="o", ms=3, elinewidth=1)
    is_known = np.isfinite(ratio)
    return np.maximum(abs(ratio - 1.0), error)[is_known]


def _finish_ratio(ax: Axes, reach: np.ndarray) -> None:
    ax.axhline(1.0, color="0.5", linewidth=1)
    ax.set_ylabel("A / B")
    ax.grid(visible=True, alpha=0.3)
    half = max(0.05, 1.3 * float(np.quantile(reach, 0.9)))
    ax.set_ylim(max(0.0, 1.0 - half), 1.0 + half)


def _draw_pulls(ax: Axes, pair: Comparison) -> None:
    ax.set_title("pulls of the bins, each counted once", fontsize="medium")
    if not pair.has_pulls:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "no errors are known", ha="center", transform=ax.transAxes)
        return
    pull = pair.pull[np.isfinite(pair.pull)]
    edges = np.linspace(-_MAX_PULL, _MAX_PULL, 41)
    inside = np.clip(pull, -_MAX_PULL, _MAX_PULL)
    ax.hist(inside, bins=edges.tolist(), color=COLORS[0], alpha=0.6)
    x = np.linspace(-_MAX_PULL, _MAX_PULL, 201)
    unit = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * pull.size * np.diff(edges)[0]
    ax.plot(x, unit, color=COLORS[3], label="unit Gaussian")
    ax.set(xlabel="(A - B) / error", ylabel="bins")
    ax.legend(title=f"{pull.mean():+.2f} +- {pull.std():.2f}", fontsize="small")


def _draw_runs(ax: Axes, comparison: StoreComparison) -> None:
    ratios = comparison.ratios
    ax.hist(ratios, bins=min(30, max(5, ratios.size // 4)), color=COLORS[0], alpha=0.6)
    ax.axvline(1.0, color="0.5", linewidth=1)
    ax.set(xlabel="A / B of a run", ylabel="runs")
    ax.set_title(
        f"{ratios.size} runs: {ratios.mean():.3f} +- {ratios.std():.3f}",
        fontsize="medium",
    )
