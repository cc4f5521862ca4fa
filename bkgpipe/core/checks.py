"""Checks that the dataclasses run on themselves."""

from __future__ import annotations

import numpy as np

from bkgpipe.errors import BinningMismatchError

__all__ = ["require_edges", "require_shape"]


def require_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape.

    Parameters
    ----------
    name : str
        Field that holds the array.
    array : np.ndarray
        The array, any shape.
    shape : tuple of int
        Shape it should have.

    Raises
    ------
    BinningMismatchError
        If the shapes differ.
    """
    if array.shape != shape:
        raise BinningMismatchError(
            what=f"shape is {array.shape}, expected {shape}",
            where=name,
            fix="Make the product again with the present [binning] settings",
        )


def require_edges(name: str, edges: np.ndarray) -> None:
    """Refuse edges that are not one finite, strictly increasing axis.

    Parameters
    ----------
    name : str
        Field that holds the edges.
    edges : np.ndarray
        Bin edges, shape ``(n + 1,)``.

    Raises
    ------
    BinningMismatchError
        If there are fewer than two edges, or they do not increase.
    """
    is_axis = edges.ndim == 1 and edges.size >= 2 and bool(np.isfinite(edges).all())
    if not is_axis or not bool((np.diff(edges) > 0).all()):
        raise BinningMismatchError(
            what=f"edges must be finite and increase strictly, found {edges}",
            where=name,
            fix="Correct the [binning] settings",
        )
