"""Fit the background of many runs at once, as a function of their conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bkgpipe.datamodel.regression import FitPoints, RegressionFit
from bkgpipe.errors import SettingsError
from bkgpipe.numerics.array_fit import ArrayFit, CountsArrays, fit_arrays
from bkgpipe.numerics.covariance import estimate_covariance
from bkgpipe.numerics.design import (
    ConditionScales,
    choose_terms,
    find_scales,
    join_design,
)
from bkgpipe.numerics.field import mean_functions
from bkgpipe.numerics.reference import (
    Reference,
    fit_reference,
    log_centers,
    log_reference,
)
from bkgpipe.numerics.scatter import count_run_terms, norm_scatter
from bkgpipe.numerics.splines import difference_penalty, spline_basis, spline_knots
from bkgpipe.numerics.terms import CONDITION_NAMES, DEFAULT_TERMS, TERMS

__all__ = ["fit_regression"]

_JITTER = 1e-6  # keeps the normal matrix regular where there are no data


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plan:
    """What is decided before the first Newton step."""

    terms: tuple[str, ...]
    dropped: tuple[str, ...]
    columns: tuple[str, ...]
    scales: ConditionScales
    reference: Reference
    energy_knots: np.ndarray
    offset_knots: np.ndarray
    design: np.ndarray


def fit_regression(
    points: FitPoints,
    *,
    fov_alignment: str,
    terms: tuple[str, ...] = DEFAULT_TERMS,
    energy_splines: int = 5,
    offset_splines: int = 6,
    penalty: float = 1.0,
    term_penalty: float = 100.0,
    ridge: float = 10.0,
) -> RegressionFit:
    """Fit log counts by splines in energy and offset squared, and condition terms.

    Parameters
    ----------
    points : FitPoints
        Runs, or points in which runs are joined.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``, that of the counts.
    terms : tuple of str
        Condition terms, names of `TERMS`.
    energy_splines : int
        Splines per decade of energy.
    offset_splines : int
        Splines in offset squared.
    penalty : float
        Strength of the second differences of the spline part.
    term_penalty : float
        Strength of the first differences in energy of the condition terms.
    ridge : float
        Strength of the squares of the condition terms.

    Returns
    -------
    RegressionFit
        Coefficients, covariance and all that a prediction needs. The scatter is NaN
        where runs are joined: it is that of single runs.

    Raises
    ------
    SettingsError
        If a term is unknown, or a strength negative.
    NoEventsError
        If the runs have no event where they have exposure.

    References
    ----------
    Eilers & Marx 1996, Statistical Science 11, 89; Currie, Durban & Eilers 2006,
    Journal of the Royal Statistical Society B 68, 259.
    """
    strengths = (penalty, term_penalty, ridge)
    _check(terms, strengths)
    plan = _make_plan(points, terms, n_splines=(energy_splines, offset_splines))
    return RegressionFit(
        fov_alignment=fov_alignment,
        **_plan_fields(plan),
        **_fit_fields(points, plan, strengths),
        n_runs=points.n_runs,
        livetime=float(points.livetime.sum()),
        penalty=penalty,
        term_penalty=term_penalty,
        ridge=ridge,
    )


def _fit_fields(
    points: FitPoints, plan: _Plan, strengths: tuple[float, ...]
) -> dict[str, Any]:
    is_seen = points.exposure.any(axis=(0, 1)).ravel()
    arrays = _arrays(points, plan, is_seen)
    field = mean_functions(points.binning, offset_knots=plan.offset_knots)
    centers = log_centers(points.binning)
    model = {
        "basis": spline_basis(centers, plan.energy_knots),
        "field": field[is_seen],
        "penalty": _penalty(plan.energy_knots.size - 4, plan.columns, strengths),
    }
    result = fit_arrays(arrays, **model)
    trends = np.vander(centers, 2, increasing=True)
    return {
        "coefficients": result.coefficients,
        "covariance": estimate_covariance(
            arrays, result, **model, columns=plan.columns, trends=trends
        ),
        "deviance": result.deviance,
        "edf": result.edf,
        "scatter": _scatter(result, points, plan.terms),
        "n_steps": result.n_steps,
    }


def _make_plan(
    points: FitPoints,
    terms: tuple[str, ...],
    *,
    n_splines: tuple[int, int],
) -> _Plan:
    scales, reference = find_scales(points.conditions), fit_reference(points)
    kept, dropped = choose_terms(terms, scales)
    limit = points.binning.offset_max**2
    offset_knots = spline_knots(0.0, limit, n_splines=n_splines[1])
    design, columns = join_design(points, kept, scales, n_radial=offset_knots.size - 4)
    return _Plan(
        terms=kept,
        dropped=dropped,
        columns=columns,
        scales=scales,
        reference=reference,
        energy_knots=_energy_knots(reference, n_splines[0]),
        offset_knots=offset_knots,
        design=design,
    )


def _plan_fields(plan: _Plan) -> dict[str, Any]:
    return {
        "terms": plan.terms,
        "dropped": plan.dropped,
        "columns": plan.columns,
        "energy_knots": plan.energy_knots,
        "offset_knots": plan.offset_knots,
        "reference": plan.reference.coefficients,
        "energy_range": plan.reference.energy_range,
        "condition_names": CONDITION_NAMES,
        "condition_mean": plan.scales.mean,
        "condition_scale": plan.scales.scale,
        "condition_low": plan.scales.low,
        "condition_high": plan.scales.high,
        "epoch_edges": plan.scales.epoch_edges,
    }


def _check(terms: tuple[str, ...], strengths: tuple[float, ...]) -> None:
    unknown = [name for name in terms if name not in TERMS]
    if unknown:
        raise SettingsError(
            what=f"unknown terms {', '.join(unknown)}",
            where="section [smooth], terms",
            fix=f"Choose among {', '.join(TERMS)}",
        )
    if not min(strengths) >= 0:
        raise SettingsError(
            what=f"negative strength among {strengths}",
            where="section [smooth], penalties",
            fix="Make them zero or more",
        )


def _energy_knots(reference: Reference, per_decade: int) -> np.ndarray:
    low, high = reference.energy_range
    if high <= low:
        high = low + 1.0
    n_splines = int(np.ceil((high - low) / np.log(10) * per_decade)) + 1
    return spline_knots(low, high, n_splines=n_splines)


def _arrays(points: FitPoints, plan: _Plan, is_seen: np.ndarray) -> CountsArrays:
    """Return counts and base of the places that any point sees."""
    binning, reference = points.binning, plan.reference
    spectrum = np.exp(
        log_reference(
            log_centers(binning), reference.coefficients, reference.energy_range
        )
    )
    spectrum *= binning.energy_width
    shape = (points.n_points, binning.n_energy, -1)
    base = points.exposure.reshape(shape)[:, :, is_seen]
    base *= spectrum[:, np.newaxis]
    counts = points.counts.reshape(shape)[:, :, is_seen]
    return CountsArrays(counts=counts, base=base, design=plan.design)


def _penalty(
    n_energy: int, columns: tuple[str, ...], strengths: tuple[float, ...]
) -> np.ndarray:
    """Return the penalty on the coefficients (energy, column) in C order."""
    spline, term, ridge = strengths
    is_radial = np.array([name == "radial" for name in columns])
    n_radial = int(is_radial.sum())
    radial = np.zeros((len(columns), len(columns)))
    radial[:n_radial, :n_radial] = difference_penalty(n_radial, order=2)
    energy = difference_penalty(n_energy, order=2)
    steps = term * difference_penalty(n_energy, order=1) + ridge * np.eye(n_energy)
    matrix: np.ndarray = (
        spline * np.kron(energy, np.diag(is_radial.astype(np.float64)))
        + spline * np.kron(np.eye(n_energy), radial)
        + np.kron(steps, np.diag((~is_radial).astype(np.float64)))
        + _JITTER * np.eye(n_energy * len(columns))
    )
    return matrix


def _scatter(result: ArrayFit, points: FitPoints, terms: tuple[str, ...]) -> float:
    if points.n_points < points.n_runs:
        return float("nan")
    return norm_scatter(
        result.observed,
        result.expected,
        n_runs=points.n_runs,
        n_terms=count_run_terms(terms),
    )
