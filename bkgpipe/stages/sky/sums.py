"""Add runs up on the sky."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bkgpipe.stages.mask.data import distinct_pixels
from bkgpipe.stages.sky.data import RunSky, SkySum

__all__ = ["Adder"]


class Adder:
    """Adds runs one by one, so that one alone is in memory beside the sum.

    Parameters
    ----------
    nside : int
        HEALPix resolution of all runs.
    band_edges : np.ndarray
        Their energy bands, shape ``(n_band + 1,)`` [TeV].
    """

    def __init__(self, nside: int, band_edges: np.ndarray) -> None:
        self._nside, self._band_edges = nside, band_edges
        self._pixels = np.empty(0, dtype=np.int64)
        self._excluded = np.empty(0, dtype=np.int64)
        self._background = np.empty((band_edges.size - 1, 0))
        self._events: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, runs: Iterable[RunSky]) -> None:
        """Add runs.

        Parameters
        ----------
        runs : iterable of RunSky
            Runs of the same resolution and bands.
        """
        for run in runs:
            self._cover(run.pixels)
            place = np.searchsorted(self._pixels, run.pixels)
            self._background[:, place] += run.background
            excluded = run.pixels[~run.is_kept]
            self._excluded = distinct_pixels(np.append(self._excluded, excluded))
            self._events.append((run.event_pixels, run.event_bands))

    def _cover(self, pixels: np.ndarray) -> None:
        """Make place for pixels that no run had before."""
        place = np.searchsorted(self._pixels, pixels).clip(max=self._pixels.size - 1)
        if self._pixels.size and (self._pixels[place] == pixels).all():
            return
        covered = distinct_pixels(np.concatenate([self._pixels, pixels]))
        background = np.zeros((self._band_edges.size - 1, covered.size))
        background[:, np.searchsorted(covered, self._pixels)] = self._background
        self._pixels, self._background = covered, background

    def total(self) -> SkySum:
        """Return what was added.

        Returns
        -------
        SkySum
            The sum.
        """
        pixels = [np.empty(0, dtype=np.int64), *(each for each, _ in self._events)]
        bands = [np.empty(0, dtype=np.uint8), *(each for _, each in self._events)]
        return SkySum(
            nside=self._nside,
            band_edges=self._band_edges,
            pixels=self._pixels,
            is_kept=~np.isin(self._pixels, self._excluded),
            background=self._background,
            event_pixels=np.concatenate(pixels),
            event_bands=np.concatenate(bands),
        )
