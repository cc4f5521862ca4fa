"""A validation in words and in one figure."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.plot.axes import COLORS, MARKERS
from bkgpipe.stages.validate.data import ModelScore, Validation

__all__ = ["describe_validation", "figure_validation"]

_HEADINGS: tuple[str, ...] = (
    "model",
    "as predicted",
    "free norm",
    "per energy",
    "ratio per run",
    "pulls",
)


def describe_validation(validation: Validation) -> str:
    """Say how well the models predict runs that they have not seen.

    Parameters
    ----------
    validation : Validation
        Scores.

    Returns
    -------
    str
        A table with a row for each model and one for noise below it, and what was
        scored; without a final line break.
    """
    rows = [_HEADINGS]
    for model in validation.models:
        rows += [_row(model), _noise_row(model)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(
        [_what(validation), "", *map(str.rstrip, lines), *_notes(validation)]
    )


def _what(validation: Validation) -> str:
    bins, model = validation.bins, validation.models[0]
    low, high = bins.energy_edges[[0, -1]]
    return (
        f"Poisson deviance per degree of freedom: {_runs(model)}, "
        f"{model.n_events} events, {low:g} to {high:g} TeV in {bins.n_energy} bins, "
        f"pixels of {bins.pixel:g} deg to {bins.offset_max:g} deg, "
        f"{len(validation.folds)} folds by {validation.kept_together}"
    )


def _runs(model: ModelScore) -> str:
    n_nights = sum(bool(run.joined) for run in model.runs)
    if not n_nights:
        return f"{model.n_runs} runs"
    n_alone = len(model.runs) - n_nights
    return (
        f"{model.n_runs} runs ({n_alone} alone, the others joined by {n_nights} nights)"
    )


def _row(model: ModelScore) -> tuple[str, ...]:
    deviance = [f"{value:.4f}" for value in model.deviance]
    ratios, pulls = model.ratios, model.pulls
    spread = f"{ratios.mean():.3f} +- {ratios.std():.3f}"
    if not pulls.size:
        return (model.name, *deviance, spread, "-")
    return (model.name, *deviance, spread, f"{pulls.mean():+.2f} +- {pulls.std():.2f}")


def _noise_row(model: ModelScore) -> tuple[str, ...]:
    # the ratio of one run has this error if its events are all that is random
    counts = np.array([run.counts for run in model.runs])
    spread = f"1.000 +- {np.sqrt((1.0 / counts).mean()):.3f}"
    noise = [f"{value:.4f}" for value in model.noise]
    return ("  noise alone", *noise, spread, "+0.00 +- 1.00")


def _notes(validation: Validation) -> list[str]:
    notes = [
        f"{model.name}: {model.n_unpredicted} pixels with events where none are "
        "predicted"
        for model in validation.models
        if model.n_unpredicted
    ]
    if validation.left_out:
        notes.append(f"Not scored: {len(validation.left_out)} runs")
        notes += [f"  {key}: {why}" for key, why in sorted(validation.left_out.items())]
    return ["", *notes] if notes else []


def figure_validation(validation: Validation) -> Figure:
    """Draw ratio and deviance of each run, and the ratio against energy.

    Parameters
    ----------
    validation : Validation
        Scores.

    Returns
    -------
    Figure
        Ratio of each run and its histogram above; ratio against energy and pulls
        below.
    """
    figure = Figure(figsize=(11.0, 7.2), layout="constrained")
    (ratio, spread), (energy, pulls) = figure.subplots(2, 2)
    styles = cycle(zip(COLORS, MARKERS, strict=True))
    for model, (color, marker) in zip(validation.models, styles, strict=False):
        style = {"color": color, "marker": marker, "ms": 4, "label": model.name}
        ratio.plot(model.ratios, linestyle="none", **style)
        spread.hist(model.ratios, bins=_ratio_edges(validation), **_steps(color, model))
        _draw_energies(energy, model, validation, style)
        pulls.hist(model.pulls, bins=np.linspace(-6, 6, 25), **_steps(color, model))
    ratio.set(xlabel="run, in order of obs_id", ylabel="predicted / counted")
    spread.set(xlabel="predicted / counted, per run", ylabel="runs")
    energy.set(xscale="log", xlabel="energy [TeV]", ylabel="predicted / counted")
    pulls.set(xlabel="(counted - predicted) / sqrt(predicted)", ylabel="bins")
    for ax in (ratio, energy):
        ax.axhline(1.0, color="0.5", linewidth=1)
    ratio.legend()
    return figure


def _steps(color: str, model: ModelScore) -> dict[str, Any]:
    return {"histtype": "step", "color": color, "label": model.name, "linewidth": 1.5}


def _ratio_edges(validation: Validation) -> np.ndarray:
    ratios = np.concatenate([model.ratios for model in validation.models])
    half = max(0.1, float(np.quantile(np.abs(ratios - 1.0), 0.98)))
    return 1.0 + np.linspace(-half, half, 26)


def _draw_energies(
    ax: Axes, model: ModelScore, validation: Validation, style: dict[str, Any]
) -> None:
    edges = validation.bins.energy_edges
    counts = np.sum([run.counts_energy for run in model.runs], axis=0)
    predicted = np.sum([run.predicted_energy for run in model.runs], axis=0)
    seen = counts > 0
    centers = np.sqrt(edges[1:] * edges[:-1])[seen]
    ratio = predicted[seen] / counts[seen]
    ax.errorbar(centers, ratio, yerr=ratio / np.sqrt(counts[seen]), **style)
