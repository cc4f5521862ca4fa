"""Find where more events are than the background explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bkgpipe.geometry.frames import fov_matrix, lon_lat, offset_angle, unit_vectors
from bkgpipe.stages.sky.data import FieldMaps, HotSpot
from bkgpipe.stages.sky.maps import disc_significance, field_wcs
from bkgpipe.stages.sky.significance import sqrt_ts

__all__ = ["distinct", "find_hot_spots"]

# A region grows as long as the next ring has an excess of so many standard deviations
_RING_SIGNIFICANCE = 2.0
_RING = 0.1  # deg
_MAX_SPOTS = 100  # in a field; more is a background that does not fit


def find_hot_spots(
    maps: FieldMaps, *, threshold: float, max_radius: float, offset_max: float
) -> tuple[HotSpot, ...]:
    """Find the places of an excess, the most significant first.

    Around each the region grows ring by ring while the next ring has an excess, and is
    left out of the search for the others.

    Parameters
    ----------
    maps : FieldMaps
        Images of a field.
    threshold : float
        Least significance, in standard deviations.
    max_radius : float
        Upper limit of the radius of a region [deg].
    offset_max : float
        Largest offset of the models [deg].

    Returns
    -------
    tuple of HotSpot
        Places.
    """
    search = _Search(maps, offset_max=offset_max)
    found: list[HotSpot] = []
    while len(found) < _MAX_SPOTS:
        spot = search.best()
        if spot is None or spot.significance < threshold:
            break
        spot = search.grow(spot, max_radius=max_radius)
        search.close(spot)
        found.append(spot)
    return tuple(found)


class _Search:
    """Images of a field, of which what was found is left out step by step."""

    def __init__(self, maps: FieldMaps, *, offset_max: float) -> None:
        self._maps = maps
        self._counts = maps.counts.sum(axis=0).astype(float)
        self._background = maps.background.sum(axis=0)
        wcs, n_pixels = field_wcs(maps.field, pixel=maps.pixel, offset_max=offset_max)
        y, x = (each.ravel() for each in np.indices((n_pixels, n_pixels)))
        vectors = unit_vectors(*wcs.all_pix2world(x, y, 0))
        self._vectors = vectors.reshape(n_pixels, n_pixels, 3)

    def best(self) -> HotSpot | None:
        """Return the most significant disc of all radii."""
        spots = [each for each in map(self._best_of, self._maps.radii) if each]
        return max(spots, key=lambda spot: spot.significance, default=None)

    def _best_of(self, radius: float) -> HotSpot | None:
        significance = disc_significance(
            self._counts, self._background, radius=radius, pixel=self._maps.pixel
        )
        if not np.isfinite(significance).any():
            return None
        centre = self._vectors[
            np.unravel_index(np.nanargmax(significance), significance.shape)
        ]
        (ra,), (dec,) = lon_lat(centre[np.newaxis])
        is_in = self._distance(float(ra), float(dec)) <= radius * (1 + 1e-9)
        return HotSpot(
            field=self._maps.field.number,
            ra=float(ra % 360.0),
            dec=float(dec),
            radius=radius,
            search_radius=radius,
            significance=float(np.nanmax(significance)),
            counts=int(self._counts[is_in].sum()),
            background=float(self._background[is_in].sum()),
        )

    def grow(self, spot: HotSpot, *, max_radius: float) -> HotSpot:
        """Take ring after ring into a region, while they have an excess."""
        distance, radius = self._distance(spot.ra, spot.dec), spot.radius
        while radius + _RING <= max_radius * (1 + 1e-9):
            is_in = (distance > radius) & (distance <= radius + _RING)
            events, expected = self._counts[is_in].sum(), self._background[is_in].sum()
            if not sqrt_ts(events, expected) > _RING_SIGNIFICANCE:
                break
            radius += _RING
        return replace(spot, radius=round(radius, 6))

    def close(self, spot: HotSpot) -> None:
        """Leave a region out of what is searched."""
        is_in = self._distance(spot.ra, spot.dec) <= spot.radius
        self._counts[is_in] = 0.0
        self._background[is_in] = 0.0

    def _distance(self, ra: float, dec: float) -> np.ndarray:
        centre = unit_vectors(np.array([ra]), np.array([dec]))[0]
        chord = np.linalg.norm(self._vectors - centre, axis=2).clip(max=2.0)
        distance: np.ndarray = np.degrees(2 * np.arcsin(chord / 2))
        return distance


def distinct(spots: Sequence[HotSpot]) -> list[HotSpot]:
    """Keep of what several fields found in one place the most significant.

    Parameters
    ----------
    spots : sequence of HotSpot
        Places of all fields.

    Returns
    -------
    list of HotSpot
        Places, the most significant first, of which none holds the centre of another.
    """
    kept: list[HotSpot] = []
    for spot in sorted(spots, key=lambda each: -each.significance):
        matrix = fov_matrix(spot.ra, spot.dec)
        others = np.array([(each.ra, each.dec) for each in kept]).reshape(-1, 2)
        near = offset_angle(unit_vectors(*others.T) @ matrix.T)
        radii = np.array([max(each.radius, spot.radius) for each in kept])
        if not (near < radii).any():
            kept.append(spot)
    return kept
