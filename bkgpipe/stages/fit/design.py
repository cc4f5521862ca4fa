"""From the conditions of runs to the columns of the regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import csr_array

from bkgpipe.stages.fit.data import Excursion, FitPoints, RegressionFit, RunConditions
from bkgpipe.stages.fit.scales import (
    CONSTANT,
    ConditionScales,
    find_scales,
    known_conditions,
    scales_of,
)
from bkgpipe.stages.fit.terms import (
    CONDITION_NAMES,
    TERMS,
    WRITTEN_NAMES,
    TermInputs,
    condition_table,
    sky_directions,
)
from bkgpipe.stages.fit.threshold import threshold_design

__all__ = [
    "ConditionScales",
    "choose_terms",
    "design_columns",
    "find_excursions",
    "find_scales",
    "fit_design",
    "join_design",
    "join_thresholds",
    "scales_of",
    "threshold_columns",
]

_RANGE_TOLERANCE = 1e-9
_BLOCK = 4096  # runs; bounds the memory that their designs take


def choose_terms(
    terms: tuple[str, ...], scales: ConditionScales
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop the terms whose condition is missing or does not vary.

    Parameters
    ----------
    terms : tuple of str
        Names of `TERMS`.
    scales : ConditionScales
        Spread of the conditions.

    Returns
    -------
    kept : tuple of str
        Terms to fit.
    dropped : tuple of str
        The others, each as ``name: reason``.
    """
    reasons = {name: _reason(name, scales) for name in terms}
    kept = tuple(name for name in terms if not reasons[name])
    dropped = tuple(f"{name}: {reasons[name]}" for name in terms if reasons[name])
    return kept, dropped


def design_columns(
    conditions: Sequence[RunConditions],
    terms: tuple[str, ...],
    scales: ConditionScales,
    *,
    n_radial: int,
    shift: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Build the design of runs: the radial splines, then the columns of each term.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of each run; beyond the reach of the fit its end stands for them, and
        the mean for those that are missing.
    terms : tuple of str
        Terms to include.
    scales : ConditionScales
        Scales of the fit.
    n_radial : int
        Number of splines in offset squared.
    shift : np.ndarray or float
        What to add to what stands for the conditions, ``(n_conditions,)``.

    Returns
    -------
    design : np.ndarray
        Weights of the functions of the field, ``(n_runs, n_columns, n_radial + 4)``.
    columns : tuple of str
        Term that each column belongs to, ``radial`` for the first ones.
    """
    inputs = _term_inputs(conditions, scales, n_radial=n_radial, shift=shift)
    radial = np.eye(n_radial, n_radial + 4)
    parts = [np.broadcast_to(radial, (len(conditions), *radial.shape))]
    columns = ["radial"] * n_radial
    for name in terms:
        part = TERMS[name].columns(inputs)
        parts.append(part)
        columns += [name] * part.shape[1]
    return np.concatenate(parts, axis=1), tuple(columns)


def fit_design(
    fit: RegressionFit, conditions: RunConditions, *, shift: np.ndarray | float = 0.0
) -> np.ndarray:
    """Return the design of one run in a fit.

    Parameters
    ----------
    fit : RegressionFit
        The fit.
    conditions : RunConditions
        Conditions of the run, which need not be one of those fitted.
    shift : np.ndarray or float
        What to add to what stands for them, shape ``(n_conditions,)``.

    Returns
    -------
    np.ndarray
        Weights of the functions of the field, shape ``(n_columns, n_radial + 4)``.
    """
    n_radial = fit.offset_knots.size - 4
    design, _ = design_columns(
        [conditions], fit.terms, scales_of(fit), n_radial=n_radial, shift=shift
    )
    only: np.ndarray = design[0]
    return only


def join_design(
    points: FitPoints,
    terms: tuple[str, ...],
    scales: ConditionScales,
    *,
    n_radial: int,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Build the design of points: the weighted mean of those of their runs.

    Parameters
    ----------
    points : FitPoints
        Points, and the conditions of their runs.
    terms : tuple of str
        Terms to include.
    scales : ConditionScales
        Scales of the fit.
    n_radial : int
        Number of splines in offset squared.

    Returns
    -------
    design : np.ndarray
        As of `design_columns`, shape ``(n_points, n_columns, n_radial + 4)``.
    columns : tuple of str
        As of `design_columns`.
    """
    _, columns = design_columns(points.conditions[:1], terms, scales, n_radial=n_radial)

    def make(conditions: Sequence[RunConditions]) -> np.ndarray:
        return design_columns(conditions, terms, scales, n_radial=n_radial)[0]

    return _join(points, make), columns


def threshold_columns(
    conditions: Sequence[RunConditions],
    scales: ConditionScales,
    *,
    offset_knots: np.ndarray,
    shift: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Build what the threshold splines of runs are multiplied by.

    Parameters
    ----------
    conditions : sequence of RunConditions
        Conditions of each run, as of `design_columns`.
    scales : ConditionScales
        Scales of the fit.
    offset_knots : np.ndarray
        Knots in offset squared [deg2].
    shift : np.ndarray or float
        As of `design_columns`.

    Returns
    -------
    np.ndarray
        As of `threshold_design`.
    """
    n_radial = offset_knots.size - 4
    inputs = _term_inputs(conditions, scales, n_radial=n_radial, shift=shift)
    return threshold_design(inputs, offset_knots)


def join_thresholds(
    points: FitPoints, scales: ConditionScales, *, offset_knots: np.ndarray
) -> np.ndarray:
    """Build the same for points: the weighted mean of those of their runs.

    Parameters
    ----------
    points : FitPoints
        Points, and the conditions of their runs.
    scales : ConditionScales
        Scales of the fit.
    offset_knots : np.ndarray
        Knots in offset squared [deg2].

    Returns
    -------
    np.ndarray
        Shape ``(n_points, n_parts, n_radial + 4)``.
    """

    def make(conditions: Sequence[RunConditions]) -> np.ndarray:
        return threshold_columns(conditions, scales, offset_knots=offset_knots)

    return _join(points, make)


def find_excursions(
    conditions: RunConditions, terms: tuple[str, ...], scales: ConditionScales
) -> tuple[Excursion, ...]:
    """Find the conditions that the terms use and that are missing or beyond the fit's.

    Parameters
    ----------
    conditions : RunConditions
        Conditions of one run.
    terms : tuple of str
        Terms of the fit.
    scales : ConditionScales
        Scales of the fit.

    Returns
    -------
    tuple of Excursion
        Those with which a prediction extrapolates.
    """
    used = {need for name in terms for need in TERMS[name].needs}
    table = condition_table([conditions])[0]
    found = []
    for number, name in enumerate(CONDITION_NAMES):
        low, high = scales.low[number], scales.high[number]
        slack = _RANGE_TOLERANCE * scales.scale[number]
        if name in used and not low - slack <= table[number] <= high + slack:
            found.append(
                Excursion(
                    name=WRITTEN_NAMES.get(name, name),
                    value=float(table[number]),
                    low=float(low),
                    high=float(high),
                )
            )
    return tuple(found)


def _join(
    points: FitPoints, make: Callable[[Sequence[RunConditions]], np.ndarray]
) -> np.ndarray:
    """Average what is made for the runs of each point, some runs at a time."""
    joined, shape = None, ()
    for start in range(0, points.n_runs, _BLOCK):
        runs = slice(start, start + _BLOCK)
        part = make(points.conditions[runs])
        index = (points.point[runs], np.arange(len(part)))
        shares = csr_array(
            (points.share[runs], index), shape=(points.n_points, len(part))
        )
        found = shares @ part.reshape(len(part), -1)
        joined, shape = (found if joined is None else joined + found), part.shape[1:]
    design: np.ndarray = np.asarray(joined).reshape(-1, *shape)
    return design


def _reason(name: str, scales: ConditionScales) -> str:
    for need in TERMS[name].needs:
        index = CONDITION_NAMES.index(need)
        if not np.isfinite(scales.mean[index]):
            return f"{need} is missing in at least one run"
        if scales.high[index] - scales.low[index] < CONSTANT:
            return f"{need} is the same in all runs"
    if name == "epoch" and not scales.epoch_edges.size:
        return "all runs are of one epoch"
    return ""


def _term_inputs(
    conditions: Sequence[RunConditions],
    scales: ConditionScales,
    *,
    n_radial: int,
    shift: np.ndarray | float = 0.0,
) -> TermInputs:
    table = known_conditions(conditions, scales)
    table = np.where(np.isfinite(table), table, scales.mean)
    clipped = np.clip(table, scales.low - scales.reach, scales.high + scales.reach)
    clipped += shift
    cos_zenith = clipped[:, 0]
    time = np.array([one.time for one in conditions])
    return TermInputs(
        conditions=(clipped - scales.mean) / scales.scale,
        upward=sky_directions(conditions),
        tan_zenith=np.sqrt(np.maximum(0, 1 - cos_zenith**2)) / cos_zenith,
        epoch=np.searchsorted(scales.epoch_edges, time),
        n_epochs=scales.epoch_edges.size + 1,
        n_radial=n_radial,
    )
