"""The report of a production: pages and images in a folder that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from bkgpipe.plot.pages import Picture, Table, paged, render, step_links
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.rank.data import Ranking
from bkgpipe.stages.report.axes import axes_picture, axes_table
from bkgpipe.stages.report.conditions import figure_dependence
from bkgpipe.stages.report.data import Report
from bkgpipe.stages.report.fields import (
    field_picture,
    fields_table,
    hot_spots_table,
    most_significant,
)
from bkgpipe.stages.report.fit_words import misfit_words
from bkgpipe.stages.report.lists import (
    clocks_table,
    excursions_table,
    plain_table,
    region_table,
    residual_table,
    shares_table,
    validation_table,
)
from bkgpipe.stages.report.model import model_picture
from bkgpipe.stages.report.ranking import (
    figure_ranking,
    figure_rankings,
    ranking_rows,
    worst_first,
)
from bkgpipe.stages.report.sky import figure_sky
from bkgpipe.stages.report.tables import (
    groups_table,
    listed_runs,
    models_table,
    outliers_table,
    reasons_table,
    runs_table,
)
from bkgpipe.stages.sky.summary import FieldSummary

__all__ = ["AXES_FILE", "VALIDATION_FILE", "make_figures", "make_pages"]

_SHOWN_MODELS = 2  # with their pictures, on the index
_LISTED_MODELS = 50
_SHOWN_FIELDS, _LISTED_FIELDS = 2, 20
VALIDATION_FILE = "validation.png"
AXES_FILE = "axes.png"


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A line of a bar chart or a card."""

    name: str
    value: str
    share: float = 0.0


def make_figures(report: Report) -> dict[str, Callable[[], Figure]]:
    """List the figures of a report, except those of the models.

    Parameters
    ----------
    report : Report
        What the production did.

    Returns
    -------
    dict of str to callable
        What draws each, by the name of its file.
    """
    found: dict[str, Callable[[], Figure]] = {}
    if report.table.used:
        found["sky.png"] = partial(
            figure_sky,
            report.table.used,
            report.regions,
            field_radius=report.field_radius,
        )
    if any(rate.exposure > 0 for rate in report.dependence.runs):
        found["dependence.png"] = partial(
            figure_dependence, report.dependence, report.table.runs
        )
    if report.rankings:
        worst = worst_first(report.rankings)[0]
        found["rankings.png"] = partial(figure_rankings, report.rankings)
        found["ranking.png"] = partial(figure_ranking, worst)
    return found


def make_pages(report: Report) -> dict[str, str]:
    """Make the pages of a report, except those of the models.

    Parameters
    ----------
    report : Report
        What the production did.

    Returns
    -------
    dict of str to str
        HTML of each, by the name of its file; ``index.html`` is the last.
    """
    kind = _kind(report)
    pages = _list_pages("runs", runs_table(report), _rate_words(report))
    if report.regions:
        pages |= _list_pages("regions", region_table(report.regions))
    if report.fields:
        drawn = {field.number for field in _drawn_fields(report)}
        pages |= _list_pages("fields", fields_table(report.fields, drawn))
    if report.models:
        pages |= _list_pages("models", models_table(report.models, kind=kind))
    return pages | {"index.html": _make_index(report, kind)}


def _rate_words(report: Report) -> str:
    n_more = len(report.table.runs) - len(listed_runs(report))
    more = (
        f" {n_more:,} more runs that were not selected are not listed: "
        f"{report.folders.get('select', 'select')}/runs.ecsv has all of them."
        if n_more
        else ""
    )
    return (
        f"{more} Rate, and counted over predicted, above "
        f"{report.dependence.energy_min:.3g} TeV; only for runs that are safe from "
        "there on."
    )


def _list_pages(stem: str, table: Table, more: str = "") -> dict[str, str]:
    """Make the pages of a long table."""
    parts = paged(table)
    files = [f"{stem}-{i + 1}.html" for i in range(len(parts))]
    names = [_ends(part) for part in parts]
    title = table.name
    return {
        file: render(
            "report_list.html",
            title=title if len(parts) == 1 else f"{title}, page {i + 1}",
            is_broad=True,
            links=step_links(files, i, names),
            found=part,
            words=f"{len(table.rows):,} in all, {len(part.rows)} on this page; a click "
            f"on a heading sorts the page.{more}",
        )
        for i, (file, part) in enumerate(zip(files, parts, strict=True))
    }


def _ends(part: Table) -> str:
    """Name a page by what is in its first and last row."""
    ends = [row[0].text for row in (*part.rows[:1], *part.rows[-1:])]
    return "\N{EN DASH}".join(dict.fromkeys(ends)) or "none"


def _drawn_fields(report: Report) -> tuple[FieldSummary, ...]:
    return most_significant(report.fields, report.n_drawn)


def _kind(report: Report) -> str:
    return "group" if report.groups else "run"


def _make_index(report: Report, kind: str) -> str:
    drawn = {note.stack_id for note in report.models}
    rows = ranking_rows(report.rankings)
    reasons = [
        *report.refused.values(),
        *report.unfit.values(),
        *(run.reason for run in report.table.runs if not run.selected),
    ]
    return render(
        "report.html",
        title=report.title,
        report=report,
        kind=kind,
        summary=_summary(report),
        places=_places(report.conservation),
        timing=_timing(report.timing),
        reasons=reasons_table(reasons) if reasons else None,
        pictures=_pictures(report),
        outliers=outliers_table(report),
        clocks=clocks_table(report.clocks) if report.clocks else None,
        beyond=excursions_table(report.excursions) if report.excursions else None,
        kept_shares=shares_table(report.kept_shares) if report.kept_shares else None,
        rankings=plain_table("Rankings", rows) if rows else None,
        n_rankings=len(report.rankings),
        groups=groups_table(report.groups, drawn) if report.groups else None,
        models=models_table(report.models[:_LISTED_MODELS], kind=kind),
        model_pictures=[
            model_picture(note, kind=kind) for note in report.models[:_SHOWN_MODELS]
        ],
        residual=residual_table(report.regression) if report.regression else None,
        misfits=misfit_words(report.regression) if report.regression else "",
        validation=validation_table(report.validation) if report.validation else None,
        axes=axes_table(report.axes) if report.axes else None,
        fields=_fields_on_index(report) if report.fields else None,
        hot_spots=hot_spots_table(report.hot_spots) if report.hot_spots else None,
        field_pictures=[
            field_picture(field) for field in _drawn_fields(report)[:_SHOWN_FIELDS]
        ],
    )


def _fields_on_index(report: Report) -> Table:
    drawn = {field.number for field in _drawn_fields(report)}
    return fields_table(most_significant(report.fields, _LISTED_FIELDS), drawn)


def _summary(report: Report) -> list[_Row]:
    kept = report.conservation.n_counted
    return [
        _Row(name="live time", value=f"{report.hours:.2f} h"),
        _Row(name="runs used", value=f"{len(report.runs_used):,}"),
        _Row(name="runs refused", value=f"{len(report.refused):,}"),
        _Row(name="runs not selected", value=f"{_count_left_out(report):,}"),
        _Row(name="runs in the store", value=f"{len(report.table.runs):,}"),
        _Row(name="events kept", value=f"{kept:,}"),
        _Row(name="model files", value=f"{report.n_models:,}"),
    ]


def _count_left_out(report: Report) -> int:
    return sum(not run.selected for run in report.table.runs)


def _places(conservation: Conservation) -> list[_Row]:
    places = {
        "not a number, or no energy": conservation.n_invalid,
        "outside good time": conservation.n_outside_time,
        "outside the field of view": conservation.n_outside_field,
        "outside the energy axis": conservation.n_outside_energy,
        "excluded by the mask": conservation.n_excluded,
        "kept below the safe energy": conservation.n_below_safe,
        "kept": conservation.n_kept,
    }
    n_read = max(conservation.n_read, 1)
    return [
        _Row(name=name, value=f"{number:,}", share=number / n_read)
        for name, number in places.items()
    ]


def _timing(timing: dict[str, float]) -> list[_Row]:
    longest = max([*timing.values(), 1e-9])
    return [
        _Row(name=stage, value=f"{seconds:.1f} s", share=seconds / longest)
        for stage, seconds in timing.items()
    ]


def _pictures(report: Report) -> dict[str, Picture]:
    """Describe the figures that there are, by the names of their files."""
    found = {name: _WORDS[name](report) for name in make_figures(report)}
    if report.validation:
        found[VALIDATION_FILE] = _validation_picture(report)
    if report.axes:
        found[AXES_FILE] = axes_picture(report.axes, file=AXES_FILE)
    return found


def _sky_picture(report: Report) -> Picture:
    from_all = "" if report.n_masks >= report.n_all_masks else " of different pointings"
    return Picture(
        file="sky.png",
        alt="Map of the sky in Galactic coordinates with the fields of view of the "
        "runs and the excluded regions in them",
        caption="Mollweide projection, longitude grows to the left. Discs: field of "
        f"view, {report.field_radius:g} deg in radius. Rings: the "
        f"{len(report.regions)} regions that the masks of {report.n_masks} "
        f"runs{from_all} exclude; those too small to be seen are drawn larger. Names: "
        "targets with most live time.",
    )


def _dependence_picture(report: Report) -> Picture:
    found = report.dependence
    n_known = sum(rate.exposure > 0 for rate in found.runs)
    curve = (
        " Curve: the regression at the median of all other conditions, with its "
        "statistical error at most; runs scatter about it because these conditions "
        "differ as well."
        if found.curves
        else ""
    )
    return Picture(
        file="dependence.png",
        alt="Background rate of each run, and its ratio to the prediction of the "
        "model, against zenith angle, time and muon efficiency",
        caption=f"Events kept above {found.energy_min:.3g} TeV per live time and kept "
        f"solid angle, of the {n_known:,} runs that are safe from there on, with "
        "Poisson errors. Predicted: by the model of the run, in the same exposure."
        f"{curve}",
    )


def _rankings_picture(_report: Report) -> Picture:
    return Picture(
        file="rankings.png",
        alt="Matrix of targets and the runs taken for them, divergences of these runs, "
        "and how often each run was taken",
        caption="All targets: runs taken for each, how unlike they are, how often each "
        "was taken.",
    )


def _ranking_picture(report: Report) -> Picture:
    worst: Ranking = worst_first(report.rankings)[0]
    return Picture(
        file="ranking.png",
        alt=f"Divergence of the candidates of run {worst.obs_id} against the live time "
        "so far, and why the others were not taken",
        caption=f"Run {worst.obs_id}, the target whose runs are least like it: "
        f"{worst.hours:.2f} h taken. bkgpipe explain OBS_ID --plot FILE draws any "
        "target, and tells all.",
    )


def _validation_picture(_report: Report) -> Picture:
    return Picture(
        file=VALIDATION_FILE,
        alt="Predicted over counted events of runs that the models have not seen: of "
        "each run, as a histogram, against energy; and the pulls",
        caption="Models made without a fold of runs, scored on these runs. Poisson "
        "errors; pull: (counted - predicted) / sqrt(predicted) of a run and energy "
        "bin.",
    )


_WORDS: dict[str, Callable[[Report], Picture]] = {
    "sky.png": _sky_picture,
    "dependence.png": _dependence_picture,
    "rankings.png": _rankings_picture,
    "ranking.png": _ranking_picture,
}
