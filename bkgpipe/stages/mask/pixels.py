"""Exclusion masks: which parts of the sky a run may be counted in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import healpy as hp
import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import fov_matrix, pointing_of, unit_vectors
from bkgpipe.stages.mask.data import ExclusionMask, ExclusionRegion, distinct_pixels

__all__ = ["is_kept", "is_kept_vectors", "make_exclusion_mask", "size_regions"]

# Above this span of pixel numbers a search costs less than a table [pixels]
_MAX_TABLE_SIZE = 20_000_000


def size_regions(
    regions: Sequence[ExclusionRegion],
    *,
    radius: float,
    extension_factor: float,
    max_radius: float,
) -> tuple[ExclusionRegion, ...]:
    """Give the regions that have no radius yet the radius of their source.

    Parameters
    ----------
    regions : sequence of ExclusionRegion
        Regions; those with a radius stay as they are.
    radius : float
        Radius for a point source, and the least for any [deg].
    extension_factor : float
        Radius of an extended source, in units of its extension.
    max_radius : float
        Upper limit of the radius [deg].

    Returns
    -------
    tuple of ExclusionRegion
        The regions in the same order, each with a radius.
    """
    limits = (radius, extension_factor, max_radius)
    return tuple(_sized(region, *limits) for region in regions)


def make_exclusion_mask(
    run: Run,
    regions: Sequence[ExclusionRegion],
    *,
    nside: int,
    search_radius: float,
) -> ExclusionMask:
    """Make the mask of one run from the regions that touch its field.

    Parameters
    ----------
    run : Run
        The run, for its pointing.
    regions : sequence of ExclusionRegion
        Regions, each with its radius.
    nside : int
        HEALPix resolution.
    search_radius : float
        Radius of the field that regions must touch [deg].

    Returns
    -------
    ExclusionMask
        Excluded pixels, and the regions that exclude them.

    Raises
    ------
    InputError
        If the pointing is not known, a region has no radius or no position, or its
        pixels do not fit `nside`.
    """
    pointing = fov_matrix(*pointing_of(run))[0]
    touching = _touching(pointing, tuple(regions), search_radius)
    field = hp.query_disc(nside, pointing, np.radians(search_radius), inclusive=True)
    pixels = [_region_pixels(region, field, nside) for region in touching]
    circles = [(r.ra, r.dec, r.radius, r.extension) for r in touching]
    return ExclusionMask(
        obs_id=run.obs_id,
        nside=nside,
        excluded_pixels=distinct_pixels(
            np.concatenate([np.empty(0, np.int64), *pixels])
        ),
        region_names=tuple(region.name for region in touching),
        region_origins=tuple(region.origin for region in touching),
        region_circles=np.array(circles, dtype=float).reshape(-1, 4),
        region_capped=np.array([region.is_capped for region in touching], dtype=bool),
    )


def is_kept(mask: ExclusionMask, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Tell which positions the mask keeps.

    Parameters
    ----------
    mask : ExclusionMask
        The mask.
    ra, dec : np.ndarray
        Positions, ICRS, shape ``(n,)`` [deg].

    Returns
    -------
    np.ndarray
        True where kept, shape ``(n,)``.
    """
    return is_kept_vectors(mask, unit_vectors(ra, dec))


def is_kept_vectors(mask: ExclusionMask, vectors: np.ndarray) -> np.ndarray:
    """Tell which directions the mask keeps.

    Parameters
    ----------
    mask : ExclusionMask
        The mask.
    vectors : np.ndarray
        Directions, ICRS, shape ``(n, 3)``.

    Returns
    -------
    np.ndarray
        True where kept, shape ``(n,)``.

    References
    ----------
    Gorski et al. 2005, ApJ 622, 759 (HEALPix).
    """
    excluded = mask.excluded_pixels
    if excluded.size == 0:
        return np.ones(len(vectors), dtype=bool)
    pixels = hp.vec2pix(mask.nside, *vectors.T)
    span = int(excluded[-1] - excluded[0]) + 1
    if span > _MAX_TABLE_SIZE:
        place = np.searchsorted(excluded, pixels).clip(max=excluded.size - 1)
        return np.asarray(excluded[place] != pixels)
    # One entry more on each side for the pixels before and after the span
    table = np.ones(span + 2, dtype=bool)
    table[excluded - excluded[0] + 1] = False
    return np.asarray(table[(pixels - excluded[0] + 1).clip(0, span + 1)])


def _sized(
    region: ExclusionRegion, radius: float, extension_factor: float, max_radius: float
) -> ExclusionRegion:
    if np.isfinite(region.radius):
        return region
    # An extension that is not a number is one that the catalogue does not give
    wanted = float(np.fmax(radius, extension_factor * region.extension))
    return replace(
        region, radius=min(wanted, max_radius), is_capped=wanted > max_radius
    )


def _touching(
    pointing: np.ndarray, regions: tuple[ExclusionRegion, ...], search_radius: float
) -> list[ExclusionRegion]:
    if not regions:
        return []
    centres, radii = _centres_and_radii(regions)
    # The chord keeps its digits where the cosine of a small angle loses them
    chord = np.linalg.norm(centres - pointing, axis=1).clip(max=2.0)
    separation = np.degrees(2 * np.arcsin(chord / 2))
    return [regions[i] for i in np.flatnonzero(separation < search_radius + radii)]


# All runs of a production share their regions, tens of thousands when stars are in
@lru_cache(maxsize=2)
def _centres_and_radii(
    regions: tuple[ExclusionRegion, ...],
) -> tuple[np.ndarray, np.ndarray]:
    circles = np.array([(r.ra, r.dec, r.radius) for r in regions])
    unusable = np.flatnonzero(~np.isfinite(circles).all(axis=1))
    if unusable.size:
        region = regions[unusable[0]]
        raise InputError(
            what=(
                "needs a position and a radius, found"
                f" ra {region.ra}, dec {region.dec}, radius {region.radius}"
            ),
            where=f"region {region.name} of {region.origin}",
            fix="Correct the region, or leave it out",
        )
    return unit_vectors(circles[:, 0], circles[:, 1]), circles[:, 2]


def _region_pixels(
    region: ExclusionRegion, field: np.ndarray, nside: int
) -> np.ndarray:
    if region.pixels.size == 0:
        return _disc_pixels(region, nside)
    pixels = _sorted_pixels(region)
    lowest, highest = pixels[0], pixels[-1]
    if lowest < 0 or highest >= hp.nside2npix(nside):
        raise InputError(
            what=f"pixels {lowest} to {highest} do not fit nside {nside}",
            where=f"region {region.name} of {region.origin}",
            fix="Read the region again with the nside of the mask",
        )
    # A region may be a mask of the whole sky, which no run should carry about
    place = np.searchsorted(pixels, field).clip(max=pixels.size - 1)
    return np.asarray(field[pixels[place] == field], dtype=np.int64)


# All runs share their regions, and a mask of the whole sky has millions of pixels
@lru_cache(maxsize=64)
def _sorted_pixels(region: ExclusionRegion) -> np.ndarray:
    is_sorted = bool((np.diff(region.pixels) > 0).all())
    return region.pixels if is_sorted else distinct_pixels(region.pixels)


def _disc_pixels(region: ExclusionRegion, nside: int) -> np.ndarray:
    centre = fov_matrix(region.ra, region.dec)[0]
    pixels = hp.query_disc(nside, centre, np.radians(region.radius))
    if pixels.size == 0:
        # A disc smaller than a pixel still excludes the one that it is in
        pixels = np.array([hp.vec2pix(nside, *centre)])
    return np.asarray(pixels, dtype=np.int64)
