"""The sky in words and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gammapy.maps import WcsNDMap
from matplotlib.figure import Figure
from scipy.stats import norm

from bkgpipe.plot.axes import COLORS
from bkgpipe.stages.sky.data import HotSpot
from bkgpipe.stages.sky.summary import FieldSummary

__all__ = ["describe_fields", "describe_hot_spots", "figure_field"]

_FIELD_HEADINGS: tuple[str, ...] = (
    *("field", "name", "runs", "hours", "counts", "background"),
    *("max sigma", "mean, width outside mask", "Poisson"),
)
_SPOT_HEADINGS: tuple[str, ...] = (
    *("hot spot, ra dec [deg]", "radius", "sigma", "counts", "background"),
    *("mask", "nearest source"),
)
_MAX_ROWS = 40
_SIGNIFICANCE = "SIGNIFICANCE"
_LIMIT = 8.0  # of the colours, in standard deviations
_STEP = 0.25
_STEPS = np.arange(-6.0, 10.01, _STEP)


def describe_fields(fields: Sequence[FieldSummary]) -> str:
    """List what is in each field.

    Parameters
    ----------
    fields : sequence of FieldSummary
        Fields.

    Returns
    -------
    str
        A table, the field with the largest significance first.
    """
    rows = [_FIELD_HEADINGS]
    ordered = sorted(fields, key=lambda field: -np.nan_to_num(field.peak))
    rows += [
        (
            f"{field.number}",
            field.name or "-",
            f"{field.n_runs}",
            f"{field.hours:.1f}",
            f"{field.counts}",
            f"{field.background:.0f}",
            f"{field.peak:.1f}",
            f"{field.mean:.2f}, {field.width:.3f}",
            f"{field.poisson_mean:.2f}, {field.poisson_width:.3f}",
        )
        for field in ordered[:_MAX_ROWS]
    ]
    return _table(rows, n_left=len(fields) - _MAX_ROWS)


def describe_hot_spots(spots: Sequence[HotSpot]) -> str:
    """List where there are more events than chance allows.

    Parameters
    ----------
    spots : sequence of HotSpot
        Places.

    Returns
    -------
    str
        A table, or a sentence when there are none.
    """
    if not spots:
        return (
            "No hot spots: chance makes each excess more often than [sky] false_alarms."
        )
    rows = [_SPOT_HEADINGS]
    rows += [
        (
            f"{spot.ra:.3f} {spot.dec:+.3f}",
            f"{spot.radius:.2f}",
            f"{spot.significance:.1f}",
            f"{spot.counts}",
            f"{spot.background:.1f}",
            "under" if spot.is_masked else "outside",
            f"{spot.source} ({spot.separation:.2f} deg)" if spot.source else "-",
        )
        for spot in spots[:_MAX_ROWS]
    ]
    return _table(rows, n_left=len(spots) - _MAX_ROWS)


def _table(rows: Sequence[tuple[str, ...]], *, n_left: int) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    if n_left > 0:
        lines.append(f"… and {n_left} more, in the tables")
    return "\n".join(line.rstrip() for line in lines)


def figure_field(maps: Mapping[str, WcsNDMap], field: FieldSummary) -> Figure:
    """Draw a field: counts, background, significance, and how that is distributed.

    Parameters
    ----------
    maps : mapping of str to WcsNDMap
        What `read_field` read.
    field : FieldSummary
        The field in numbers.

    Returns
    -------
    Figure
        Four panels.
    """
    figure = Figure(figsize=(11.0, 9.4), layout="constrained")
    name = next(word for word in maps if word.startswith(_SIGNIFICANCE))
    significance, kept = maps[name], maps["MASK"].data > 0
    parts = {
        "counts": maps["COUNTS"].sum_over_axes(keepdims=False),
        "background": maps["BACKGROUND"].sum_over_axes(keepdims=False),
        f"significance within {_radius(name)} deg": significance,
    }
    # a bright source would leave nothing else to be seen
    highest = 2.0 * float(parts["background"].data.max()) or 1.0
    for place, (label, image) in enumerate(parts.items(), start=1):
        ax = figure.add_subplot(2, 2, place, projection=image.geom.wcs)
        is_rate = place < 3
        shown = image.smooth("0.1 deg") if label == "counts" else image
        drawn = ax.imshow(
            shown.data,
            cmap="viridis" if is_rate else "coolwarm",
            vmin=0.0 if is_rate else -_LIMIT,
            vmax=highest if is_rate else _LIMIT,
        )
        ax.contour(kept, levels=[0.5], colors="0.4", linewidths=0.8)
        ax.set(title=label, xlabel="right ascension", ylabel="declination")
        figure.colorbar(drawn, ax=ax, shrink=0.85)
    _draw_distribution(figure, significance.data, kept, field)
    figure.suptitle(f"{field.name}: {field.n_runs} runs, {field.hours:.1f} h")
    return figure


def _radius(name: str) -> str:
    return name.rpartition("_")[2].replace("P", ".")


def _draw_distribution(
    figure: Figure, significance: np.ndarray, kept: np.ndarray, field: FieldSummary
) -> None:
    ax = figure.add_subplot(2, 2, 4)
    seen = np.isfinite(significance)
    for is_in, label, color in (
        (seen, "all", COLORS[1]),
        (seen & kept, "outside the mask", COLORS[0]),
    ):
        values = significance[is_in]
        clipped = values.clip(_STEPS[0], _STEPS[-1] - 1e-9)
        ax.hist(clipped, _STEPS.tolist(), histtype="step", color=color, label=label)
    centres = (_STEPS[1:] + _STEPS[:-1]) / 2
    n_kept = float((seen & kept).sum())
    density = norm.pdf(centres, field.poisson_mean, field.poisson_width)
    ax.plot(
        centres,
        n_kept * _STEP * density,
        color="0.3",
        linestyle="--",
        label="Poisson alone",
    )
    ax.set(yscale="log", ylim=(0.5, None), xlabel="significance", ylabel="pixels")
    ax.set_title(f"outside the mask: mean {field.mean:.2f}, width {field.width:.3f}")
    ax.legend(fontsize="small")
