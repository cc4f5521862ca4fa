"""Runs that may be taken for a target run, and those in order of likeness to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.checks import require_shape

__all__ = ["REASONS", "Candidates", "Ranking"]

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
class Candidates:
    """All runs that may be taken, with what rankings compare of them.

    Attributes
    ----------
    obs_ids : np.ndarray
        The runs, shape ``(n_runs,)``.
    counts_2d, exposure_2d : np.ndarray
        Counts and exposure in the joined bins, zero where a run does not see all of
        one, shape ``(n_runs, n_energy, n_offset)`` [1, s sr].
    livetime : np.ndarray
        Live time, shape ``(n_runs,)`` [s].
    kept_fraction : np.ndarray
        Share of the solid angle that the mask keeps, shape ``(n_runs,)``.
    lowest_energy : np.ndarray
        Energy from which on each is safe, shape ``(n_runs,)`` [TeV].
    counts_outer, counts_low, counts_rim : np.ndarray
        Control events, shape ``(n_runs,)``.
    exposure_outer, exposure_low, exposure_rim : np.ndarray
        Their exposure, shape ``(n_runs,)`` [s sr].
    is_unfit : np.ndarray
        True for those that may not be stacked, shape ``(n_runs,)``.
    """

    obs_ids: np.ndarray
    counts_2d: np.ndarray
    exposure_2d: np.ndarray
    livetime: np.ndarray
    kept_fraction: np.ndarray
    lowest_energy: np.ndarray
    counts_outer: np.ndarray
    exposure_outer: np.ndarray
    counts_low: np.ndarray
    exposure_low: np.ndarray
    counts_rim: np.ndarray
    exposure_rim: np.ndarray
    is_unfit: np.ndarray

    def __post_init__(self) -> None:
        require_shape("exposure_2d", self.exposure_2d, self.counts_2d.shape)
        for name in ("livetime", "kept_fraction", "lowest_energy", "is_unfit"):
            require_shape(name, getattr(self, name), self.obs_ids.shape)

    @property
    def unfit(self) -> set[int]:
        """Those that may not be stacked."""
        return set(self.obs_ids[self.is_unfit].tolist())


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
