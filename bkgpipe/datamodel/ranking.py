"""Runs in order of likeness to a target run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.datamodel.checks import require_shape

__all__ = ["Ranking"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """The runs taken for one target, most like it first.

    Attributes
    ----------
    obs_id : int
        The target.
    obs_ids : np.ndarray
        Runs in order of divergence, shape ``(n_runs,)``.
    divergence : np.ndarray
        Kullback-Leibler divergence of the target from each, ``(n_runs,)`` [nat].
    livetime : np.ndarray
        Their live times, shape ``(n_runs,)`` [s].
    is_taken : np.ndarray
        True for those that reach the hours asked for, shape ``(n_runs,)``.
    n_refused : int
        Candidates that the mimic criteria refused.
    is_short : bool
        True when all candidates together have fewer hours than asked for.
    """

    obs_id: int
    obs_ids: np.ndarray
    divergence: np.ndarray
    livetime: np.ndarray
    is_taken: np.ndarray
    n_refused: int
    is_short: bool

    def __post_init__(self) -> None:
        for name in ("divergence", "livetime", "is_taken"):
            require_shape(name, getattr(self, name), self.obs_ids.shape)

    @property
    def taken(self) -> np.ndarray:
        """Runs to stack, shape ``(n_taken,)``."""
        taken: np.ndarray = self.obs_ids[self.is_taken]
        return taken
