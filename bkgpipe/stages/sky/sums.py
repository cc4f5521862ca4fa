"""Add runs up on the sky."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import healpy as hp
import numpy as np

from bkgpipe.stages.sky.data import FINE_BITS, RunSky, SkySum

__all__ = ["Adder", "add_up", "cover"]


def cover(nside: int, pixels: Iterable[np.ndarray]) -> np.ndarray:
    """Find the pixels that any run saw.

    Parameters
    ----------
    nside : int
        HEALPix resolution.
    pixels : iterable of np.ndarray
        Pixels of each run.

    Returns
    -------
    np.ndarray
        Each of them once, sorted, shape ``(n_pixels,)``.
    """
    # a byte for each pixel of the sky, however many runs there are
    is_covered = np.zeros(hp.nside2npix(nside), dtype=bool)
    for each in pixels:
        is_covered[each] = True
    return np.flatnonzero(is_covered)


class Adder:
    """Adds runs one by one, so that one alone is in memory beside the sum.

    Parameters
    ----------
    nside : int
        HEALPix resolution of all runs.
    band_edges : np.ndarray
        Their energy bands, shape ``(n_band + 1,)`` [TeV].
    pixels : np.ndarray
        What `cover` found of them, shape ``(n_pixels,)``.
    """

    def __init__(self, nside: int, band_edges: np.ndarray, pixels: np.ndarray) -> None:
        self._nside, self._band_edges, self._pixels = nside, band_edges, pixels
        shape = (band_edges.size - 1, pixels.size)
        self._background = np.zeros(shape)
        self._counts = np.zeros(shape, dtype=np.int32)
        self._is_kept = np.ones(pixels.size, dtype=bool)

    def add(self, run: RunSky) -> None:
        """Add a run.

        Parameters
        ----------
        run : RunSky
            A run of the same resolution and bands.
        """
        place = np.searchsorted(self._pixels, run.pixels)
        self._background[:, place] += run.background
        self._is_kept[place] &= run.is_kept
        found = np.searchsorted(self._pixels, run.event_pixels >> FINE_BITS)
        np.add.at(self._counts, (run.event_bands, found), 1)

    def total(self) -> SkySum:
        """Return what was added.

        Returns
        -------
        SkySum
            The sum.
        """
        return SkySum(
            nside=self._nside,
            band_edges=self._band_edges,
            pixels=self._pixels,
            is_kept=self._is_kept,
            background=self._background,
            counts=self._counts,
        )


def add_up(runs: Sequence[RunSky], nside: int, band_edges: np.ndarray) -> SkySum:
    """Add up a few runs.

    Parameters
    ----------
    runs : sequence of RunSky
        Runs.
    nside : int
        HEALPix resolution of all runs.
    band_edges : np.ndarray
        Their energy bands, shape ``(n_band + 1,)`` [TeV].

    Returns
    -------
    SkySum
        The sum.
    """
    adder = Adder(nside, band_edges, cover(nside, (run.pixels for run in runs)))
    for run in runs:
        adder.add(run)
    return adder.total()
