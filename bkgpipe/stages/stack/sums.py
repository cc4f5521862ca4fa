"""Add up the counts and exposure of runs one by one, and average their conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.geometry.sampling import field_solid_angles
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.stack.data import Conditions, Stack
from bkgpipe.stages.stack.uncertainty import run_scatter

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
    safe_time: np.ndarray
    angle: np.ndarray


class _Sums:
    """Counts and exposure of both projections."""

    def __init__(self, binning: Binning) -> None:
        self.counts_3d = np.zeros(binning.shape_3d, dtype=np.int64)
        self.counts_2d = np.zeros(binning.shape_2d, dtype=np.int64)
        self.exposure_3d = np.zeros(binning.shape_3d)
        self.exposure_2d = np.zeros(binning.shape_2d)

    def add(
        self,
        counts: tuple[np.ndarray, np.ndarray],
        time: np.ndarray,
        angles: tuple[np.ndarray, np.ndarray],
    ) -> None:
        # integers: their sum is exact in any order
        self.counts_3d += counts[0].astype(np.int64)
        self.counts_2d += counts[1].astype(np.int64)
        self.exposure_3d += np.multiply.outer(time, angles[0])
        self.exposure_2d += np.multiply.outer(time, angles[1])

    def where(self, is_taken: np.ndarray, other: _Sums) -> dict[str, np.ndarray]:
        """Take some energies of this sum, and the rest of another."""
        taken = {}
        for name, mine in vars(self).items():
            shape = (-1, *[1] * (mine.ndim - 1))
            taken[name] = np.where(is_taken.reshape(shape), mine, vars(other)[name])
        return taken


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
        self.safe = _Sums(binning)
        self.all = _Sums(binning)
        self.members: list[_Member] = []

    def add(self, run: RunCounts) -> None:
        """Add a run, in safe energy bins and in all.

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
        angles = self.angles(run)
        safe_time = run.livetime * run.is_safe
        self.safe.add((run.safe_counts_3d, run.safe_counts_2d), safe_time, angles)
        time = np.full(safe_time.shape, run.livetime)
        self.all.add((run.counts_3d, run.counts_2d), time, angles)
        member = _Member(
            obs_id=run.obs_id,
            ontime=run.ontime,
            livetime=run.livetime,
            n_events=int(run.safe_counts_2d.sum()),
            exposure=float(safe_time.sum() * angles[1].sum()),
            pointing=tuple(getattr(run.run, name) for name in _AVERAGED),
            safe_time=safe_time,
            # not a view, which would keep those of all runs
            angle=np.array(angles[1]),
        )
        self.members.append(member)

    def to_stack(self, stack_id: int) -> Stack:
        """Make the stack of all runs that were added.

        At an energy that is safe for some of them it is of these alone: the others may
        have lost events there. At energies below it is of all.

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
            **self.safe.where(np.any(self.safe.exposure_2d > 0, axis=1), self.all),
            ontime=math.fsum(each.ontime for each in self.members),
            livetime=math.fsum(livetime),
            conditions=_mean_conditions(
                dict(zip(_AVERAGED, pointings.T, strict=True)), weight
            ),
            systematic=self._scatter(),
        )

    def _scatter(self) -> float:
        """Compare each run with the rate of all, in offset, where runs take less."""
        counts, exposure = self.safe.counts_2d, self.safe.exposure_2d
        rate = np.divide(
            counts, exposure, out=np.zeros(counts.shape), where=exposure > 0
        )
        observed = np.array([each.n_events for each in self.members])
        expected = np.array(
            [each.safe_time @ rate @ each.angle for each in self.members]
        )
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

    Examples
    --------
    >>> mean(np.array([20.0, 30.0, np.nan]), np.array([1.0, 3.0, 5.0]))
    27.5
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

    Examples
    --------
    >>> round(circular_mean(np.array([350.0, 30.0]), np.array([1.0, 1.0])), 6)
    10.0
    """
    x = mean(np.cos(np.radians(angle)), weight)
    y = mean(np.sin(np.radians(angle)), weight)
    return float(np.degrees(np.arctan2(y, x)) % 360.0)
