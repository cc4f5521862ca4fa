"""The report of a production: one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from bkgpipe.datamodel import (
    Conservation,
    Group,
    KeptShare,
    Ranking,
    RateModel,
    Report,
)
from bkgpipe.view.figures import figure_rate
from bkgpipe.view.images import png_uri
from bkgpipe.view.ranking import (
    figure_ranking,
    figure_rankings,
    ranking_rows,
    worst_first,
)

__all__ = ["make_report"]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A line of a table or of a bar chart."""

    name: str
    value: str
    share: float = 0.0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class _Picture:
    title: str
    caption: str
    alt: str
    uri: str


def make_report(report: Report) -> str:
    """Make the page of a production.

    Parameters
    ----------
    report : Report
        What the production did.

    Returns
    -------
    str
        HTML page with styles and images inside; it loads nothing and runs nothing.
    """
    environment = Environment(
        loader=PackageLoader("bkgpipe", "view"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        report=report,
        summary=_summary(report),
        places=_places(report.conservation),
        timing=_timing(report.timing),
        refused=_with_reasons(report, report.refused),
        left_out=_left_out(report),
        kept_shares=[_kept_share(share) for share in report.kept_shares],
        unfit=_with_reasons(report, report.unfit),
        rankings=ranking_rows(report.rankings),
        n_rankings=len(report.rankings),
        ranking_pictures=_ranking_pictures(report.rankings),
        groups=[_group(group) for group in report.groups],
        pictures=[_picture(model) for model in report.models],
    )


def _summary(report: Report) -> list[_Row]:
    kept = report.conservation.n_kept
    return [
        _Row(name="live time", value=f"{report.hours:.2f} h"),
        _Row(name="runs used", value=f"{len(report.runs_used)}"),
        _Row(name="runs refused", value=f"{len(report.refused)}"),
        _Row(name="runs in the store", value=f"{len(report.table.runs)}"),
        _Row(name="events kept", value=f"{kept:,}"),
        _Row(name="model files", value=f"{report.n_models}"),
    ]


def _places(conservation: Conservation) -> list[_Row]:
    places = {
        "not a number, or no energy": conservation.n_invalid,
        "outside the field of view": conservation.n_outside_field,
        "outside the energy axis": conservation.n_outside_energy,
        "below the safe energy": conservation.n_below_safe,
        "excluded by the mask": conservation.n_excluded,
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


def _with_reasons(report: Report, reasons: dict[int, str]) -> list[_Row]:
    targets = {run.obs_id: run.target for run in report.table.runs}
    return [
        _Row(name=str(obs_id), value=targets.get(obs_id, ""), note=reason)
        for obs_id, reason in sorted(reasons.items())
    ]


def _left_out(report: Report) -> list[_Row]:
    return [
        _Row(name=str(run.obs_id), value=run.target, note=run.reason)
        for run in report.table.runs
        if not run.selected
    ]


def _kept_share(share: KeptShare) -> dict[str, str]:
    # the rate is counts over exposure: it grows as the share shrinks
    excess = share.by_geometry / share.by_events - 1 if share.n_kept else float("inf")
    return {
        "run": str(share.obs_id),
        "target": share.target,
        "offset [deg]": f"{share.offset_min:.2f} to {share.offset_max:.2f}",
        "events": f"{share.n_events:,}",
        "of them kept": f"{share.n_kept:,}",
        "kept by geometry": f"{share.by_geometry:.3f}",
        "kept by events": f"{share.by_events:.3f}",
        "rate by events": f"{excess:+.0%}",
    }


def _group(group: Group) -> dict[str, str]:
    zenith_min, zenith_max, azimuth_min, azimuth_max = group.cells[0]
    return {
        "group": str(group.group_id),
        "runs": str(group.obs_ids.size),
        "live time [h]": f"{group.livetime / 3600:.2f}",
        "events": f"{group.n_events:,}",
        "zenith [deg]": f"{group.zenith:.1f}",
        "azimuth [deg]": f"{group.azimuth:.1f}",
        "zenith cell [deg]": f"{zenith_min:g} to {zenith_max:g}",
        "azimuth cell [deg]": f"{azimuth_min:g} to {azimuth_max:g}",
        "joined by": ", ".join(group.merged) or "-",
    }


def _ranking_pictures(rankings: Sequence[Ranking]) -> list[_Picture]:
    if not rankings:
        return []
    worst = worst_first(rankings)[0]
    return [
        _Picture(
            title="All targets",
            caption="Runs taken for each target, how unlike they are, how often each "
            "was taken.",
            alt="Matrix of targets and the runs taken for them, divergences of these "
            "runs, and how often each run was taken",
            uri=png_uri(figure_rankings(rankings)),
        ),
        _Picture(
            title=f"Run {worst.obs_id}, the target whose runs are least like it",
            caption=f"{worst.hours:.2f} h taken. bkgpipe show rank_N.h5 --id OBS_ID "
            "--plot FILE draws any target, bkgpipe explain OBS_ID tells all.",
            alt=f"Divergence of the candidates of run {worst.obs_id} against the live "
            "time so far, and why the others were not taken",
            uri=png_uri(figure_ranking(worst)),
        ),
    ]


def _picture(model: RateModel) -> _Picture:
    conditions = model.conditions
    hours = model.livetime / 3600
    alt = (
        f"Background rate of stack {model.stack_id}: images of the field of view in "
        f"bands of energy, radial profiles and spectrum"
    )
    caption = (
        f"{model.n_runs} runs, {hours:.2f} h live time, mean zenith "
        f"{conditions.zenith:.1f} deg, mean azimuth {conditions.azimuth:.1f} deg, "
        f"dead-time fraction {conditions.deadc:.3f}, smoothing {model.method}. "
        f"Rate per live time; grey was not seen."
    )
    uri = png_uri(figure_rate(model))
    return _Picture(title=f"Stack {model.stack_id}", caption=caption, alt=alt, uri=uri)
