"""Regions of the sky that no background model may see."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bkgpipe.core.checks import require_shape

__all__ = ["ExclusionMask", "ExclusionRegion", "distinct_pixels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExclusionRegion:
    """One excluded part of the sky: a disc, or any set of HEALPix pixels.

    Attributes
    ----------
    name : str
        Name of the source or region.
    origin : str
        Catalogue, setting or file that it comes from.
    ra, dec : float
        Centre, ICRS [deg].
    radius : float
        Radius of the disc, or of a disc that holds all the pixels; NaN for a catalogue
        source whose radius the mask settings decide [deg].
    extension : float
        Extension found in the catalogue, zero for a point [deg].
    is_capped : bool
        True when the upper limit cut the radius.
    pixels : np.ndarray
        Pixels of another shape than a disc (RING order, at the `nside` of the mask),
        shape ``(n_pixels,)``; empty for a disc.
    """

    name: str
    origin: str
    ra: float
    dec: float
    radius: float
    extension: float = 0.0
    is_capped: bool = False
    pixels: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True, kw_only=True, eq=False)
class ExclusionMask:
    """HEALPix mask of the field of one run; True = kept.

    Of the grid only the excluded pixels are stored.

    Attributes
    ----------
    obs_id : int
        Run number.
    nside : int
        HEALPix resolution, RING order, ICRS.
    excluded_pixels : np.ndarray
        Excluded pixels, sorted, each once, shape ``(n_excluded,)``.
    region_names, region_origins : tuple of str
        Names and origins of the regions that made the mask, ``n_regions`` each.
    region_circles : np.ndarray
        Their ra, dec, radius, extension, shape ``(n_regions, 4)`` [deg].
    region_capped : np.ndarray
        True where the upper limit cut the radius, shape ``(n_regions,)``.
    """

    obs_id: int
    nside: int
    excluded_pixels: np.ndarray
    region_names: tuple[str, ...]
    region_origins: tuple[str, ...]
    region_circles: np.ndarray
    region_capped: np.ndarray

    def __post_init__(self) -> None:
        n_regions = len(self.region_names)
        require_shape("region_circles", self.region_circles, (n_regions, 4))
        require_shape("region_capped", self.region_capped, (n_regions,))


def distinct_pixels(pixels: np.ndarray) -> np.ndarray:
    """Sort pixels, each once.

    Parameters
    ----------
    pixels : np.ndarray
        Pixel numbers in any order, shape ``(n,)``.

    Returns
    -------
    np.ndarray
        Numbers, shape ``(n_distinct,)``.
    """
    # np.unique hashes first, which is slow for millions
    ordered = np.sort(pixels)
    is_first = np.ones(ordered.size, dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return np.asarray(ordered[is_first])
