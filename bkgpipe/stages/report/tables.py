"""Tables of runs, groups and models in a report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from astropy.time import Time

from bkgpipe.core.run import Run
from bkgpipe.plot.pages import Cell, Table, number, word
from bkgpipe.stages.report.data import ModelNote, Report
from bkgpipe.stages.report.dependence import RunRate
from bkgpipe.stages.stack.data import Group

__all__ = [
    "groups_table",
    "listed_runs",
    "model_page_name",
    "models_table",
    "outliers_table",
    "reasons_table",
    "runs_table",
]

_MAX_LEFT_OUT = 200  # runs that were not selected
_MAX_OUTLIERS = 12
_MAX_REASONS = 20


def model_page_name(stack_id: int) -> str:
    """Name the page of a model.

    Parameters
    ----------
    stack_id : int
        Number of the model.

    Returns
    -------
    str
        Name of the file.
    """
    return f"model-{stack_id}.html"


def listed_runs(report: Report) -> list[Run]:
    """Choose the runs that are listed: all that were used, and some of the others.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    list of Run
        Runs in order of ``obs_id``; of those that were not selected the first 200.
    """
    used = {run.obs_id for run in report.table.used}
    runs = sorted(report.table.runs, key=lambda run: run.obs_id)
    left_out = [run.obs_id for run in runs if run.obs_id not in used]
    listed = used.union(left_out[:_MAX_LEFT_OUT])
    return [run for run in runs if run.obs_id in listed]


def runs_table(report: Report) -> Table:
    """List runs of the store, with what became of each.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    Table
        A row for each of `listed_runs`.
    """
    runs = listed_runs(report)
    rates = {rate.obs_id: rate for rate in report.dependence.runs}
    drawn = {note.stack_id for note in report.models}
    dates = _dates(runs)
    columns = (
        *("run", "target", "state", "start [TT]", "zenith [deg]", "azimuth [deg]"),
        *("live time [h]", "safe from [TeV]", "field kept [%]", "events kept"),
        *("rate [s-1 sr-1]", "counted / predicted", "model"),
        *("reason", "SHA-256 of events"),
    )
    rows = tuple(
        (
            *_condition_cells(run, _state(report, run)[0], date),
            *_rate_cells(rates.get(run.obs_id), _state(report, run)[1], drawn),
        )
        for run, date in zip(runs, dates, strict=True)
    )
    return Table(name="Runs", columns=columns, rows=rows)


def _condition_cells(run: Run, state: str, date: str) -> tuple[Cell, ...]:
    return (
        number(run.obs_id),
        word(run.target),
        word(state),
        word(date),
        number(run.zenith, ".1f"),
        number(run.azimuth, ".1f"),
        number(run.livetime / 3600, ".3f"),
    )


def _rate_cells(rate: RunRate | None, reason: str, drawn: set[int]) -> tuple[Cell, ...]:
    why = word(reason, kind="long" if reason else "")
    if rate is None:
        return (*(word("") for _ in range(6)), why, word(""))
    return (
        number(rate.safe_energy_min, ".3g"),
        number(100 * rate.kept_fraction, ".1f"),
        number(rate.n_events, ",d"),
        number(rate.rate, ".4g"),
        number(rate.ratio, ".3f"),
        _model_cell(rate.stack_id, drawn),
        why,
        word(rate.checksum[:12]),
    )


def _state(report: Report, run: Run) -> tuple[str, str]:
    if run.obs_id in report.refused:
        return "refused", report.refused[run.obs_id]
    if not run.selected:
        return "not selected", run.reason
    if run.obs_id in report.unfit:
        return "not stacked", report.unfit[run.obs_id]
    return "used", ""


def _model_cell(stack_id: int, drawn: set[int]) -> Cell:
    if stack_id < 0:
        return word("")
    return number(stack_id, href=model_page_name(stack_id) if stack_id in drawn else "")


def _dates(runs: Sequence[Run]) -> list[str]:
    """Put the starts as dates, all at once: one by one they take a second."""
    days = [run.time_start if run.time_start > 0 else 0.0 for run in runs]
    if not days:
        return []
    found = Time(days, format="mjd", scale="tt").isot
    return [
        str(date)[:16].replace("T", " ") if day else ""
        for date, day in zip(found, days, strict=True)
    ]


def outliers_table(report: Report) -> Table:
    """List the runs that differ most from what their models predict.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    Table
        A few rows, the most significant difference first.
    """
    known = {run.obs_id: run for run in report.table.runs}
    drawn = {note.stack_id for note in report.models}
    rates = [rate for rate in report.dependence.runs if rate.pull == rate.pull]
    rates.sort(key=lambda rate: -abs(rate.pull))
    columns = (
        *("run", "target", "zenith [deg]", "counted", "predicted"),
        *("counted / predicted", "pull", "model"),
    )
    return Table(
        name="Runs that differ most from their models",
        columns=columns,
        rows=tuple(
            (
                number(rate.obs_id),
                word(known[rate.obs_id].target),
                number(known[rate.obs_id].zenith, ".1f"),
                number(rate.counts, ",d"),
                number(rate.predicted, ",.0f"),
                number(rate.ratio, ".3f"),
                number(rate.pull, "+.1f"),
                _model_cell(rate.stack_id, drawn),
            )
            for rate in rates[:_MAX_OUTLIERS]
            if rate.obs_id in known
        ),
    )


def reasons_table(reasons: Iterable[str]) -> Table:
    """Count how often each reason occurs, numbers in it left out.

    Parameters
    ----------
    reasons : iterable of str
        Reason of each run.

    Returns
    -------
    Table
        The most frequent reasons, with one of them in full.
    """
    found: Counter[str] = Counter()
    example: dict[str, str] = {}
    for reason in reasons:
        pattern = re.sub(r"-?\d[\d.,]*(e[+-]?\d+)?", "#", reason)
        found[pattern] += 1
        example.setdefault(pattern, reason)
    return Table(
        name="Reasons",
        columns=("runs", "reason of the first"),
        rows=tuple(
            (number(times), word(example[pattern], kind="long"))
            for pattern, times in found.most_common(_MAX_REASONS)
        ),
    )


def groups_table(groups: Sequence[Group], drawn: set[int]) -> Table:
    """List groups of runs.

    Parameters
    ----------
    groups : sequence of Group
        Groups.
    drawn : set of int
        Those that have a page.

    Returns
    -------
    Table
        A row for each.
    """
    columns = (
        *("group", "runs", "live time [h]", "events", "zenith [deg]"),
        *("azimuth [deg]", "zenith cell [deg]", "azimuth cell [deg]", "joined by"),
    )
    return Table(
        name="Groups",
        columns=columns,
        rows=tuple(_group_row(group, drawn) for group in groups),
    )


def _group_row(group: Group, drawn: set[int]) -> tuple[Cell, ...]:
    zenith_min, zenith_max, azimuth_min, azimuth_max = group.cells[0]
    return (
        _model_cell(group.group_id, drawn),
        number(group.obs_ids.size),
        number(group.livetime / 3600, ".2f"),
        number(group.n_events, ",d"),
        number(group.zenith, ".1f"),
        number(group.azimuth, ".1f"),
        word(f"{zenith_min:g} to {zenith_max:g}"),
        word(f"{azimuth_min:g} to {azimuth_max:g}"),
        word(", ".join(group.merged)),
    )


def models_table(notes: Sequence[ModelNote], *, kind: str) -> Table:
    """List models that have a page.

    Parameters
    ----------
    notes : sequence of ModelNote
        What is told of each.
    kind : str
        What a model is for: ``group`` or ``run``.

    Returns
    -------
    Table
        A row for each.
    """
    columns = (
        *(kind, "runs behind it", "live time [h]", "zenith [deg]"),
        *("azimuth [deg]", "from [TeV]", "rate above [s-1 sr-1]"),
        *("statistical error [%]", "scatter of runs [%]"),
    )
    return Table(
        name="Models",
        columns=columns,
        rows=tuple(
            (
                number(note.stack_id, href=model_page_name(note.stack_id)),
                number(note.n_runs),
                number(note.livetime / 3600, ".2f"),
                number(note.conditions.zenith, ".1f"),
                number(note.conditions.azimuth, ".1f"),
                number(note.energy_min, ".3g"),
                number(note.rate, ".4g"),
                number(100 * note.error, ".2f"),
                number(100 * note.systematic, ".2f"),
            )
            for note in notes
        ),
    )
