"""What a model predicts for a run, beside what was counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape

__all__ = ["FieldMatch"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldMatch:
    """Events of a run, or of some that are joined, counted and predicted.

    Attributes
    ----------
    obs_ids : tuple of int
        Run numbers, sorted.
    counts, predicted : np.ndarray
        Events in pixels that are seen, shape ``(n_energy, n_pixels, n_pixels)``.
    is_scored : np.ndarray
        True for pixels that hold enough for the deviance, same shape.
    even : np.ndarray
        Events of each energy spread evenly over what is kept, same shape.
    """

    obs_ids: tuple[int, ...]
    counts: np.ndarray
    predicted: np.ndarray
    is_scored: np.ndarray
    even: np.ndarray

    def __post_init__(self) -> None:
        for name in ("predicted", "is_scored", "even"):
            require_shape(name, getattr(self, name), self.counts.shape)

    @property
    def n_events(self) -> int:
        """Events counted."""
        return int(self.counts.sum())
