"""Join runs into groups, and add up their counts and exposure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise, product

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError, NoRunsError, SettingsError
from bkgpipe.stages.count.data import RunCounts, RunShape, RunTally
from bkgpipe.stages.stack.data import Group, Stack
from bkgpipe.stages.stack.sums import STACK_METHODS, RunningSum, circular_mean, mean

__all__ = ["find_group", "make_groups", "refusal", "require_angles", "stack_runs"]

# How the logarithm of the background rate depends on the pointing: above 1 TeV that of
# H.E.S.S. DL3 DR1 goes as exp(-4.26 cos zenith), and its shape differs between north
# and south by 5 to 9 %.
_ZENITH_LAW = 4.26
_AZIMUTH_LAW = 0.09


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pool:
    """Runs that are on their way to become a group."""

    cells: tuple[tuple[float, ...], ...]
    runs: tuple[RunShape, ...]

    @cached_property
    def livetime(self) -> float:
        return math.fsum(run.livetime for run in self.runs)

    @cached_property
    def n_events(self) -> int:
        return sum(run.n_events for run in self.runs)

    @cached_property
    def pointing(self) -> tuple[float, float]:
        weight = np.array([shape.livetime for shape in self.runs])
        runs = [shape.run for shape in self.runs]
        zenith = mean(_column(runs, "zenith"), weight)
        return zenith, circular_mean(_column(runs, "azimuth"), weight)

    def wealth(self, livetime: float, counts: int) -> float:
        """Live time or events, whichever is scarcer, over those asked for."""
        shares = [np.inf]
        if livetime > 0:
            shares.append(self.livetime / livetime)
        if counts > 0:
            shares.append(self.n_events / counts)
        return min(shares)

    def joined_by(self, other: _Pool) -> _Pool:
        return _Pool(cells=self.cells + other.cells, runs=self.runs + other.runs)


def refusal(run: RunShape | RunTally, *, min_kept_fraction: float) -> str:
    """Tell why a run cannot be stacked.

    Parameters
    ----------
    run : RunShape or RunTally
        The run.
    min_kept_fraction : float
        Least share of the field of view that the exclusion mask must keep.

    Returns
    -------
    str
        The reason; empty for a run that can be stacked.
    """
    kept = run.kept_fraction
    # a field without any event is a failed run, not a low rate
    problems = (
        (not run.livetime > 0, f"live time is {run.livetime:g} s"),
        (
            not kept >= min_kept_fraction,
            f"the mask keeps {kept:.3f} of the field, less than {min_kept_fraction:g}",
        ),
        (not run.has_exposure, "no exposure: no energy bin is safe as a whole"),
        (run.n_events == 0, "no events are kept"),
    )
    return next((reason for is_wrong, reason in problems if is_wrong), "")


def make_groups(
    shapes: Sequence[RunShape],
    *,
    zenith_edges: np.ndarray,
    azimuth_edges: np.ndarray,
    min_hours: float,
    min_counts: int,
) -> tuple[Group, ...]:
    """Join runs by cells of zenith angle and azimuth, and cells that are too poor.

    The poorest cell joins the one whose rate should be nearest to its own, until none
    is poor or one is left. Nearest is the least ``_ZENITH_LAW`` x difference of cosines
    of the mean zenith angles + ``_AZIMUTH_LAW`` x mean sine x (1 - cosine of the
    difference of the mean azimuths) / 2. Runs outside all cells,
    or of unknown pointing, are in no group.

    Parameters
    ----------
    shapes : sequence of RunShape
        The runs.
    zenith_edges : np.ndarray
        Edges of the cells in zenith angle, shape ``(n_zenith + 1,)`` [deg].
    azimuth_edges : np.ndarray
        Edges in azimuth, from anywhere over at most a full turn (as 90, 270, 450),
        shape ``(n_azimuth + 1,)`` [deg].
    min_hours : float
        A group with less live time is poor [h].
    min_counts : int
        A group with fewer events is poor.

    Returns
    -------
    tuple of Group
        Groups, numbered from 1 on by zenith angle, then azimuth, of their first cell.
    """
    cells = [
        (*zeniths, *azimuths)
        for zeniths, azimuths in product(
            pairwise(zenith_edges.tolist()), pairwise(azimuth_edges.tolist())
        )
    ]
    runs = [shape.run for shape in shapes]
    zenith, azimuth = _column(runs, "zenith"), _column(runs, "azimuth")
    pools = []
    for cell in cells:
        indices = np.flatnonzero(_is_inside(cell, zenith, azimuth))
        if indices.size:
            pools.append(
                _Pool(cells=(cell,), runs=tuple(shapes[int(i)] for i in indices))
            )
    pools = _merged(pools, livetime=min_hours * 3600.0, counts=min_counts)
    pools.sort(key=lambda pool: (pool.cells[0][0], pool.cells[0][2]))
    return tuple(_group(i, pool) for i, pool in enumerate(pools, start=1))


def find_group(run: Run, groups: Sequence[Group]) -> Group:
    """Return the group whose model is for a run.

    Parameters
    ----------
    run : Run
        Any run, in the group or not.
    groups : sequence of Group
        All groups.

    Returns
    -------
    Group
        The one with the run's cell; for a run outside all cells the one whose mean
        pointing is nearest on the sky of the observatory.

    Raises
    ------
    InputError
        If the zenith angle or azimuth of the run is unknown.
    NoRunsError
        If there are no groups.
    """
    if not groups:
        raise NoRunsError(
            what="there are no groups to choose a model from",
            where=f"run {run.obs_id}",
            fix="Widen zenith_edges and azimuth_edges in [stack], or select more runs",
        )
    require_angles(run)
    here = run.zenith, run.azimuth
    for group in groups:
        if any(_is_inside(cell, *here) for cell in group.cells):
            return group
    return min(groups, key=lambda group: _distance(here, (group.zenith, group.azimuth)))


def require_angles(run: Run) -> None:
    """Refuse a run that cannot be put into a group.

    Parameters
    ----------
    run : Run
        The run.

    Raises
    ------
    InputError
        If its zenith angle or azimuth is unknown.
    """
    if not np.isfinite([run.zenith, run.azimuth]).all():
        raise InputError(
            what=f"zenith is {run.zenith} deg and azimuth is {run.azimuth} deg",
            where=f"run {run.obs_id}",
            fix="Give ZEN_PNT (or ALT_PNT) and AZ_PNT in the observation table",
        )


def stack_runs(
    runs: Iterable[RunCounts], *, stack_id: int, method: str = "sum"
) -> Stack:
    """Add up counts and exposure, and average the conditions by exposure.

    Parameters
    ----------
    runs : iterable of RunCounts
        Runs with the same bins, read one by one; their order does not matter.
    stack_id : int
        Number of the stack.
    method : str
        ``sum`` adds live time x kept solid angle. ``michi`` adds the live time of the
        runs for which an energy bin is safe, and multiplies by the whole solid angle
        of each bin, whatever the masks take, as gammapy did in 2015.

    Returns
    -------
    Stack
        The sum.

    Raises
    ------
    SettingsError
        If the method is unknown.
    NoRunsError
        If there are no runs.
    BinningMismatchError
        If the bins of two runs differ.
    """
    if method not in STACK_METHODS:
        raise SettingsError(
            what=f"cannot stack with method {method!r}",
            where="section [stack]",
            fix=f"Choose one of {', '.join(STACK_METHODS)}",
        )
    stream = iter(runs)
    first = next(stream, None)
    if first is None:
        raise NoRunsError(
            what="there are no runs to add up",
            where=f"stack {stack_id}",
            fix="Loosen the cuts in [select] or min_kept_fraction in [mask]",
        )
    total = RunningSum(first.binning, STACK_METHODS[method])
    for run in chain([first], stream):
        total.add(run)
    return total.to_stack(stack_id)


def _merged(pools: Sequence[_Pool], *, livetime: float, counts: int) -> list[_Pool]:
    left = list(pools)
    while len(left) > 1:
        poorest = min(left, key=lambda pool: pool.wealth(livetime, counts))
        if poorest.wealth(livetime, counts) >= 1:
            break
        left.remove(poorest)
        distances = [_distance(pool.pointing, poorest.pointing) for pool in left]
        nearest = int(np.argmin(distances))
        left[nearest] = left[nearest].joined_by(poorest)
    return left


def _group(group_id: int, pool: _Pool) -> Group:
    zenith, azimuth = pool.pointing
    return Group(
        group_id=group_id,
        obs_ids=np.sort([run.obs_id for run in pool.runs]),
        cells=np.array(pool.cells, dtype=np.float64),
        zenith=zenith,
        azimuth=azimuth,
        livetime=pool.livetime,
        n_events=pool.n_events,
        merged=tuple(
            f"zenith {cell[0]:g}-{cell[1]:g} azimuth {cell[2]:g}-{cell[3]:g}"
            for cell in pool.cells[1:]
        ),
    )


def _is_inside(
    cell: Sequence[float] | np.ndarray,
    zenith: np.ndarray | float,
    azimuth: np.ndarray | float,
) -> np.ndarray:
    # twice, since a tiny negative angle becomes 360 at first
    turned = np.mod(np.mod(np.subtract(azimuth, cell[2]), 360.0), 360.0)
    is_high = np.greater_equal(zenith, cell[0]) & np.less(zenith, cell[1])
    inside: np.ndarray = is_high & (turned < cell[3] - cell[2])
    return inside


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return how much the logarithm of the rate may differ between two pointings."""
    zenith, azimuth = np.radians([one, other]).T
    by_zenith = _ZENITH_LAW * abs(np.cos(zenith[0]) - np.cos(zenith[1]))
    opposite = (1 - np.cos(azimuth[0] - azimuth[1])) / 2
    return float(by_zenith + _AZIMUTH_LAW * opposite * np.sin(zenith).mean())


def _column(runs: Sequence[Run], name: str) -> np.ndarray:
    return np.array([getattr(run, name) for run in runs], dtype=np.float64)
