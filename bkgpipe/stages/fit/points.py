"""Points that a regression is fitted to: runs, or runs of like conditions joined.

The logarithm of the mean is linear in the design, so the design of a point is a mean
of those of its runs, and what that leaves out grows with their spread. So points are
made as tight as their number allows.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.errors import NoRunsError
from bkgpipe.stages.count.data import RunCounts, in_safe_bins
from bkgpipe.stages.fit.data import FitPoints, RunConditions, RunHead
from bkgpipe.stages.fit.design import choose_terms, find_scales
from bkgpipe.stages.fit.terms import (
    CONDITION_NAMES,
    TERMS,
    condition_table,
    make_conditions,
    sky_directions,
)

__all__ = ["find_points", "join_runs", "make_head"]

# What rates follow most, and what decides which energies have exposure
_ALWAYS = {"zenith", "safe_energy"}
# How much the spread of a standardised condition matters beside that of the others,
# and of the direction of the zenith as a vector of length one; found on simulated runs
_ZENITH_WEIGHT = 3.0
_DIRECTION_WEIGHT = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cell:
    """Runs that are one point, unless they are split along a feature."""

    runs: np.ndarray
    feature: int
    spread: float

    def __lt__(self, other: _Cell) -> bool:
        """Put the widest first, and of equals the one with the earliest run."""
        mine, others = self.spread, other.spread
        return (-mine, int(self.runs[0])) < (-others, int(other.runs[0]))

    def halves(self, features: np.ndarray) -> Iterator[np.ndarray]:
        """Split at the median; runs of equal values part in their order."""
        order = np.argsort(features[self.runs, self.feature], kind="stable")
        middle = self.runs.size // 2
        yield np.sort(self.runs[order[:middle]])
        yield np.sort(self.runs[order[middle:]])


def make_head(run: RunCounts, *, fov_alignment: str) -> RunHead:
    """Collect what points are chosen by; the cubes of the run are not looked at.

    Parameters
    ----------
    run : RunCounts
        The run.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.

    Returns
    -------
    RunHead
        Its conditions and size.
    """
    return RunHead(
        obs_id=run.obs_id,
        conditions=make_conditions(run, fov_alignment=fov_alignment),
        n_events=int(run.safe_counts_2d.sum()),
    )


def find_points(
    heads: Sequence[RunHead], terms: tuple[str, ...], *, max_points: int
) -> np.ndarray:
    """Sort runs into points of like conditions.

    All runs start in one point. The point whose events spread most in any one condition
    is split at the median of that condition, again and again. Looked at are the
    conditions that the terms need, zenith and the safe energy in any case, since the
    design of a point is one for all energies, and the direction of the zenith.

    Parameters
    ----------
    heads : sequence of RunHead
        The runs; their order does not matter, ties go by ``obs_id``.
    terms : tuple of str
        Terms of the regression.
    max_points : int
        Up to that many runs, each is a point of its own; above, that many points.

    Returns
    -------
    np.ndarray
        Number of the point of each run, shape ``(n_runs,)``.

    References
    ----------
    Bentley 1975, Communications of the ACM 18, 509; Heckbert 1982, Computer Graphics
    16, 297.
    """
    if len(heads) <= max_points:
        return np.arange(len(heads))
    order = np.argsort([head.obs_id for head in heads])
    ordered = [heads[index] for index in order]
    features = _features(ordered, terms)
    # An event more keeps runs without any from being alike
    weight = np.array([head.n_events + 1.0 for head in ordered])
    cells = [_cell(np.arange(len(heads)), features, weight)]
    while len(cells) < max_points:
        for half in heapq.heappop(cells).halves(features):
            heapq.heappush(cells, _cell(half, features, weight))
    point = np.empty(len(heads), dtype=np.int64)
    for number, cell in enumerate(sorted(cells, key=lambda one: int(one.runs[0]))):
        point[order[cell.runs]] = number
    return point


def join_runs(
    runs: Iterable[RunCounts], point: np.ndarray, *, fov_alignment: str
) -> FitPoints:
    """Add up the runs of each point; no more than one run is held at a time.

    Parameters
    ----------
    runs : iterable of RunCounts
        Runs of one binning, gone through once.
    point : np.ndarray
        Number of the point of each run, shape ``(n_runs,)``.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``, that of the counts.

    Returns
    -------
    FitPoints
        Sums of counts and exposure, and the conditions of all runs.

    Raises
    ------
    NoRunsError
        If there are no runs.
    BinningMismatchError
        If the runs are counted on different axes.
    """
    if not len(point):
        raise NoRunsError(
            what="there are no runs to fit",
            where="regression",
            fix="Select more runs",
        )
    pairs = zip(runs, point, strict=True)
    first, number = next(pairs)
    sums = _Sums(first.binning, n_points=int(point.max()) + 1)
    sums.add(first, number, make_conditions(first, fov_alignment=fov_alignment))
    for run, number in pairs:
        sums.add(run, number, make_conditions(run, fov_alignment=fov_alignment))
    return sums.points(point)


class _Sums:
    """What grows as runs are added."""

    def __init__(self, binning: Binning, *, n_points: int) -> None:
        self.binning = binning
        self.counts = np.zeros((n_points, *binning.shape_3d))
        self.exposure = np.zeros((n_points, *binning.shape_3d))
        self.conditions: list[RunConditions] = []
        self.livetime: list[float] = []
        self.pointings: list[tuple[float, float]] = []
        self.safe_counts_of: list[np.ndarray] = []
        self.safe_exposure_of: list[np.ndarray] = []

    def add(self, run: RunCounts, point: int, conditions: RunConditions) -> None:
        self.binning.require_same(run.binning, where=f"run {run.obs_id}")
        # a bin without exposure may hold an event at its rim
        counts = np.where(run.exposure_3d > 0, run.counts_3d, 0)
        self.counts[point] += counts
        self.exposure[point] += run.exposure_3d
        self.conditions.append(conditions)
        self.livetime.append(run.livetime)
        self.pointings.append((run.run.ra, run.run.dec))
        self.safe_counts_of.append(in_safe_bins(counts.sum(axis=(1, 2)), run.is_safe))
        self.safe_exposure_of.append(run.safe_exposure_3d.sum(axis=(1, 2)))

    def points(self, point: np.ndarray) -> FitPoints:
        pointing = np.array(self.pointings)
        return FitPoints(
            binning=self.binning,
            counts=self.counts,
            exposure=self.exposure,
            conditions=tuple(self.conditions),
            point=point,
            share=self._shares(point),
            livetime=np.array(self.livetime),
            pointing=pointing if np.isfinite(pointing).all() else np.zeros((0, 2)),
        )

    def _shares(self, point: np.ndarray) -> np.ndarray:
        """Weigh runs half by exposure, half by events, at safe energies.

        The logarithm of a mean of exponentials is the integral, from 0 to 1, of the
        mean of the exponents weighted by exposure x exp(t x exponent): the trapezoidal
        rule for it leaves no error of second order in their spread.
        """
        exposure = np.array(self.safe_exposure_of)
        counts = np.array(self.safe_counts_of, dtype=np.float64)
        total = exposure.sum(axis=0)
        rate = np.zeros(total.size)
        np.divide(counts.sum(axis=0), total, out=rate, where=total > 0)
        by_exposure = _share(exposure @ rate, point)
        by_events = _share(counts.sum(axis=1), point)
        shares: np.ndarray = (by_exposure + by_events) / 2
        return shares


def _features(heads: Sequence[RunHead], terms: tuple[str, ...]) -> np.ndarray:
    conditions = [head.conditions for head in heads]
    scales = find_scales(conditions)
    table = (condition_table(conditions) - scales.mean) / scales.scale
    table[:, CONDITION_NAMES.index("zenith")] *= _ZENITH_WEIGHT
    kept, _ = choose_terms(terms, scales)
    needs = {need for name in kept for need in TERMS[name].needs} | _ALWAYS
    columns = [number for number, name in enumerate(CONDITION_NAMES) if name in needs]
    direction = _DIRECTION_WEIGHT * sky_directions(conditions)
    # Missing in one run makes a condition missing in all, and drops its term
    features: np.ndarray = np.nan_to_num(np.hstack([table[:, columns], direction]))
    return features


def _cell(runs: np.ndarray, features: np.ndarray, weight: np.ndarray) -> _Cell:
    values, weight = features[runs], weight[runs]
    mean = weight @ values / weight.sum()
    spreads = weight @ (values - mean) ** 2
    feature = int(np.argmax(spreads))
    # Never split a single run, even where all others are alike
    spread = float(spreads[feature]) if runs.size > 1 else -1.0
    return _Cell(runs=runs, feature=feature, spread=spread)


def _share(weight: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Scale weights to sum to one in each point; where all are zero, share alike."""
    total = np.bincount(point, weight)
    weight = np.where(total[point] > 0, weight, 1.0)
    share: np.ndarray = weight / np.bincount(point, weight)[point]
    return share
