"""What all figures share: colours, images of the field, steps, scales of axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

from bkgpipe.core.binning import Binning

__all__ = [
    "COLORS",
    "MARKERS",
    "draw_band",
    "draw_image",
    "draw_images",
    "draw_steps",
    "log_scale",
    "simplify_ticks",
]

# distinct in lightness as well as in hue, from Okabe & Ito (2008)
COLORS = ("#0072b2", "#d55e00", "#009e73", "#000000")
MARKERS = ("o", "s", "^", "D")

_IMAGE_STEP = 1.15  # from one image to the next, in widths
_NUMBER = StrMethodFormatter("{x:g}")


def draw_image(
    ax: Axes,
    binning: Binning,
    image: np.ndarray,
    *,
    label: str,
    norm: Normalize | None = None,
    cmap: str = "viridis",
) -> None:
    """Draw an image of the field of view, with a bar of its colours.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    binning : Binning
        Axes of the image.
    image : np.ndarray
        Values, shape ``(n_fov_lon, n_fov_lat)``; NaN is left grey.
    label : str
        Name and unit of the values.
    norm : Normalize, optional
        Range of the colours; from zero to the highest value if not given.
    cmap : str
        Colour map of matplotlib, one that colour-blind readers can use.
    """
    highest = float(np.nanmax(image, initial=0.0, where=np.isfinite(image)))
    drawn = ax.pcolormesh(
        binning.fov_lon_edges,
        binning.fov_lat_edges,
        image.T,
        cmap=cmap,
        norm=norm or Normalize(vmin=0.0, vmax=highest or 1.0),
    )
    ax.set(xlabel="fov_lon [deg]", ylabel="fov_lat [deg]", aspect="equal")
    ax.set_facecolor("0.85")
    figure = ax.get_figure()
    if figure is not None:
        figure.colorbar(
            drawn,
            ax=ax,
            label=label,
            location="bottom",
            shrink=0.8,
            pad=0.2,
            ticks=MaxNLocator(3),
            format=_NUMBER,
        )


def draw_images(
    ax: Axes, binning: Binning, images: Sequence[np.ndarray], *, titles: Sequence[str]
) -> None:
    """Draw images of the field of view side by side, in one system of axes.

    Most of the time of a figure goes into its axes, whatever they hold.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    binning : Binning
        Axes of the images.
    images : sequence of np.ndarray
        Values, each of shape ``(n_fov_lon, n_fov_lat)``; NaN is left grey. Colours
        reach from zero to the highest value of each image.
    titles : sequence of str
        What stands above each image.
    """
    lon, lat = binning.fov_lon_edges, binning.fov_lat_edges
    width, height = np.ptp(lon), np.ptp(lat)
    lon_ticks, lat_ticks = (_ticks_inside(edges) for edges in (lon, lat))
    starts = _IMAGE_STEP * width * np.arange(len(images))
    for start, image, title in zip(starts, images, titles, strict=True):
        frame = Rectangle((lon[0] + start, lat[0]), width, height)
        frame.set(facecolor="0.85", edgecolor="black", linewidth=1.6, clip_on=False)
        ax.add_patch(frame)
        highest = float(np.nanmax(image, initial=0.0, where=np.isfinite(image)))
        ax.pcolormesh(lon + start, lat, image.T, vmin=0.0, vmax=highest or 1.0)
        middle = (lon[0] + start + width / 2, lat[-1])
        ax.annotate(title, middle, (0, 5), textcoords="offset points", ha="center")
    labels = [f"{tick:g}" for tick in lon_ticks] * len(images)
    ax.set_xticks(np.add.outer(starts, lon_ticks).ravel(), labels)
    ax.set_yticks(lat_ticks)
    ax.set(xlabel="fov_lon [deg]", ylabel="fov_lat [deg]", aspect="equal")
    ax.spines[:].set_visible(False)  # each image has a frame


def _ticks_inside(edges: np.ndarray) -> np.ndarray:
    ticks = MaxNLocator(3).tick_values(edges[0], edges[-1])
    inside: np.ndarray = ticks[(ticks >= edges[0]) & (ticks <= edges[-1])]
    return inside


def draw_band(
    ax: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, *, color: str
) -> None:
    """Shade what lies between two curves, as the errors of a third one.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    x : np.ndarray
        Where the values are, shape ``(n,)``.
    low, high : np.ndarray
        Ends of the band, same shape; not drawn where one of them is not a number.
    color : str
        Colour of the curve that the band belongs to.
    """
    ax.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0)


def draw_steps(ax: Axes, edges: np.ndarray, values: np.ndarray) -> None:
    """Draw a histogram as steps, on a logarithmic scale if any value is positive.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    edges : np.ndarray
        Edges, shape ``(n + 1,)``.
    values : np.ndarray
        Values, shape ``(n,)``.
    """
    ax.stairs(values, edges, color=COLORS[0], linewidth=1.5)
    if (values > 0).any():
        ax.set_yscale("log", nonpositive="mask")
    ax.grid(visible=True, alpha=0.3)


def log_scale(ax: Axes, values: np.ndarray) -> None:
    """Make the vertical axis logarithmic if any value is positive.

    Parameters
    ----------
    ax : Axes
        Axes to change.
    values : np.ndarray
        What is drawn, any shape.
    """
    # matplotlib warns of a logarithmic axis without a positive value
    if (values > 0).any():
        ax.set_yscale("log")
        simplify_ticks(ax.yaxis)


def simplify_ticks(axis: Axis) -> None:
    """Label decades in plain text: powers and ticks between take half of the time.

    Parameters
    ----------
    axis : Axis
        Axis to change.
    """
    axis.set_major_formatter(_NUMBER)
    axis.set_minor_locator(NullLocator())
