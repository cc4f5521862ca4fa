"""Runs in order of likeness to a target run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.datamodel.checks import require_shape

__all__ = ["REASONS", "Ranking"]

# What becomes of a candidate; the first that holds. Files hold positions in this list,
# so new ones go to its end.
REASONS: tuple[str, ...] = (
    "taken",
    "beyond the hours",
    "own run",
    "unfit",
    "overlap",
    "zenith",
    "azimuth",
    "time",
    "muon efficiency",
    "night-sky background",
    "control rate",
    "telescopes",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """The runs taken for one target, most like it first, and why not the others.

    Attributes
    ----------
    obs_id : int
        The target.
    obs_ids : np.ndarray
        Runs listed: those taken in order of divergence, then the next ones, then, if
        all were asked for, those refused, shape ``(n_runs,)``.
    divergence : np.ndarray
        Divergence between the target and each, ``(n_runs,)``; infinite without common
        bins, NaN when it was not computed [nat].
    livetime : np.ndarray
        Their live times, shape ``(n_runs,)`` [s].
    scale : np.ndarray
        Rate of each over that of the target, by which its exposure is multiplied in
        the stack, shape ``(n_runs,)``.
    reason : np.ndarray
        What became of each: position in `REASONS`, shape ``(n_runs,)``.
    n_by_reason : np.ndarray
        Number of candidates of each reason, listed or not, ``(n_reasons,)``.
    widened : float
        Factor by which the mimic limits were widened to reach the hours; 1 for none.
    is_short : bool
        True when the runs taken have fewer hours than asked for.
    """

    obs_id: int
    obs_ids: np.ndarray
    divergence: np.ndarray
    livetime: np.ndarray
    scale: np.ndarray
    reason: np.ndarray
    n_by_reason: np.ndarray
    widened: float
    is_short: bool

    def __post_init__(self) -> None:
        for name in ("divergence", "livetime", "scale", "reason"):
            require_shape(name, getattr(self, name), self.obs_ids.shape)
        require_shape("n_by_reason", self.n_by_reason, (len(REASONS),))

    @property
    def is_taken(self) -> np.ndarray:
        """True for the runs to stack, shape ``(n_runs,)``."""
        is_taken: np.ndarray = self.reason == REASONS.index("taken")
        return is_taken

    @property
    def taken(self) -> np.ndarray:
        """Runs to stack, shape ``(n_taken,)``."""
        taken: np.ndarray = self.obs_ids[self.is_taken]
        return taken

    @property
    def scales(self) -> dict[int, float]:
        """Runs to stack, each with its rate over that of the target."""
        is_taken = self.is_taken
        numbers = self.obs_ids[is_taken].tolist(), self.scale[is_taken].tolist()
        return dict(zip(*numbers, strict=True))

    @property
    def hours(self) -> float:
        """Live time of the runs to stack [h]."""
        return float(self.livetime[self.is_taken].sum() / 3600.0)

    @property
    def largest_divergence(self) -> float:
        """Divergence of the run least alike that is taken; NaN when none is [nat]."""
        taken = self.divergence[self.is_taken]
        return float(taken.max()) if taken.size else float("nan")

    @property
    def counted(self) -> dict[str, int]:
        """Number of candidates of each reason that occurs."""
        numbers = zip(REASONS, self.n_by_reason.tolist(), strict=True)
        return {reason: number for reason, number in numbers if number}
