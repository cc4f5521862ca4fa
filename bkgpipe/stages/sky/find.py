"""Find where more events are than the background explains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bkgpipe.geometry.frames import fov_matrix, lon_lat, offset_angle, unit_vectors
from bkgpipe.stages.sky.data import FieldMaps, HotSpot, Reach
from bkgpipe.stages.sky.maps import disc_significance, field_wcs
from bkgpipe.stages.sky.significance import sqrt_ts

__all__ = ["Search", "distinct", "farthest", "find_hot_spots", "find_reaches"]

# A region grows as long as the next ring has an excess of so many standard deviations
_RING_SIGNIFICANCE = 3.0
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


def find_reaches(
    maps: FieldMaps,
    circles: Iterable[Reach],
    *,
    max_radius: float,
    offset_max: float,
) -> list[Reach]:
    """Find how far excesses go beyond the discs that exclude them.

    Parameters
    ----------
    maps : FieldMaps
        Images of a field.
    circles : iterable of Reach
        Discs of the exclusion mask.
    max_radius : float
        Upper limit of the radius [deg].
    offset_max : float
        Largest offset of the models [deg].

    Returns
    -------
    list of Reach
        Those that have their centre in the field.
    """
    search = Search(maps, offset_max=offset_max)
    return [
        replace(
            circle,
            reach=search.reach(place, circle.radius, max_radius=max_radius),
        )
        for circle in circles
        if search.has(place := (circle.ra, circle.dec))
    ]


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
            place = (spot.ra, spot.dec)
            reach = self.reach(place, spot.radius, max_radius=max_radius)
            found.append(replace(spot, radius=reach))
            self.close(found[-1])
        return found

    def reach(
        self, place: tuple[float, float], radius: float, *, max_radius: float
    ) -> float:
        """Add ring after ring to a region, while they have an excess.

        Parameters
        ----------
        place : tuple of float
            Centre of the region, ICRS [deg].
        radius : float
            Its radius [deg].
        max_radius : float
            Upper limit of its radius [deg].

        Returns
        -------
        float
            Radius that it comes out with [deg].
        """
        distance = self._distance(*place)
        while radius + _RING <= max_radius * (1 + 1e-9):
            is_in = (distance > radius) & (distance <= radius + _RING)
            if not sqrt_ts(*self._sums(is_in)) > _RING_SIGNIFICANCE:
                break
            radius += _RING
        return round(radius, 6)

    def has(self, place: tuple[float, float]) -> bool:
        """Tell whether a place is on the images.

        Parameters
        ----------
        place : tuple of float
            Position, ICRS [deg].

        Returns
        -------
        bool
            True if a pixel is next to it.
        """
        return bool(self._distance(*place).min() < self._maps.pixel)

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


def farthest(reaches: Iterable[Reach]) -> list[Reach]:
    """Keep of what several fields say of one disc the largest radius.

    Parameters
    ----------
    reaches : iterable of Reach
        What fields say.

    Returns
    -------
    list of Reach
        One for each disc.
    """
    kept: dict[tuple[str, float, float], Reach] = {}
    for each in reaches:
        key = (each.name, each.ra, each.dec)
        kept[key] = max(kept.get(key, each), each, key=lambda found: found.reach)
    return [*kept.values()]
