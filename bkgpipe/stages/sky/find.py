"""Find where more events are than the background explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bkgpipe.geometry.frames import fov_matrix, lon_lat, offset_angle, unit_vectors
from bkgpipe.stages.sky.data import FieldMaps, HotSpot
from bkgpipe.stages.sky.maps import disc_significance, field_wcs
from bkgpipe.stages.sky.significance import sqrt_ts

__all__ = ["Search", "distinct", "find_hot_spots"]

# A region grows as long as the next ring has an excess of so many standard deviations
_RING_SIGNIFICANCE = 2.0
_RING = 0.1  # deg
_MAX_SPOTS = 100  # in a field; more is a background that does not fit


def find_hot_spots(
    maps: FieldMaps, *, threshold: float, max_radius: float, offset_max: float
) -> tuple[HotSpot, ...]:
    """Find the places of an excess: first outside the mask, then under it.

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
        Those outside the mask, then those that take events under it, the most
        significant first.
    """
    search = Search(maps, offset_max=offset_max)
    outside = search.find(threshold=threshold, max_radius=max_radius)
    search.open_mask()
    under = search.find(threshold=threshold, max_radius=max_radius)
    return (*outside, *(replace(spot, is_masked=True) for spot in under))


class Search:
    """Images of a field, of which what was found is left out step by step.

    Parameters
    ----------
    maps : FieldMaps
        Images of a field; what the mask excludes is left out at first.
    offset_max : float
        Largest offset of the models [deg].
    """

    def __init__(self, maps: FieldMaps, *, offset_max: float) -> None:
        self._maps = maps
        self._is_open = maps.is_kept.copy()
        self._closed = np.zeros(maps.is_kept.shape, dtype=bool)
        wcs, n_pixels = field_wcs(maps.field, pixel=maps.pixel, offset_max=offset_max)
        y, x = (each.ravel() for each in np.indices((n_pixels, n_pixels)))
        vectors = unit_vectors(*wcs.all_pix2world(x, y, 0))
        self._vectors = vectors.reshape(n_pixels, n_pixels, 3)

    def open_mask(self) -> None:
        """Search under the mask, too, but not in what was found."""
        self._is_open = ~self._closed

    def find(self, *, threshold: float, max_radius: float) -> list[HotSpot]:
        """Find the places of an excess in what is open, and close them.

        Parameters
        ----------
        threshold : float
            Least significance, in standard deviations.
        max_radius : float
            Upper limit of the radius of a region [deg].

        Returns
        -------
        list of HotSpot
            Places, the most significant first.
        """
        found: list[HotSpot] = []
        while len(found) < _MAX_SPOTS:
            spot = self._best()
            if spot is None or spot.significance < threshold:
                break
            spot = self.grow(spot, max_radius=max_radius)
            self.close(spot)
            found.append(spot)
        return found

    def grow(self, spot: HotSpot, *, max_radius: float) -> HotSpot:
        """Take ring after ring into a region, while they have an excess.

        Parameters
        ----------
        spot : HotSpot
            The region.
        max_radius : float
            Upper limit of its radius [deg].

        Returns
        -------
        HotSpot
            The region as it came out.
        """
        distance, radius = self._distance(spot.ra, spot.dec), spot.radius
        while radius + _RING <= max_radius * (1 + 1e-9):
            is_in = (distance > radius) & (distance <= radius + _RING)
            if not sqrt_ts(*self._sums(is_in)) > _RING_SIGNIFICANCE:
                break
            radius += _RING
        return replace(spot, radius=round(radius, 6))

    def close(self, spot: HotSpot) -> None:
        """Leave a region out of what is searched.

        Parameters
        ----------
        spot : HotSpot
            The region.
        """
        is_in = self._distance(spot.ra, spot.dec) <= spot.radius
        self._is_open &= ~is_in
        self._closed |= is_in

    def _sums(self, is_in: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add up events and background of open pixels."""
        is_in = is_in & self._is_open
        counts, background = self._maps.counts, self._maps.background
        return counts[:, is_in].sum(), background[:, is_in].sum()

    def _best(self) -> HotSpot | None:
        spots = [each for each in map(self._best_of, self._maps.radii) if each]
        return max(spots, key=lambda spot: spot.significance, default=None)

    def _best_of(self, radius: float) -> HotSpot | None:
        significance = disc_significance(
            self._maps.counts.sum(axis=0) * self._is_open,
            self._maps.background.sum(axis=0) * self._is_open,
            radius=radius,
            pixel=self._maps.pixel,
        )
        if not np.isfinite(significance).any():
            return None
        place = np.unravel_index(np.nanargmax(significance), significance.shape)
        (ra,), (dec,) = lon_lat(self._vectors[place][np.newaxis])
        counts, background = self._sums(
            self._distance(float(ra), float(dec)) <= radius * (1 + 1e-9)
        )
        return HotSpot(
            field=self._maps.field.number,
            ra=float(ra % 360.0),
            dec=float(dec),
            radius=radius,
            search_radius=radius,
            significance=float(significance[place]),
            counts=int(counts),
            background=float(background),
        )

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
