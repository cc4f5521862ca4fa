"""Counts and background on the sky: of a run, of several runs, of a field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape

__all__ = ["FINE_BITS", "Field", "FieldMaps", "HotSpot", "Reach", "RunSky", "SkySum"]

# An event is placed in one of 64 parts of its pixel
FINE_BITS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class RunSky:
    """Events of one run, and the background that its model predicts, by direction.

    Attributes
    ----------
    obs_id : int
        Run number.
    nside : int
        HEALPix resolution of the background, NESTED order, ICRS.
    band_edges : np.ndarray
        Edges of the energy bands, shape ``(n_band + 1,)`` [TeV].
    energy_range : np.ndarray
        Lowest and highest energy of the run, shape ``(2,)`` [TeV].
    ontime : float
        Good time [s].
    pixels : np.ndarray
        Pixels of the field, sorted, shape ``(n_pixels,)``.
    is_kept : np.ndarray
        False where the exclusion mask excludes the centre, shape ``(n_pixels,)``.
    background : np.ndarray
        Events predicted, scaled by `norm`, shape ``(n_band, n_pixels)``.
    event_pixels : np.ndarray
        Direction of each event: its pixel at 8 times `nside`, shape ``(n_events,)``.
    event_bands : np.ndarray
        Its energy band, shape ``(n_events,)``.
    norm, norm_error : float
        Factor that scaled the background to the events outside the mask, and its
        statistical error; 1 and NaN where that was not possible or not wanted.
    """

    obs_id: int
    nside: int
    band_edges: np.ndarray
    energy_range: np.ndarray
    ontime: float
    pixels: np.ndarray
    is_kept: np.ndarray
    background: np.ndarray
    event_pixels: np.ndarray
    event_bands: np.ndarray
    norm: float
    norm_error: float

    def __post_init__(self) -> None:
        n_band, n_pixels = self.band_edges.size - 1, self.pixels.size
        require_shape("is_kept", self.is_kept, (n_pixels,))
        require_shape("background", self.background, (n_band, n_pixels))
        require_shape("event_bands", self.event_bands, self.event_pixels.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class SkySum:
    """Several runs added up.

    Attributes
    ----------
    nside : int
        HEALPix resolution, NESTED order, ICRS.
    band_edges : np.ndarray
        Edges of the energy bands, shape ``(n_band + 1,)`` [TeV].
    pixels : np.ndarray
        Pixels that any run saw, sorted, shape ``(n_pixels,)``.
    is_kept : np.ndarray
        False where the mask of any run excludes the centre, shape ``(n_pixels,)``.
    background : np.ndarray
        Events predicted, shape ``(n_band, n_pixels)``.
    counts : np.ndarray
        Events, shape ``(n_band, n_pixels)``.
    """

    nside: int
    band_edges: np.ndarray
    pixels: np.ndarray
    is_kept: np.ndarray
    background: np.ndarray
    counts: np.ndarray

    def __post_init__(self) -> None:
        shape = (self.band_edges.size - 1, self.pixels.size)
        require_shape("background", self.background, shape)
        require_shape("counts", self.counts, shape)
        require_shape("is_kept", self.is_kept, shape[1:])


@dataclass(frozen=True, kw_only=True)
class Field:
    """A part of the sky that runs pointed to.

    Attributes
    ----------
    number : int
        Number of the field, from 1.
    name : str
        Most frequent target of its runs.
    ra, dec : float
        Centre, ICRS [deg].
    radius : float
        Distance from the centre to the farthest pointing [deg].
    obs_ids : tuple of int
        Its runs.
    """

    number: int
    name: str
    ra: float
    dec: float
    radius: float
    obs_ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldMaps:
    """Images of a field, projected on the plane that touches its centre (TAN).

    Attributes
    ----------
    field : Field
        The field.
    band_edges : np.ndarray
        Edges of the energy bands, shape ``(n_band + 1,)`` [TeV].
    pixel : float
        Size of a pixel [deg].
    counts, background : np.ndarray
        Events seen and predicted, north up and east left, as in FITS: shape ``(n_band,
        n_pixels, n_pixels)``.
    is_kept : np.ndarray
        False where any run excludes the direction, shape ``(n_pixels, n_pixels)``.
    radii : tuple of float
        Radii of the discs in which significance is looked for [deg].
    significance : np.ndarray
        Of all energies within these radii, NaN where no run looked, shape ``(n_radii,
        n_pixels, n_pixels)``.
    """

    field: Field
    band_edges: np.ndarray
    pixel: float
    counts: np.ndarray
    background: np.ndarray
    is_kept: np.ndarray
    radii: tuple[float, ...]
    significance: np.ndarray

    def __post_init__(self) -> None:
        n_band, *image = self.counts.shape
        require_shape("background", self.background, (n_band, *image))
        require_shape("band_edges", self.band_edges, (n_band + 1,))
        require_shape("is_kept", self.is_kept, tuple(image))
        require_shape("significance", self.significance, (len(self.radii), *image))


@dataclass(frozen=True, kw_only=True)
class HotSpot:
    """Where more events are than chance allows.

    Attributes
    ----------
    field : int
        Number of the field.
    ra, dec : float
        Where the significance is largest, ICRS [deg].
    radius : float
        Radius that holds the excess [deg].
    search_radius : float
        Radius of the disc with that significance [deg].
    significance : float
        Significance there, in standard deviations.
    counts : int
        Events in that disc.
    background : float
        Events predicted in it.
    is_masked : bool
        Whether it takes events under the exclusion mask to see it.
    false_alarms : float
        How many such excesses chance makes in all fields together, on average; NaN when
        not judged yet.
    source : str
        Nearest source of the exclusion regions; empty without any.
    separation : float
        Distance to that source; NaN without any [deg].
    """

    field: int
    ra: float
    dec: float
    radius: float
    search_radius: float
    significance: float
    counts: int
    background: float
    is_masked: bool = False
    false_alarms: float = float("nan")
    source: str = ""
    separation: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far an excess goes beyond the disc that excludes it.

    Attributes
    ----------
    name : str
        Name of the disc in ``[mask] circles``.
    ra, dec : float
        Its centre, ICRS [deg].
    radius : float
        Its radius [deg].
    reach : float
        Radius of the last ring around it that has an excess; that of the disc if none
        has [deg].
    """

    name: str
    ra: float
    dec: float
    radius: float
    reach: float
