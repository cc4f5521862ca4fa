"""Pictures of products; colours that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import healpy
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.plot.axes import (
    COLORS,
    MARKERS,
    draw_band,
    draw_image,
    draw_images,
    draw_steps,
    log_scale,
    simplify_ticks,
)
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.rank.data import Ranking
from bkgpipe.stages.report.bands import (
    band_name,
    band_rate,
    empty_bands,
    energy_bands,
    rate_errors,
)
from bkgpipe.stages.report.ranking import figure_ranking
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Stack

__all__ = [
    "figure_counts",
    "figure_mask",
    "figure_rate",
    "make_figure",
]

_ABOVE = (0.055, 0.56, 0.86, 0.385)
_BAR = (0.93, 0.6, 0.012, 0.3)
_BELOW = {
    "left": 0.085,
    "right": 0.98,
    "bottom": 0.065,
    "top": 0.475,
    "wspace": 0.72,
    "hspace": 0.08,
    "height_ratios": (3, 1),
}
_N_PIXELS = 400
_LEAST_SHARE = 0.1
_GREY = "0.9"


@singledispatch
def make_figure(product: object) -> Figure:
    """Draw a product, in the way that belongs to its type.

    Parameters
    ----------
    product : RateModel, RunCounts, Stack, ExclusionMask or Ranking
        The product.

    Returns
    -------
    Figure
        Figure that no global state knows.

    Raises
    ------
    TypeError
        If there is no picture of such an object.
    """
    raise TypeError(f"no picture of a {type(product).__name__}")


@make_figure.register
def figure_rate(model: RateModel) -> Figure:
    """Draw a rate: images in bands of energy, radial profiles, spectrum.

    Parameters
    ----------
    model : RateModel
        Rates, shapes ``(n_energy, n_fov_lon, n_fov_lat)`` and ``(n_energy,
        n_offset)`` [s-1 TeV-1 sr-1].

    Returns
    -------
    Figure
        At most four images above, of energies that have events, profiles of the same
        bands and spectrum below, in which energies without events are grey, with
        statistical errors as bands, and around them the scatter of runs where it is
        known; the statistical errors once more by themselves. Errors of energies and
        annuli are added up, as if all erred alike, so these are upper limits.
    """
    bands = energy_bands(model)
    figure = Figure(figsize=(11.0, 7.2))
    # places by hand, of titles too: finding them takes longer than the drawing
    if bands:
        _draw_bands(figure.add_axes(_ABOVE), model, bands)
        _draw_bar(figure.add_axes(_BAR))
    below = figure.subplots(2, 2, gridspec_kw=_BELOW, sharex="col")
    _draw_profiles(below[:, 0], model, bands)
    _draw_spectrum(below[:, 1], model)
    return figure


@make_figure.register
def figure_counts(product: RunCounts | Stack) -> Figure:
    """Draw counts and exposure of a run or a stack.

    Parameters
    ----------
    product : RunCounts or Stack
        Histograms, shapes ``(n_energy, n_fov_lon, n_fov_lat)`` and ``(n_energy,
        n_offset)`` [1, s sr].

    Returns
    -------
    Figure
        Images of counts and exposure above, counts in energy and offset below.
    """
    binning = product.binning
    figure = Figure(figsize=(9.0, 7.2), layout="constrained")
    (counts, exposure), (energy, offset) = figure.subplots(2, 2)
    draw_image(counts, binning, product.counts_3d.sum(axis=0), label="counts")
    # the bin with most exposure is safe for all runs, so it shows the mask alone
    highest = product.exposure_3d[product.exposure_3d.sum(axis=(1, 2)).argmax()]
    draw_image(exposure, binning, highest, label="exposure [s sr]")
    draw_steps(energy, binning.energy_edges, product.counts_3d.sum(axis=(1, 2)))
    energy.set(xscale="log", xlabel="energy [TeV]", ylabel="counts")
    draw_steps(offset, binning.offset_edges, product.counts_2d.sum(axis=0))
    offset.set(xlabel="offset [deg]", ylabel="counts")
    return figure


@make_figure.register
def figure_mask(mask: ExclusionMask) -> Figure:
    """Draw the excluded part of the sky.

    Parameters
    ----------
    mask : ExclusionMask
        Mask with ``n_regions`` regions.

    Returns
    -------
    Figure
        Excluded pixels in a plane that touches the sky, with the names of regions.
    """
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    ax = figure.subplots()
    ax.set_title(f"Exclusion mask of run {mask.obs_id}")
    if not mask.excluded_pixels.size:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "nothing is excluded", ha="center", transform=ax.transAxes)
        return figure
    centre = _mean_direction(mask)
    edges = _plane_edges(mask, centre)
    _draw_excluded(ax, mask, centre, edges)
    for name, (ra, dec, *_) in zip(mask.region_names, mask.region_circles, strict=True):
        x, y = _to_plane(np.array([ra]), np.array([dec]), centre)
        ax.annotate(name, (x[0], y[0]), ha="center", fontsize="small", color="white")
    ax.set(
        xlabel=f"east of RA {centre[0]:.3f} deg [deg]",
        ylabel=f"north of Dec {centre[1]:.3f} deg [deg]",
        xlim=(edges[-1], edges[0]),
        ylim=(edges[0], edges[-1]),
        aspect="equal",
    )
    return figure


make_figure.register(Ranking, figure_ranking)


def _draw_bands(ax: Axes, model: RateModel, bands: list[np.ndarray]) -> None:
    images, titles = [], []
    for band in bands:
        image = band_rate(model.rate_3d, model.binning, band)
        seen = (model.exposure_3d[band] > 0).any(axis=0)
        images.append(np.where(seen, image, np.nan))
        highest = image.max(initial=0.0, where=seen)
        name = band_name(model.binning, band)
        rounded = float(f"{highest:.3g}")  # without a power of ten from 1000 on
        titles.append(f"{name}\nup to {rounded:g} s-1 sr-1")
    draw_images(ax, model.binning, images, titles=titles)
    ax.set_anchor("W")


def _draw_bar(ax: Axes) -> None:
    """Draw the colours of all images, from zero to the highest rate of each."""
    ax.imshow(
        np.linspace(0, 1, 256)[:, np.newaxis],
        aspect="auto",
        origin="lower",
        extent=(0, 1, 0, 1),
    )
    ax.set(xticks=(), yticks=(0, 0.5, 1), ylabel="share of the highest rate")
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")


def _draw_profiles(
    axes: Sequence[Axes], model: RateModel, bands: list[np.ndarray]
) -> None:
    edges = model.binning.offset_edges
    centers = 0.5 * (edges[1:] + edges[:-1])
    for band, color, marker in zip(bands, COLORS, MARKERS, strict=False):
        rate = band_rate(model.rate_2d, model.binning, band)
        error = band_rate(rate_errors(model), model.binning, band)
        name = band_name(model.binning, band)
        style = {"color": color, "marker": marker, "ms": 4, "label": name}
        _draw_curve(axes, (centers, rate, error), model.systematic, style)
    ax = axes[0]
    log_scale(ax, model.rate_2d)
    if bands:
        ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set(ylabel="rate [s-1 sr-1]")
    ax.set_title("radial profiles", y=1.0, fontsize="medium")
    ax.set_xlim(edges[0], edges[-1])
    _finish_errors(axes, xlabel="offset [deg]")


def _draw_spectrum(axes: Sequence[Axes], model: RateModel) -> None:
    edges = model.binning.energy_edges
    centers = np.sqrt(edges[1:] * edges[:-1])
    field = model.binning.solid_angle_2d
    rate = model.rate_2d @ field / field.sum()
    error = rate_errors(model) @ field / field.sum()
    style = {"color": COLORS[0], "marker": MARKERS[0], "ms": 4}
    _draw_curve(axes, (centers, rate, error), model.systematic, style)
    ax = axes[0]
    ax.set_xscale("log")
    simplify_ticks(ax.xaxis)
    log_scale(ax, rate)
    ax.set(ylabel="rate [s-1 TeV-1 sr-1]")
    ax.set_title("spectrum, mean over the field", y=1.0, fontsize="medium")
    ax.set_xlim(edges[0], edges[-1])
    _finish_errors(axes, xlabel="energy [TeV]")
    _shade_empty(axes, model)


def _shade_empty(axes: Sequence[Axes], model: RateModel) -> None:
    """Make energies without events grey: the rate there is zero or extrapolated."""
    edges, bands = model.binning.energy_edges, empty_bands(model)
    spans = [
        ax.axvspan(edges[band[0]], edges[band[-1] + 1], color=_GREY, lw=0, zorder=0)
        for ax in axes
        for band in bands
    ]
    if spans:
        axes[0].legend(spans[:1], ["no events"], fontsize="small", loc="lower left")


def _draw_curve(
    axes: Sequence[Axes],
    curve: tuple[np.ndarray, np.ndarray, np.ndarray],
    systematic: float,
    style: dict[str, Any],
) -> None:
    """Draw values with bands of their errors, and the errors alone below.

    The inner band is the statistical error, the outer one has the scatter of runs too.
    """
    x, rate, error = curve
    ax, errors = axes
    filled = np.where(rate > 0, rate, np.nan)
    ax.plot(x, filled, **style)
    # a band down to zero would take all of a logarithmic axis
    for total in (error, np.hypot(error, systematic * rate)):
        low = np.maximum(filled - total, _LEAST_SHARE * filled)
        draw_band(ax, x, low, filled + total, color=style["color"])
    errors.plot(x, 100 * error / filled, **style | {"ms": 3, "label": ""})


def _finish_errors(axes: Sequence[Axes], *, xlabel: str) -> None:
    axes[1].set(xlabel=xlabel, ylabel="error [%]")
    if not any(np.isfinite(line.get_ydata()).any() for line in axes[1].lines):
        middle = axes[1].transAxes
        axes[1].text(0.5, 0.5, "unknown", ha="center", va="center", transform=middle)
    axes[1].set_ylim(bottom=0.0)  # from now on no curve changes the other end
    for ax in axes:
        ax.grid(visible=True, alpha=0.3)


def _mean_direction(mask: ExclusionMask) -> tuple[float, float]:
    vectors = healpy.pix2vec(mask.nside, mask.excluded_pixels)
    x, y, z = (float(component.mean()) for component in vectors)
    return float(np.degrees(np.arctan2(y, x))) % 360.0, float(
        np.degrees(np.arctan2(z, np.hypot(x, y)))
    )


def _to_plane(
    ra: np.ndarray, dec: np.ndarray, centre: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Project on the plane that touches the sky at the centre, in degrees."""
    shift, height = np.radians(ra - centre[0]), np.radians(dec)
    middle = np.radians(centre[1])
    x = np.cos(height) * np.sin(shift)
    y = np.sin(height) * np.cos(middle) - np.cos(height) * np.sin(middle) * np.cos(
        shift
    )
    z = np.sin(height) * np.sin(middle) + np.cos(height) * np.cos(middle) * np.cos(
        shift
    )
    # nothing that is drawn is a quarter of the sky away
    z = np.maximum(z, 0.1)
    return np.degrees(x / z), np.degrees(y / z)


def _from_plane(
    x: np.ndarray, y: np.ndarray, centre: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    right, up = np.radians(x), np.radians(y)
    middle = np.radians(centre[1])
    ahead = np.cos(middle) - up * np.sin(middle)
    north = np.sin(middle) + up * np.cos(middle)
    ra = centre[0] + np.degrees(np.arctan2(right, ahead))
    return ra, np.degrees(np.arctan2(north, np.hypot(right, ahead)))


def _plane_edges(mask: ExclusionMask, centre: tuple[float, float]) -> np.ndarray:
    ra, dec = healpy.pix2ang(mask.nside, mask.excluded_pixels, lonlat=True)
    x, y = _to_plane(ra, dec, centre)
    margin = 2.0 * np.degrees(healpy.nside2resol(mask.nside))
    half = 1.1 * max(np.abs(x).max(), np.abs(y).max()) + margin
    return np.linspace(-half, half, _N_PIXELS + 1)


def _draw_excluded(
    ax: Axes, mask: ExclusionMask, centre: tuple[float, float], edges: np.ndarray
) -> None:
    middle = 0.5 * (edges[1:] + edges[:-1])
    ra, dec = _from_plane(middle[:, np.newaxis], middle[np.newaxis, :], centre)
    pixels = healpy.ang2pix(mask.nside, ra, dec, lonlat=True)
    is_kept = ~np.isin(pixels, mask.excluded_pixels)
    ax.pcolormesh(edges, edges, is_kept.T, cmap="cividis", vmin=0, vmax=1)
