"""Pictures of products; colours that colour-blind readers can tell apart."""

from __future__ import annotations

from functools import singledispatch

import healpy
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.datamodel import (
    Binning,
    ExclusionMask,
    Ranking,
    RateModel,
    RunCounts,
    Stack,
)
from bkgpipe.view.axes import (
    COLORS,
    MARKERS,
    draw_image,
    draw_steps,
    log_scale,
    simplify_ticks,
)
from bkgpipe.view.ranking import figure_ranking

__all__ = [
    "figure_counts",
    "figure_mask",
    "figure_rate",
    "make_figure",
]

_N_BANDS = 4
_ABOVE = {"left": 0.06, "right": 0.98, "bottom": 0.54, "top": 0.95, "wspace": 0.35}
_BELOW = {"left": 0.07, "right": 0.98, "bottom": 0.08, "top": 0.44, "wspace": 0.65}
_N_PIXELS = 400


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
        At most four images above, profiles of the same bands and spectrum below.
    """
    bands = _energy_bands(model)
    figure = Figure(figsize=(11.0, 6.4))
    # places by hand, of titles too: finding them takes longer than the drawing
    images = figure.subplots(1, _N_BANDS, squeeze=False, gridspec_kw=_ABOVE)[0]
    profiles, spectrum = figure.subplots(1, 2, gridspec_kw=_BELOW)
    for ax in images[len(bands) :]:
        ax.remove()
    for ax, band in zip(images, bands, strict=False):
        image = _band_rate(model.rate_3d, model.binning, band)
        seen = (model.exposure_3d[band] > 0).any(axis=0)
        draw_image(
            ax, model.binning, np.where(seen, image, np.nan), label="rate [s-1 sr-1]"
        )
        ax.locator_params(nbins=3)
        ax.set_title(_band_name(model.binning, band), fontsize="medium", y=1.0)
    _draw_profiles(profiles, model, bands)
    _draw_spectrum(spectrum, model)
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


def _energy_bands(model: RateModel) -> list[np.ndarray]:
    """Split the energy bins that have exposure into bands of as many bins each."""
    seen = np.flatnonzero((model.exposure_3d > 0).any(axis=(1, 2)))
    if not seen.size:
        seen = np.arange(model.binning.n_energy)
    return list(np.array_split(seen, min(_N_BANDS, seen.size)))


def _band_name(binning: Binning, band: np.ndarray) -> str:
    edges = binning.energy_edges
    return f"{edges[band[0]]:.3g} to {edges[band[-1] + 1]:.3g} TeV"


def _band_rate(rate: np.ndarray, binning: Binning, band: np.ndarray) -> np.ndarray:
    integral: np.ndarray = np.tensordot(binning.energy_width[band], rate[band], axes=1)
    return integral


def _draw_profiles(ax: Axes, model: RateModel, bands: list[np.ndarray]) -> None:
    edges = model.binning.offset_edges
    centers = 0.5 * (edges[1:] + edges[:-1])
    for band, color, marker in zip(bands, COLORS, MARKERS, strict=False):
        rate = _band_rate(model.rate_2d, model.binning, band)
        filled = np.where(rate > 0, rate, np.nan)
        name = _band_name(model.binning, band)
        ax.plot(centers, filled, color=color, marker=marker, ms=4, label=name)
    log_scale(ax, model.rate_2d)
    ax.grid(visible=True, alpha=0.3)
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set(xlabel="offset [deg]", ylabel="rate [s-1 sr-1]")
    ax.set_title("radial profiles", y=1.0)


def _draw_spectrum(ax: Axes, model: RateModel) -> None:
    edges = model.binning.energy_edges
    centers = np.sqrt(edges[1:] * edges[:-1])
    field = model.binning.solid_angle_2d
    rate = model.rate_2d @ field / field.sum()
    filled = np.where(rate > 0, rate, np.nan)
    ax.plot(centers, filled, color=COLORS[0], marker="o", ms=4)
    ax.set_xscale("log")
    simplify_ticks(ax.xaxis)
    log_scale(ax, rate)
    ax.grid(visible=True, alpha=0.3)
    ax.set(xlabel="energy [TeV]", ylabel="rate [s-1 TeV-1 sr-1]")
    ax.set_title("spectrum, mean over the field", y=1.0)


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
