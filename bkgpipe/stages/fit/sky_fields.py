"""Which runs look at the same field of the sky."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from bkgpipe.geometry.frames import unit_vectors

__all__ = ["find_sky_fields", "is_near", "spread_blocks"]

_MAX_SEPARATION = 1.0  # deg, between pointings of one field


def find_sky_fields(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Join pointings that are near each other, and those near these.

    Parameters
    ----------
    ra, dec : np.ndarray
        Pointings, ICRS, shape ``(n_runs,)`` [deg].

    Returns
    -------
    np.ndarray
        Number of the field of each, shape ``(n_runs,)``.
    """
    chord = 2.0 * np.sin(np.radians(_MAX_SEPARATION) / 2.0)
    tree = cKDTree(unit_vectors(ra, dec))
    pairs = tree.query_pairs(chord, output_type="ndarray")
    size = (len(ra), len(ra))
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=size)
    return np.asarray(connected_components(graph, directed=False)[1])


def is_near(pointings: np.ndarray, pointing: tuple[float, float]) -> bool:
    """Tell whether a pointing is in the field of one of many.

    Parameters
    ----------
    pointings : np.ndarray
        Right ascensions and declinations, shape ``(n, 2)`` [deg].
    pointing : tuple of float
        One of these [deg].

    Returns
    -------
    bool
        True if it is less than 1 deg from one of them.
    """
    vectors = unit_vectors(pointings[:, 0], pointings[:, 1])
    own = unit_vectors(np.array([pointing[0]]), np.array([pointing[1]]))[0]
    return bool((vectors @ own > np.cos(np.radians(_MAX_SEPARATION))).any())


def spread_blocks(block: np.ndarray, n_folds: int) -> np.ndarray:
    """Share blocks out to folds, the largest first, each to the smallest fold.

    Parameters
    ----------
    block : np.ndarray
        Number of the block of each run, from zero on, shape ``(n_runs,)``.
    n_folds : int
        Folds; with fewer blocks some are empty.

    Returns
    -------
    np.ndarray
        Number of the fold of each run, shape ``(n_runs,)``.
    """
    sizes = np.bincount(block)
    fold_of, filled = np.empty(sizes.size, dtype=np.int64), np.zeros(n_folds)
    for number in np.argsort(-sizes, kind="stable"):
        fold_of[number] = np.argmin(filled)
        filled[fold_of[number]] += sizes[number]
    folds: np.ndarray = fold_of[block]
    return folds
