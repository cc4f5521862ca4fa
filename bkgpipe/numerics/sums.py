"""Add up the counts and exposure of runs one by one, and average their conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bkgpipe.datamodel import Binning, Conditions, RunCounts, Stack
from bkgpipe.numerics.sampling import field_solid_angles
from bkgpipe.numerics.uncertainty import run_scatter

__all__ = ["STACK_METHODS", "RunningSum", "circular_mean", "mean"]

_AVERAGED = ("zenith", "azimuth", "deadc", "muon_efficiency")


def _kept_angles(run: RunCounts) -> tuple[np.ndarray, np.ndarray]:
    return run.solid_angle_3d, run.solid_angle_2d


def _whole_angles(run: RunCounts) -> tuple[np.ndarray, np.ndarray]:
    return field_solid_angles(run.binning)


Angles = Callable[[RunCounts], tuple[np.ndarray, np.ndarray]]

STACK_METHODS: MappingProxyType[str, Angles] = MappingProxyType(
    {"sum": _kept_angles, "michi": _whole_angles}
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Member:
    """What is kept of a run that was added: of 10^5 of them 0.1 GB."""

    obs_id: int
    ontime: float
    livetime: float
    n_events: int
    exposure: float
    pointing: tuple[float, ...]
    time: np.ndarray
    angle: np.ndarray


class RunningSum:
    """Sum of runs, of which one at a time is in memory.

    Parameters
    ----------
    binning : Binning
        Bins of all runs.
    angles : callable
        One of `STACK_METHODS`.
    """

    def __init__(self, binning: Binning, angles: Angles) -> None:
        self.binning = binning
        self.angles = angles
        self.counts_3d = np.zeros(binning.shape_3d, dtype=np.int64)
        self.counts_2d = np.zeros(binning.shape_2d, dtype=np.int64)
        self.exposure_3d = np.zeros(binning.shape_3d)
        self.exposure_2d = np.zeros(binning.shape_2d)
        self.members: list[_Member] = []

    def add(self, run: RunCounts) -> None:
        """Add what a run has in safe energy bins.

        Parameters
        ----------
        run : RunCounts
            The run.

        Raises
        ------
        BinningMismatchError
            If it has other bins.
        """
        self.binning.require_same(run.binning, where=f"run {run.obs_id}")
        # integers: their sum is exact in any order
        self.counts_3d += run.safe_counts_3d.astype(np.int64)
        self.counts_2d += run.safe_counts_2d.astype(np.int64)
        time = run.livetime * run.is_safe
        angle_3d, angle_2d = self.angles(run)
        exposure_2d = np.multiply.outer(time, angle_2d)
        self.exposure_3d += np.multiply.outer(time, angle_3d)
        self.exposure_2d += exposure_2d
        member = _Member(
            obs_id=run.obs_id,
            ontime=run.ontime,
            livetime=run.livetime,
            n_events=int(run.safe_counts_2d.sum()),
            exposure=float(exposure_2d.sum()),
            pointing=tuple(getattr(run.run, name) for name in _AVERAGED),
            time=time,
            angle=np.array(angle_2d),  # not a view, which would keep those of all runs
        )
        self.members.append(member)

    def to_stack(self, stack_id: int) -> Stack:
        """Make the stack of all runs that were added.

        Parameters
        ----------
        stack_id : int
            Number of the stack.

        Returns
        -------
        Stack
            The sum.
        """
        exposure = np.array([each.exposure for each in self.members])
        livetime = np.array([each.livetime for each in self.members])
        weight = exposure if exposure.any() else livetime
        pointings = np.array([each.pointing for each in self.members])
        return Stack(
            stack_id=stack_id,
            binning=self.binning,
            obs_ids=np.sort([each.obs_id for each in self.members]),
            counts_3d=self.counts_3d,
            exposure_3d=self.exposure_3d,
            counts_2d=self.counts_2d,
            exposure_2d=self.exposure_2d,
            ontime=math.fsum(each.ontime for each in self.members),
            livetime=math.fsum(livetime),
            conditions=_mean_conditions(
                dict(zip(_AVERAGED, pointings.T, strict=True)), weight
            ),
            systematic=self._scatter(),
        )

    def _scatter(self) -> float:
        """Compare each run with the rate of all, in offset, where runs take less."""
        counts, exposure = self.counts_2d, self.exposure_2d
        rate = np.divide(
            counts, exposure, out=np.zeros(counts.shape), where=exposure > 0
        )
        observed = np.array([each.n_events for each in self.members])
        expected = np.array([each.time @ rate @ each.angle for each in self.members])
        return run_scatter(observed, expected)


def _mean_conditions(values: dict[str, np.ndarray], weight: np.ndarray) -> Conditions:
    zenith = values["zenith"]
    return Conditions(
        zenith=mean(zenith, weight),
        azimuth=circular_mean(values["azimuth"], weight),
        cos_zenith=mean(np.cos(np.radians(zenith)), weight),
        deadc=mean(values["deadc"], weight),
        muon_efficiency=mean(values["muon_efficiency"], weight),
    )


def mean(values: np.ndarray, weight: np.ndarray) -> float:
    """Average the known values.

    Parameters
    ----------
    values, weight : np.ndarray
        Values and weights, shape ``(n,)``; without any weight all count alike.

    Returns
    -------
    float
        Mean; NaN when no value is known.
    """
    is_known = np.isfinite(values)
    if not is_known.any():
        return float("nan")
    known_weight = weight[is_known] if weight[is_known].any() else None
    return float(np.average(values[is_known], weights=known_weight))


def circular_mean(angle: np.ndarray, weight: np.ndarray) -> float:
    """Average the known angles on the circle.

    Parameters
    ----------
    angle, weight : np.ndarray
        Angles [deg] and weights, shape ``(n,)``.

    Returns
    -------
    float
        Mean from 0 to 360; NaN when no angle is known [deg].
    """
    x = mean(np.cos(np.radians(angle)), weight)
    y = mean(np.sin(np.radians(angle)), weight)
    return float(np.degrees(np.arctan2(y, x)) % 360.0)
