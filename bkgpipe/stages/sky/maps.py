"""Images of a field from what its runs saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import healpy as hp
import numpy as np
from astropy.wcs import WCS

from bkgpipe.geometry.frames import unit_vectors
from bkgpipe.stages.sky.data import FINE_BITS, Field, FieldMaps, RunSky, SkySum
from bkgpipe.stages.sky.significance import (
    Chance,
    add_in_discs,
    simulate_chance,
    sqrt_ts,
)
from bkgpipe.stages.sky.sums import add_up

__all__ = ["Spread", "disc_significance", "field_wcs", "make_field_maps", "spread"]

# along each side of a pixel, for the background behind it
_N_SAMPLES = 3


def field_wcs(field: Field, *, pixel: float, offset_max: float) -> tuple[WCS, int]:
    """Make the projection of a field, with all of what its runs saw.

    Parameters
    ----------
    field : Field
        The field.
    pixel : float
        Size of a pixel [deg].
    offset_max : float
        Largest offset of the models [deg].

    Returns
    -------
    tuple of WCS and int
        Tangential projection, ICRS, and the odd number of pixels on each side.
    """
    half = np.degrees(np.tan(np.radians(min(field.radius + offset_max, 60.0))))
    n_pixels = 2 * int(np.ceil(half / pixel)) + 1
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [field.ra, field.dec]
    wcs.wcs.crpix = [(n_pixels + 1) / 2] * 2
    wcs.wcs.cdelt = [-pixel, pixel]
    wcs.wcs.radesys = "ICRS"
    return wcs, n_pixels


def make_field_maps(
    field: Field,
    runs: Sequence[RunSky],
    *,
    pixel: float,
    offset_max: float,
    radii: tuple[float, ...],
) -> FieldMaps:
    """Make the images of a field.

    Parameters
    ----------
    field : Field
        The field.
    runs : sequence of RunSky
        Runs that saw a part of it, at least one.
    pixel : float
        Size of a pixel [deg].
    offset_max : float
        Largest offset of the models [deg].
    radii : tuple of float
        Radii of the discs in which significance is looked for [deg].

    Returns
    -------
    FieldMaps
        The images.
    """
    wcs, n_pixels = field_wcs(field, pixel=pixel, offset_max=offset_max)
    total = add_up(runs, runs[0].nside, runs[0].band_edges)
    counts = np.zeros((total.band_edges.size - 1, n_pixels, n_pixels), dtype=np.int64)
    for run in runs:
        counts += _count(run, wcs, n_pixels)
    background, is_kept = _sample(total, wcs, n_pixels)
    significance = [
        disc_significance(
            counts.sum(axis=0), background.sum(axis=0), radius=radius, pixel=pixel
        )
        for radius in radii
    ]
    return FieldMaps(
        field=field,
        band_edges=total.band_edges,
        pixel=pixel,
        counts=counts,
        background=background,
        is_kept=is_kept,
        radii=radii,
        significance=np.array(significance).reshape(-1, n_pixels, n_pixels),
    )


def _count(run: RunSky, wcs: WCS, n_pixels: int) -> np.ndarray:
    fine = run.nside * 2 ** (FINE_BITS // 2)
    lon, lat = hp.pix2ang(fine, run.event_pixels, nest=True, lonlat=True)
    # what the projection cannot show is no number, and thus outside
    places = [np.nan_to_num(each, nan=-9.0) for each in wcs.all_world2pix(lon, lat, 0)]
    x, y = (np.rint(each).astype(np.int64) for each in places)
    is_in = (x >= 0) & (x < n_pixels) & (y >= 0) & (y < n_pixels)
    shape = (run.band_edges.size - 1, n_pixels, n_pixels)
    index = np.ravel_multi_index((run.event_bands[is_in], y[is_in], x[is_in]), shape)
    counts = np.bincount(index, minlength=int(np.prod(shape)))
    return counts.reshape(shape)


def _sample(total: SkySum, wcs: WCS, n_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Background of each pixel and whether it is kept, from points in it."""
    n_band, n_points = total.band_edges.size - 1, _N_SAMPLES * n_pixels
    axis = (np.arange(n_points) + 0.5) / _N_SAMPLES - 0.5
    y, x = (each.ravel() for each in np.meshgrid(axis, axis, indexing="ij"))
    vectors = unit_vectors(*wcs.all_pix2world(x, y, 0))
    pixels = hp.vec2pix(total.nside, *vectors.T, nest=True)
    place = np.searchsorted(total.pixels, pixels).clip(max=total.pixels.size - 1)
    is_seen = total.pixels[place] == pixels
    # a step in the plane is smaller on the sphere: cosine of the distance, cubed
    centre = unit_vectors(*(np.array([each]) for each in wcs.wcs.crval))[0]
    step = np.radians(wcs.wcs.cdelt[1]) / _N_SAMPLES
    area = step**2 * (vectors @ centre) ** 3 / hp.nside2pixarea(total.nside)

    def gather(values: np.ndarray) -> np.ndarray:
        sides = (n_pixels, _N_SAMPLES, n_pixels, _N_SAMPLES)
        return np.asarray((values * is_seen).reshape(sides).sum(axis=(1, 3)))

    background = np.array([gather(area * each[place]) for each in total.background])
    is_kept = gather(~total.is_kept[place]) == 0
    return background.reshape(n_band, n_pixels, n_pixels), is_kept


def disc_significance(
    counts: np.ndarray, background: np.ndarray, *, radius: float, pixel: float
) -> np.ndarray:
    """Return the significance within a radius of each pixel.

    Parameters
    ----------
    counts, background : np.ndarray
        Events seen and predicted, shape ``(n, n)``.
    radius : float
        Radius of the disc [deg].
    pixel : float
        Size of a pixel [deg].

    Returns
    -------
    np.ndarray
        Standard deviations, shape ``(n, n)``; NaN where no run looked.
    """
    added = [add_in_discs(e, radius=radius, pixel=pixel) for e in (counts, background)]
    significance = sqrt_ts(np.rint(added[0]), added[1])
    return np.where(background > 0, significance, np.nan)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Distribution of the significance outside the mask.

    Attributes
    ----------
    mean, width : float
        Mean and standard deviation, NaN when all is masked.
    chance : Chance
        What background alone does.
    """

    mean: float
    width: float
    chance: Chance


def spread(maps: FieldMaps, *, rng: np.random.Generator) -> Spread:
    """Tell how significance is distributed outside the mask, in the smallest discs.

    Parameters
    ----------
    maps : FieldMaps
        Images of a field.
    rng : np.random.Generator
        Source of random numbers.

    Returns
    -------
    Spread
        Mean and width, and those of background alone.
    """
    counts = maps.counts.sum(axis=0) * maps.is_kept
    background = maps.background.sum(axis=0) * maps.is_kept
    values = disc_significance(
        counts, background, radius=maps.radii[0], pixel=maps.pixel
    )
    values = values[np.isfinite(values)]
    mean, width = (values.mean(), values.std()) if values.size else (np.nan, np.nan)
    return Spread(
        mean=float(mean),
        width=float(width),
        chance=simulate_chance(background, radii=maps.radii, pixel=maps.pixel, rng=rng),
    )
