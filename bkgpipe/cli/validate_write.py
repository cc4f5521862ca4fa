"""Write what a validation found: tables, figures, and one line of JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import click

from bkgpipe._version import __version__
from bkgpipe.chain.runs import digest
from bkgpipe.core.product import ProductHeader
from bkgpipe.flow.gather import axes_files, validation_files
from bkgpipe.plot.images import save_figure
from bkgpipe.product.whole_file import write_file
from bkgpipe.settings import Settings
from bkgpipe.stages.validate.axes_data import AxesTest, summarise_axes
from bkgpipe.stages.validate.axes_files import row_values, write_axes, write_axes_table
from bkgpipe.stages.validate.axes_view import describe_axes, figure_axes
from bkgpipe.stages.validate.data import (
    NORMS,
    ModelScore,
    Validation,
    summarise_validation,
)
from bkgpipe.stages.validate.files import write_scores, write_validation
from bkgpipe.stages.validate.view import describe_validation, figure_validation

__all__ = ["Outputs", "describe", "validation_answer", "write_outputs"]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Files to write beside those that the report shows.

    Attributes
    ----------
    table, axes_table : Path or None
        ECSV files: a row for each run, a row for each axis.
    plot, axes_plot : Path or None
        PNG files.
    """

    table: Path | None = None
    plot: Path | None = None
    axes_table: Path | None = None
    axes_plot: Path | None = None


def write_outputs(
    validation: Validation,
    axes: AxesTest | None,
    settings: Settings,
    outputs: Outputs,
    *,
    seconds: float,
) -> None:
    """Write tables and figures, and leave them where the report looks for them.

    Parameters
    ----------
    validation : Validation
        Scores.
    axes : AxesTest or None
        Scores on other axes.
    settings : Settings
        Settings of the production.
    outputs : Outputs
        Files that were asked for.
    seconds : float
        Time that it took [s].

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    header = ProductHeader(
        stage="validate",
        fingerprint=settings.fingerprint("export"),
        inputs=digest(validation.folds),
        seconds=seconds,
        version=__version__,
    )
    _write_runs(validation, header, settings, outputs)
    if axes is not None:
        _write_axes(axes, header, settings, outputs)
    click.echo("bkgpipe report puts this into the report.", err=True)


def _write_runs(
    validation: Validation, header: ProductHeader, settings: Settings, outputs: Outputs
) -> None:
    if outputs.table is not None:
        write_file(outputs.table, lambda path: write_scores(path, header, validation))
    numbers, picture = validation_files(settings)
    summary, figure = summarise_validation(validation), figure_validation(validation)
    for place in (outputs.plot, picture):
        if place is not None:
            write_file(place, lambda path: save_figure(figure, path))
    write_file(numbers, lambda path: write_validation(path, summary))


def _write_axes(
    axes: AxesTest, header: ProductHeader, settings: Settings, outputs: Outputs
) -> None:
    summary, figure = summarise_axes(axes), figure_axes(axes)
    if outputs.axes_table is not None:
        write_file(
            outputs.axes_table, lambda path: write_axes_table(path, header, summary)
        )
    numbers, picture = axes_files(settings)
    for place in (outputs.axes_plot, picture):
        if place is not None:
            write_file(place, lambda path: save_figure(figure, path))
    write_file(numbers, lambda path: write_axes(path, summary))


def describe(validation: Validation, axes: AxesTest | None) -> str:
    """Put all scores in words.

    Parameters
    ----------
    validation : Validation
        Scores.
    axes : AxesTest or None
        Scores on other axes.

    Returns
    -------
    str
        Tables, without a final line break.
    """
    text = describe_validation(validation)
    if axes is None:
        return text
    return f"{text}\n\n{describe_axes(summarise_axes(axes))}"


def validation_answer(
    validation: Validation, axes: AxesTest | None
) -> dict[str, object]:
    """Put all scores into an object of JSON.

    Parameters
    ----------
    validation : Validation
        Scores.
    axes : AxesTest or None
        Scores on other axes.

    Returns
    -------
    dict of str to object
        Plain values.
    """
    answer: dict[str, object] = {
        "models": [_model_answer(model) for model in validation.models],
        "energies": validation.bins.energy_edges.tolist(),
        "folds": [list(fold) for fold in validation.folds],
        "joined": [
            [run.obs_id, *run.joined] for run in validation.models[0].runs if run.joined
        ],
        "left_out": validation.left_out,
    }
    if axes is not None:
        answer["axes"] = _axes_answer(axes)
    return answer


def _axes_answer(axes: AxesTest) -> list[dict[str, object]]:
    scores = [score for kind in axes.scores.values() for score in kind]
    rows = summarise_axes(axes).rows
    return [
        row_values(asdict(row))
        | {
            "energy_edges": score.axis.energy_edges.tolist(),
            "counts": score.counts.tolist(),
            "predicted": score.predicted.tolist(),
            "scaled": score.scaled.tolist(),
        }
        for row, score in zip(rows, scores, strict=True)
    ]


def _model_answer(model: ModelScore) -> dict[str, object]:
    pulls = model.pulls
    return {
        "name": model.name,
        "runs": model.n_runs,
        "events": model.n_events,
        "deviance": dict(zip(NORMS, model.deviance.tolist(), strict=True)),
        "noise": dict(zip(NORMS, model.noise.tolist(), strict=True)),
        "ratio": {"mean": model.ratios.mean(), "std": model.ratios.std()},
        "pulls": {"mean": pulls.mean(), "std": pulls.std()} if pulls.size else None,
        "unpredicted": model.n_unpredicted,
    }
