"""Tables of regions, masks and scores in a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bkgpipe.core.clock import Clock
from bkgpipe.plot.pages import Cell, Table, number, word
from bkgpipe.stages.count.kept_share import KeptShare
from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.validate.data import NORMS, ScoreSummary, ValidationSummary

__all__ = [
    "clocks_table",
    "excursions_table",
    "plain_table",
    "region_table",
    "residual_table",
    "shares_table",
    "validation_table",
]

_MAX_BEYOND = 50  # runs


def region_table(regions: Sequence[ExclusionRegion]) -> Table:
    """List excluded regions.

    Parameters
    ----------
    regions : sequence of ExclusionRegion
        Regions.

    Returns
    -------
    Table
        A row for each.
    """
    columns = (
        *("name", "from", "RA [deg]", "Dec [deg]", "radius [deg]"),
        *("extension [deg]", "radius cut by max_radius"),
    )
    return Table(
        name="Excluded regions",
        columns=columns,
        rows=tuple(
            (
                word(region.name),
                word(region.origin),
                number(region.ra, ".3f"),
                number(region.dec, "+.3f"),
                number(region.radius, ".3f"),
                number(region.extension, ".3f"),
                word("yes" if region.is_capped else ""),
            )
            for region in regions
        ),
    )


def residual_table(fit: RegressionFit) -> Table:
    """Compare counts and fit of each energy that is safe for some run.

    Parameters
    ----------
    fit : RegressionFit
        The fit.

    Returns
    -------
    Table
        A row for each energy where events are expected.
    """
    counted, expected = fit.residual
    rows = [
        (
            number(fit.energy_edges[index], ".3g"),
            number(fit.energy_edges[index + 1], ".3g"),
            number(counted[index], ".0f"),
            number(expected[index], ".1f"),
            number(counted[index] / expected[index], ".3f"),
            number(fit.pulls[index], "+.1f"),
        )
        for index in np.flatnonzero(np.isfinite(fit.pulls))
    ]
    return Table(
        name="Fit of each energy",
        columns=(
            *("from [TeV]", "to [TeV]", "counted", "in the fit"),
            *("counted / fit", "sigma"),
        ),
        rows=tuple(rows),
    )


def clocks_table(clocks: Mapping[int, Clock]) -> Table:
    """List runs of which the store says different times.

    Parameters
    ----------
    clocks : mapping of int to Clock
        Statements of each ``obs_id``.

    Returns
    -------
    Table
        A row for each, the largest difference first.
    """
    columns = (
        *("run", "difference", "good time intervals [s]", "ONTIME [s]"),
        *("LIVETIME / DEADC [s]", "first interval to last [s]", "TSTART to TSTOP [s]"),
    )
    ordered = sorted(clocks.items(), key=lambda item: (-item[1].difference, item[0]))
    return Table(
        name="Times that differ",
        columns=columns,
        rows=tuple(
            (
                number(obs_id),
                number(clock.difference, ".1%"),
                number(clock.good_time, ".1f"),
                number(clock.ontime, ".1f"),
                number(clock.livetime_over_deadc, ".1f"),
                number(clock.first_to_last, ".1f"),
                number(clock.start_to_stop, ".1f"),
            )
            for obs_id, clock in ordered
        ),
    )


def excursions_table(excursions: Mapping[int, Sequence[str]]) -> Table:
    """List runs with conditions beyond those of the fit.

    Parameters
    ----------
    excursions : mapping of int to sequence of str
        Conditions of each ``obs_id``, with their values and the ranges of the fit.

    Returns
    -------
    Table
        A row for each condition of each run, of some runs if there are many.
    """
    shown = sorted(excursions)[:_MAX_BEYOND]
    return Table(
        name="Conditions beyond the fit",
        columns=("run", "condition, value and range of the fit"),
        rows=tuple(
            (number(obs_id), word(words))
            for obs_id in shown
            for words in excursions[obs_id]
        ),
    )


def shares_table(shares: Sequence[KeptShare]) -> Table:
    """List runs in which geometry and events tell different exposures.

    Parameters
    ----------
    shares : sequence of KeptShare
        Runs, the most different first.

    Returns
    -------
    Table
        A row for each.
    """
    columns = (
        *("run", "target", "offset [deg]", "events", "of them kept"),
        *("kept by geometry", "kept by events", "rate by events"),
    )
    return Table(
        name="What the masks keep",
        columns=columns,
        rows=tuple(_share_row(share) for share in shares),
    )


def _share_row(share: KeptShare) -> tuple[Cell, ...]:
    # the rate is counts over exposure: it grows as the share shrinks
    excess = share.by_geometry / share.by_events - 1 if share.n_kept else float("inf")
    return (
        number(share.obs_id),
        word(share.target),
        word(f"{share.offset_min:.2f} to {share.offset_max:.2f}"),
        number(share.n_events, ",d"),
        number(share.n_kept, ",d"),
        number(share.by_geometry, ".3f"),
        number(share.by_events, ".3f"),
        Cell(text=f"{excess:+.0%}", value=min(excess, 1e9), kind="number"),
    )


def validation_table(validation: ValidationSummary) -> Table:
    """Put the numbers of a validation, with what noise alone would give.

    Parameters
    ----------
    validation : ValidationSummary
        Numbers.

    Returns
    -------
    Table
        Two rows for each kind of models.
    """
    norms = tuple(f"deviance / dof, {norm}" for norm in NORMS)
    columns = ("model", "runs", "events", *norms, "predicted / counted per run")
    return Table(
        name="Validation",
        columns=(*columns, "pulls", "pixels with events, none predicted"),
        rows=tuple(
            row
            for model in validation.models
            for row in (_score_row(model), _noise_row(model))
        ),
    )


def _score_row(model: ScoreSummary) -> tuple[Cell, ...]:
    return (
        word(model.name),
        number(model.n_runs),
        number(model.n_events, ",d"),
        *(number(value, ".4f") for value in model.deviance),
        word(f"{model.ratio:.3f} \N{PLUS-MINUS SIGN} {model.ratio_spread:.3f}"),
        word(f"{model.pull:+.2f} \N{PLUS-MINUS SIGN} {model.pull_spread:.2f}"),
        number(model.n_unpredicted),
    )


def _noise_row(model: ScoreSummary) -> tuple[Cell, ...]:
    return (
        word("noise alone"),
        word(""),
        word(""),
        *(number(value, ".4f") for value in model.noise),
        word(""),
        word("+0.00 \N{PLUS-MINUS SIGN} 1.00"),
        word(""),
    )


def plain_table(name: str, rows: Sequence[Mapping[str, str]]) -> Table:
    """Make a table of words.

    Parameters
    ----------
    name : str
        What it is of.
    rows : sequence of mapping of str to str
        Rows of the same columns.

    Returns
    -------
    Table
        The same.
    """
    return Table(
        name=name,
        columns=tuple(rows[0]) if rows else (),
        rows=tuple(tuple(word(value) for value in row.values()) for row in rows),
    )
