"""Make the pages that show whether to believe the models."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bkgpipe.chain.excursions import read_excursions
from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.listing import find_lost
from bkgpipe.chain.record import (
    read_marked_files,
    read_page_header,
    write_marker,
    write_page,
)
from bkgpipe.chain.runs import digest_all
from bkgpipe.chain.summary import read_summary
from bkgpipe.core.product import ProductHeader
from bkgpipe.flow.base import StageTask
from bkgpipe.flow.count import AllCounts
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.flow.gather import (
    axes_files,
    find_models,
    read_axes_test,
    read_clocks,
    read_dependence,
    read_excluded,
    read_kept_shares,
    read_regression,
    read_validated,
    validation_files,
)
from bkgpipe.flow.rank import read_all_rankings
from bkgpipe.flow.sky import read_sky
from bkgpipe.flow.smooth import AllSmooths
from bkgpipe.flow.store import MakeStore
from bkgpipe.flow.versions import versions
from bkgpipe.plot.images import save_figure
from bkgpipe.product.seal import seal_files
from bkgpipe.product.whole_file import write_file, write_text
from bkgpipe.settings import STAGES, Settings, settings_values
from bkgpipe.stages.report.data import ModelNote, Report, note_model
from bkgpipe.stages.report.fields import field_image, most_significant
from bkgpipe.stages.report.figures import figure_rate
from bkgpipe.stages.report.model import ModelPlace, make_model_page
from bkgpipe.stages.report.pages import (
    AXES_FILE,
    VALIDATION_FILE,
    make_figures,
    make_pages,
)
from bkgpipe.stages.report.tables import model_page_name
from bkgpipe.stages.sky.images import read_field
from bkgpipe.stages.sky.view import figure_field
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.data import Group
from bkgpipe.stages.stack.files import read_groups

__all__ = ["MakeReport", "choose_models", "write_report"]

_MAX_MODELS = 4
_MARKER = "pages.json"


class MakeReport(StageTask):
    """Report: reads all products, writes ``report/index.html`` and what is beside it.

    A few models get a page of their own; ``bkgpipe report`` draws more.
    """

    stage = "report"

    def requires(self) -> list[StageTask]:
        counts, smooths = self.sibling(AllCounts), self.sibling(AllSmooths)
        return [self.sibling(MakeStore), counts, smooths]

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "index.html", inputs=self.inputs, read_header=read_page_header
        )

    def lost(self) -> str:
        """Tell which pages and images beside the index are gone or cut."""
        marker = self.folder / _MARKER
        if not marker.exists():
            return f"{_MARKER} missing"
        return find_lost(self.folder, read_marked_files(marker))

    def run(self) -> None:
        if self.complete():  # what it waited for has not changed
            return
        write_report(self.settings, self.header, n_models=_MAX_MODELS)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A model to draw."""

    folder: Path
    source: Path
    stack_id: int
    place: ModelPlace


MapJobs = Callable[[Callable[[_Job], ModelNote], list[_Job]], Iterable[ModelNote]]


def write_report(
    settings: Settings,
    header: Callable[[], ProductHeader],
    *,
    n_models: int,
    map_jobs: MapJobs = map,
) -> tuple[str, ...]:
    """Write all pages and images of a production's report, the index last.

    Each file is whole or not there, and what the earlier index links to stays until
    the new one has taken its place.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    header : callable
        Makes the header of the index, when all is done.
    n_models : int
        Most models that get a page.
    map_jobs : callable
        Applies a function to all models in their order, as `map` does; another one
        may do so in several processes.

    Returns
    -------
    tuple of str
        Files, relative to the folder of the stage.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    OutputError
        If the folder cannot be written or is full.
    """
    folder = settings.folder("report")
    rates = find_models(settings)
    notes = tuple(map_jobs(_draw, _make_jobs(settings, rates, n_models)))
    report = _read_report(settings, notes, n_rates=len(rates), n_drawn=n_models)
    files = _write_figures(folder, report)
    files += _write_fields(folder, settings, report)
    files += _write_validation(folder, settings, report)
    pages = make_pages(report)
    index = pages.pop("index.html")
    for name, page in pages.items():
        write_text(folder / name, page)
    files += [*pages, *_model_files(notes)]
    seals = seal_files(folder, sorted(files))
    write_file(folder / _MARKER, partial(write_marker, header=header(), files=seals))
    write_file(folder / "index.html", partial(write_page, header=header(), page=index))
    _remove_withdrawn(folder, {*files, "index.html", _MARKER})
    return ("index.html", *files)


def choose_models(stack_ids: Sequence[int], n_models: int) -> list[int]:
    """Choose which models get a page, spread evenly over all.

    Parameters
    ----------
    stack_ids : sequence of int
        Numbers of all models.
    n_models : int
        Most that may be chosen.

    Returns
    -------
    list of int
        Numbers, the first one always among them.
    """
    total, some = len(stack_ids), min(n_models, len(stack_ids))
    return [stack_ids[i * total // some] for i in range(some)]


def _make_jobs(
    settings: Settings, rates: Mapping[int, Path], n_models: int
) -> list[_Job]:
    chosen = choose_models(list(rates), n_models)
    members = {group.group_id: group.obs_ids for group in _read_groups(settings)}
    before, after = [-1, *chosen], [*chosen[1:], -1]
    return [
        _Job(
            folder=settings.folder("report"),
            source=rates[stack_id],
            stack_id=stack_id,
            place=ModelPlace(
                kind="group" if settings.in_groups else "run",
                previous=previous,
                following=following,
                obs_ids=tuple(int(obs_id) for obs_id in members.get(stack_id, ())),
            ),
        )
        for stack_id, previous, following in zip(chosen, before, after, strict=False)
    ]


def _draw(job: _Job) -> ModelNote:
    model = MODELS.read_one(job.source, job.stack_id)
    figure = figure_rate(model)
    image = job.folder / f"model-{job.stack_id}.png"
    write_file(image, lambda path: save_figure(figure, path))
    page = make_model_page(model, job.place)
    name = job.folder / model_page_name(job.stack_id)
    write_text(name, page)
    return note_model(model)


def _model_files(notes: Iterable[ModelNote]) -> list[str]:
    return [
        name
        for note in notes
        for name in (f"model-{note.stack_id}.png", model_page_name(note.stack_id))
    ]


def _write_figures(folder: Path, report: Report) -> list[str]:
    figures = make_figures(report)
    for name, draw in figures.items():
        figure = draw()
        write_file(folder / name, partial(save_figure, figure))
    return list(figures)


def _write_validation(folder: Path, settings: Settings, report: Report) -> list[str]:
    pictures: dict[str, Path] = {}
    if report.validation is not None:
        _, pictures[VALIDATION_FILE] = validation_files(settings)
    if report.axes is not None:
        _, pictures[AXES_FILE] = axes_files(settings)
    for name, picture in pictures.items():
        write_file(folder / name, partial(shutil.copyfile, picture))
    return list(pictures)


def _write_fields(folder: Path, settings: Settings, report: Report) -> list[str]:
    """Draw the most significant fields."""
    names = []
    for field in most_significant(report.fields, report.n_drawn):
        figure = figure_field(read_field(settings.folder("sky") / field.file), field)
        names.append(field_image(field))
        write_file(folder / names[-1], partial(save_figure, figure))
    return names


def _remove_withdrawn(folder: Path, known: set[str]) -> None:
    """Remove pages and images of an earlier report that this one does not have."""
    for pattern in ("*.png", "*.html"):
        for path in folder.glob(pattern):
            # files that are being written begin with a dot
            if path.name not in known and not path.name.startswith("."):
                path.unlink(missing_ok=True)


def _read_groups(settings: Settings) -> tuple[Group, ...]:
    path = settings.folder("stack") / "groups.ecsv"
    return read_groups(path) if settings.in_groups and path.exists() else ()


def _read_report(
    settings: Settings, notes: tuple[ModelNote, ...], *, n_rates: int, n_drawn: int
) -> Report:
    summary, table = read_summary(settings), load_table(settings)
    regions, n_masks = read_excluded(settings)
    return Report(
        title=f"Background models from {settings.store.name}",
        table=table,
        conservation=summary.conservation,
        refused=summary.refused,
        timing=summary.timing,
        groups=_read_groups(settings),
        models=notes,
        n_models=len(summary.models),
        settings=settings_values(settings),
        versions=versions(),
        store=summary.store,
        unfit=summary.unfit,
        rankings=read_all_rankings(settings),
        kept_shares=read_kept_shares(settings),
        exposure=settings.count.exposure,
        clocks=read_clocks(settings),
        excursions=read_excursions(settings),
        n_rates=n_rates,
        dependence=read_dependence(settings),
        regions=regions,
        n_masks=n_masks,
        n_all_masks=len(table.used),
        field_radius=settings.binning.offset_max,
        **_read_judgement(settings),
        n_drawn=n_drawn,
        regression=read_regression(settings),
        folders={
            stage: settings.folder(stage).name
            for stage in STAGES
            if settings.folder(stage).is_dir()
        },
        inputs=digest_all(table),
    )


def _read_judgement(settings: Settings) -> dict[str, Any]:
    """Read what judges the models, as far as it was asked for."""
    fields, hot_spots = read_sky(settings)
    return {
        "validation": read_validated(settings),
        "axes": read_axes_test(settings),
        "fields": fields,
        "hot_spots": hot_spots,
    }
