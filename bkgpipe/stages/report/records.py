"""A regression, a whole production and a plain table in words."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.report.fit_words import residual_lines
from bkgpipe.stages.report.summary import Summary

__all__ = ["describe_fit", "describe_summary", "describe_table"]

_LISTED = 10


def describe_fit(fit: RegressionFit) -> str:
    """Say what a regression was made from, and how it went.

    Parameters
    ----------
    fit : RegressionFit
        The fit.

    Returns
    -------
    str
        Lines of text, without a final line break.
    """
    low, high = np.exp(fit.energy_range)
    n_splines = fit.columns.count("radial")
    lines = [
        f"Regression of {fit.n_runs} runs, {fit.livetime / 3600:.2f} h live time",
        f"Energies: {low:.4g} to {high:.4g} TeV, FOVALIGN {fit.fov_alignment}",
        _below_safe(fit),
        f"Terms: {', '.join(fit.terms) or 'none'}, and {n_splines} splines in offset",
        *(f"Without the term {reason}" for reason in fit.dropped),
        (
            f"Coefficients: {fit.coefficients.size}, effective degrees of freedom "
            f"{fit.edf:.1f}, {fit.n_steps} Newton steps"
        ),
        f"Deviance: {fit.deviance:.6g}",
        f"Scatter of single runs beyond Poisson noise: {_percent(fit.scatter)}",
        (
            f"Penalties: penalty {fit.penalty:g}, term_penalty {fit.term_penalty:g}, "
            f"ridge {fit.ridge:g}"
        ),
        *(_condition(fit, index) for index in range(len(fit.condition_names))),
    ]
    return "\n".join([*lines, *_residual(fit), *_trials(fit)])


def describe_summary(summary: Summary) -> str:
    """Say what came out of a production.

    Parameters
    ----------
    summary : Summary
        Its numbers.

    Returns
    -------
    str
        Lines of text, without a final line break.
    """
    events = summary.conservation
    seconds = ", ".join(f"{name} {s:.1f} s" for name, s in summary.timing.items())
    return "\n".join(
        [
            (
                f"Runs: {summary.n_used} used ({summary.hours:.2f} h live time), "
                f"{len(summary.left_out)} not selected, {len(summary.refused)} "
                f"refused, {len(summary.unfit)} not stacked"
            ),
            f"Events: {events.n_read} read, {events.n_counted} kept",
            f"Models: {len(summary.models)}",
            f"Store: {summary.store}",
            f"Time of all tasks: {seconds or 'unknown'}",
            *_reasons("Refused", summary.refused),
            *_reasons("Not stacked", summary.unfit),
            *_reasons("Not selected", summary.left_out),
        ]
    )


def describe_table(table: Table) -> str:
    """Put all rows of a table, with names and units.

    Parameters
    ----------
    table : Table
        The table.

    Returns
    -------
    str
        Lines of text, without a final line break.
    """
    lines = table.pformat(max_lines=-1, max_width=-1, show_unit=True)
    return "\n".join([f"{len(table)} rows", *map(str.rstrip, lines)])


def _percent(value: float) -> str:
    return f"{value:.2%}" if np.isfinite(value) else "unknown"


def _below_safe(fit: RegressionFit) -> str:
    if not fit.low_knots.size:
        return "Below the safe energy of a run: nothing was fitted"
    return (
        f"Below the safe energy of a run: fitted from {10**fit.lowest_distance:.2f} "
        "times that on; norms of single runs and energies scatter by "
        f"{_percent(fit.low_scatter)}"
    )


def _residual(fit: RegressionFit) -> list[str]:
    rows = [f"  {line}" for line in residual_lines(fit)]
    return ["Counts of all runs at their safe energies:", *rows] if rows else []


def _condition(fit: RegressionFit, index: int) -> str:
    mean, scale = fit.condition_mean[index], fit.condition_scale[index]
    low, high = fit.condition_low[index], fit.condition_high[index]
    return (
        f"Condition {fit.condition_names[index]}: {mean:.4g} +- {scale:.4g}, "
        f"from {low:.4g} to {high:.4g}"
    )


def _trials(fit: RegressionFit) -> list[str]:
    """Penalties that were tried, the best first."""
    if not len(fit.trials):
        return []
    best = fit.trials[0, 3]
    rows = [
        f"  {penalty:g}, {term:g}, {ridge:g}: {deviance:.1f}, "
        f"{deviance - best:.1f} +- {error:.1f} above the least"
        for penalty, term, ridge, deviance, error in fit.trials
    ]
    return ["Penalties tried, and the deviance of nights left out:", *rows]


def _reasons(heading: str, reasons: dict[int, str]) -> list[str]:
    listed = [f"  run {obs_id}: {reason}" for obs_id, reason in sorted(reasons.items())]
    more = [f"  and {len(listed) - _LISTED} more"] if len(listed) > _LISTED else []
    return [f"{heading}:", *listed[:_LISTED], *more] if listed else []
