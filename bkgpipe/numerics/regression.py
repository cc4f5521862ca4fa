"""Fit the background of many runs at once, as a function of their conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bkgpipe.datamodel.counts import RunCounts
from bkgpipe.datamodel.regression import RegressionFit
from bkgpipe.errors import NoRunsError, SettingsError
from bkgpipe.numerics.array_fit import ArrayFit, CountsBlock, fit_arrays
from bkgpipe.numerics.design import (
    ConditionScales,
    choose_terms,
    design_columns,
    find_scales,
)
from bkgpipe.numerics.field import mean_functions
from bkgpipe.numerics.reference import (
    Reference,
    fit_reference,
    log_centers,
    log_reference,
)
from bkgpipe.numerics.splines import difference_penalty, spline_basis, spline_knots
from bkgpipe.numerics.terms import CONDITION_NAMES, TERMS, make_conditions

__all__ = ["DEFAULT_TERMS", "fit_regression"]

DEFAULT_TERMS = (
    "zenith",
    "azimuth",
    "muon",
    "gradient",
    "gradient_zenith",
    "control_outer",
    "control_low",
)

_BLOCK = 64  # runs; bounds the memory whatever the archive
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
    runs: Sequence[RunCounts],
    *,
    fov_alignment: str,
    terms: tuple[str, ...] = DEFAULT_TERMS,
    energy_splines: int = 5,
    offset_splines: int = 6,
    penalty: float = 1.0,
    term_penalty: float = 10.0,
    ridge: float = 100.0,
) -> RegressionFit:
    """Fit log counts by splines in energy and offset squared, and condition terms.

    Parameters
    ----------
    runs : sequence of RunCounts
        Runs or groups of one binning; each is gone through once a Newton step.
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
        Coefficients, covariance and all that a prediction needs.

    Raises
    ------
    SettingsError
        If a term is unknown, or a strength negative.
    NoRunsError
        If there are no runs.
    NoEventsError
        If the runs have no event where they have exposure.
    BinningMismatchError
        If the runs are counted on different axes.

    References
    ----------
    Eilers & Marx 1996, Statistical Science 11, 89; Currie, Durban & Eilers 2006,
    Journal of the Royal Statistical Society B 68, 259.
    """
    strengths = (penalty, term_penalty, ridge)
    _check(runs, terms, strengths)
    plan = _make_plan(
        runs, fov_alignment, terms, n_splines=(energy_splines, offset_splines)
    )
    binning = runs[0].binning
    result = fit_arrays(
        lambda: _blocks(runs, plan.design, plan.reference),
        basis=spline_basis(log_centers(binning), plan.energy_knots),
        field=mean_functions(binning, offset_knots=plan.offset_knots),
        penalty=_penalty(plan.energy_knots.size - 4, plan.columns, strengths),
    )
    return RegressionFit(
        fov_alignment=fov_alignment,
        **_plan_fields(plan),
        coefficients=result.coefficients,
        covariance=result.covariance,
        deviance=result.deviance,
        edf=result.edf,
        scatter=_scatter(result, plan.terms),
        n_steps=result.n_steps,
        n_runs=len(runs),
        livetime=float(sum(run.livetime for run in runs)),
        penalty=penalty,
        term_penalty=term_penalty,
        ridge=ridge,
    )


def _make_plan(
    runs: Sequence[RunCounts],
    fov_alignment: str,
    terms: tuple[str, ...],
    *,
    n_splines: tuple[int, int],
) -> _Plan:
    conditions = [make_conditions(run, fov_alignment=fov_alignment) for run in runs]
    scales, reference = find_scales(conditions), fit_reference(runs)
    kept, dropped = choose_terms(terms, scales)
    limit = runs[0].binning.offset_max ** 2
    offset_knots = spline_knots(0.0, limit, n_splines=n_splines[1])
    design, columns = design_columns(
        conditions, kept, scales, n_radial=offset_knots.size - 4
    )
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


def _check(
    runs: Sequence[RunCounts], terms: tuple[str, ...], strengths: tuple[float, ...]
) -> None:
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
    if not runs:
        raise NoRunsError(
            what="there are no runs to fit",
            where="regression",
            fix="Select more runs",
        )
    for run in runs[1:]:
        runs[0].binning.require_same(run.binning, where=f"run {run.obs_id}")


def _energy_knots(reference: Reference, per_decade: int) -> np.ndarray:
    low, high = reference.energy_range
    if high <= low:
        high = low + 1.0
    n_splines = int(np.ceil((high - low) / np.log(10) * per_decade)) + 1
    return spline_knots(low, high, n_splines=n_splines)


def _blocks(
    runs: Sequence[RunCounts], design: np.ndarray, reference: Reference
) -> Iterator[CountsBlock]:
    binning = runs[0].binning
    spectrum = np.exp(
        log_reference(
            log_centers(binning), reference.coefficients, reference.energy_range
        )
    )
    spectrum *= binning.energy_width
    for start in range(0, len(runs), _BLOCK):
        block = runs[start : start + _BLOCK]
        time = np.array([run.livetime * run.is_safe for run in block])
        space = np.array([run.solid_angle_3d.ravel() for run in block])
        base = (time * spectrum)[:, :, np.newaxis] * space[:, np.newaxis, :]
        counts = np.array([run.counts_3d for run in block], dtype=np.float64)
        counts = np.where(base > 0, counts.reshape(base.shape), 0.0)
        yield CountsBlock(
            counts=counts, base=base, design=design[start : start + _BLOCK]
        )


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


def _scatter(result: ArrayFit, terms: tuple[str, ...]) -> float:
    """Estimate the variance of the runs' norms from the moments of their counts.

    E (n - mu)^2 = mu + scatter^2 mu^2; terms that scale whole runs take part of it.
    """
    mean = result.expected
    n_free = max(1, mean.size - 1 - 2 * len(terms))
    excess = np.sum((result.observed - mean) ** 2 * mean.size / n_free - mean)
    return float(np.sqrt(max(0.0, excess) / np.sum(mean**2)))
