"""Fit the background of many runs at once, as a function of their conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from bkgpipe.errors import SettingsError
from bkgpipe.stages.fit.array_fit import fit_arrays
from bkgpipe.stages.fit.count_arrays import CountsArrays, LowEnergies
from bkgpipe.stages.fit.covariance import estimate_covariance
from bkgpipe.stages.fit.data import FitPoints, RegressionFit
from bkgpipe.stages.fit.design import (
    ConditionScales,
    choose_terms,
    find_scales,
    join_design,
    join_thresholds,
)
from bkgpipe.stages.fit.field import mean_functions
from bkgpipe.stages.fit.reference import (
    Reference,
    fit_reference,
    log_centers,
    log_reference,
)
from bkgpipe.stages.fit.splines import difference_penalty, spline_basis, spline_knots
from bkgpipe.stages.fit.terms import CONDITION_NAMES, DEFAULT_TERMS, TERMS
from bkgpipe.stages.fit.threshold import (
    LOW_PARTS,
    Energies,
    find_energies,
    low_energies,
    threshold_knots,
    threshold_penalty,
)

__all__ = ["fit_regression", "penalty_matrix"]

_JITTER = 1e-6  # keeps the normal matrix regular where there are no data


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plan:
    """What is decided before the first Newton step."""

    terms: tuple[str, ...]
    dropped: tuple[str, ...]
    columns: tuple[str, ...]
    scales: ConditionScales
    energies: Energies
    reference: Reference
    energy_range: np.ndarray
    energy_knots: np.ndarray
    offset_knots: np.ndarray
    low_knots: np.ndarray
    design: np.ndarray
    low: LowEnergies | None

    @property
    def labels(self) -> tuple[str, ...]:
        """Term that each coefficient belongs to."""
        n_low = max(0, self.low_knots.size - 7)
        return self.columns * (self.energy_knots.size - 4) + LOW_PARTS * n_low


def fit_regression(
    points: FitPoints,
    *,
    fov_alignment: str,
    terms: tuple[str, ...] = DEFAULT_TERMS,
    energy_splines: int = 0,
    offset_splines: int = 6,
    penalty: float = 1.0,
    term_penalty: float = 1000.0,
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
        Splines per decade of energy; zero takes as many as there are energy bins.
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
        Coefficients, covariance and all that a prediction needs. The scatter is NaN:
        `measure_systematics` finds it.

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
        energy_edges=points.binning.energy_edges,
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
        "penalty": penalty_matrix(
            plan.columns,
            n_splines=plan.energy_knots.size - 4,
            n_low=max(0, plan.low_knots.size - 7),
            strengths=strengths,
        ),
    }
    result = fit_arrays(arrays, **model)
    trends = np.vander(centers, 2, increasing=True)
    # below, the norm of each run is its own
    is_safe = plan.energies.unsafe_share == 0
    spectra = (result.observed * is_safe, result.expected * is_safe)
    return {
        "coefficients": result.coefficients,
        "low_coefficients": result.low_coefficients,
        "covariance": estimate_covariance(
            arrays, result, **model, labels=plan.labels, trends=trends
        ),
        "deviance": result.deviance,
        "edf": result.edf,
        "scatter": float("nan"),
        "low_scatter": float("nan"),
        "residual": np.stack([of.sum(axis=0) for of in spectra]),
        "n_steps": result.n_steps,
    }


def _make_plan(
    points: FitPoints,
    terms: tuple[str, ...],
    *,
    n_splines: tuple[int, int],
) -> _Plan:
    scales, energies = find_scales(points.conditions), find_energies(points)
    reference = fit_reference(points, energies.unsafe_share == 0)
    kept, dropped = choose_terms(terms, scales)
    limit = points.binning.offset_max**2
    offset_knots = spline_knots(0.0, limit, n_splines=n_splines[1])
    design, columns = join_design(points, kept, scales, n_radial=offset_knots.size - 4)
    energy_range = _energy_range(points, energies)
    low_knots, low = np.zeros(0), None
    if energies.has_low:
        low_knots = threshold_knots(energies.lowest)
        low_design = join_thresholds(points, scales, offset_knots=offset_knots)
        low = low_energies(points, energies, knots=low_knots, design=low_design)
    return _Plan(
        terms=kept,
        dropped=dropped,
        columns=columns,
        scales=scales,
        energies=energies,
        reference=reference,
        energy_range=energy_range,
        energy_knots=_energy_knots(points, energy_range, n_splines[0]),
        offset_knots=offset_knots,
        low_knots=low_knots,
        design=design,
        low=low,
    )


def _plan_fields(plan: _Plan) -> dict[str, Any]:
    return {
        "terms": plan.terms,
        "dropped": plan.dropped,
        "columns": plan.columns,
        "energy_knots": plan.energy_knots,
        "offset_knots": plan.offset_knots,
        "low_knots": plan.low_knots,
        "lowest_distance": plan.energies.lowest,
        "reference": plan.reference.coefficients,
        "reference_range": plan.reference.energy_range,
        "energy_range": plan.energy_range,
        "condition_names": CONDITION_NAMES,
        "condition_mean": plan.scales.mean,
        "condition_scale": plan.scales.scale,
        "condition_low": plan.scales.low,
        "condition_high": plan.scales.high,
        "time_gap": plan.scales.time_gap,
        "epoch_edges": plan.scales.epoch_edges,
    }


def _check(terms: tuple[str, ...], strengths: tuple[float, ...]) -> None:
    unknown = [name for name in terms if name not in TERMS]
    if unknown:
        raise SettingsError(
            what=f"unknown terms {', '.join(unknown)}",
            where="section [fit], terms",
            fix=f"Choose among {', '.join(TERMS)}",
        )
    if not min(strengths) >= 0:
        raise SettingsError(
            what=f"negative strength among {strengths}",
            where="section [fit], penalties",
            fix="Make them zero or more",
        )


def _energy_range(points: FitPoints, energies: Energies) -> np.ndarray:
    """Return log centres of the first and the last energy with an event."""
    counts = (points.counts.sum(axis=(2, 3)) * energies.is_used).sum(axis=0)
    counted: np.ndarray = log_centers(points.binning)[counts > 0]
    return counted[[0, -1]]


def _energy_knots(
    points: FitPoints, energy_range: np.ndarray, per_decade: int
) -> np.ndarray:
    low, high = energy_range
    centers = log_centers(points.binning)
    n_splines = int(np.count_nonzero((centers >= low) & (centers <= high)))
    if high <= low:
        high = low + 1.0
    if per_decade:
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
    spectra = plan.energies.is_used * spectrum
    shape = (points.n_points, binning.n_energy, -1)
    base = np.compress(is_seen, points.exposure.reshape(shape), axis=2)
    base *= spectra[:, :, np.newaxis]
    counts = np.compress(is_seen, points.counts.reshape(shape), axis=2)
    counts = np.where(base > 0, counts, 0.0)
    return CountsArrays(counts=counts, base=base, design=plan.design, low=plan.low)


def penalty_matrix(
    columns: tuple[str, ...],
    *,
    n_splines: int,
    n_low: int,
    strengths: tuple[float, ...],
) -> np.ndarray:
    """Return the penalty on all coefficients, those of the thresholds last.

    Parameters
    ----------
    columns : tuple of str
        Term of each column of the design.
    n_splines, n_low : int
        Splines in energy, and in the distance to the safe energy.
    strengths : tuple of float
        As `penalty`, `term_penalty` and `ridge` of `fit_regression`.

    Returns
    -------
    np.ndarray
        Positive definite matrix, shape ``(n, n)``.
    """
    penalty = _term_penalty(n_splines, columns, strengths)
    if n_low:
        penalty = block_diag(penalty, threshold_penalty(n_low))
    matrix: np.ndarray = penalty + _JITTER * np.eye(len(penalty))
    return matrix


def _term_penalty(
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
    )
    return matrix
