"""Score models on runs that they have not seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from bkgpipe._version import __version__
from bkgpipe.cli.run import run_production
from bkgpipe.datamodel import ExclusionMask, ProductHeader, Run, RunCounts, RunTable
from bkgpipe.datamodel.validation import (
    NORMS,
    FieldCounts,
    ModelScore,
    RunScore,
    ScoreBins,
    Validation,
    summarise_validation,
)
from bkgpipe.errors import InputError, NoRunsError
from bkgpipe.io.hdf5 import read_fields, read_record
from bkgpipe.io.projection import project_model, read_model, read_store_model
from bkgpipe.io.store import read_events
from bkgpipe.io.validation import write_scores, write_validation
from bkgpipe.numerics.select import select_runs
from bkgpipe.numerics.validate import count_field, make_folds, score_run
from bkgpipe.production.gather import validation_files
from bkgpipe.production.inputs import digest, read_store
from bkgpipe.settings import Settings, read_settings
from bkgpipe.tasks.targets import write_file
from bkgpipe.view.images import save_figure
from bkgpipe.view.validation import describe_validation, figure_validation

__all__ = ["ValidateOptions", "validate_production"]

_OWN = "this production"


@dataclass(frozen=True, kw_only=True)
class ValidateOptions:
    """What to score, and where to write it.

    Attributes
    ----------
    folds : int
        Number of folds.
    by : str
        ``run``, ``random``, ``night`` or ``field``.
    seed : int
        Seed of ``random``.
    against : Path or None
        Another store whose models are scored on the same runs and bins.
    against_livetime : bool
        Its models are per live time, not per on-time as GADF wants.
    energy_range : tuple of float
        Lowest and highest energy [TeV].
    energy_bins : int
        Number of energy bins.
    min_events : int
        Runs with fewer events outside the mask are not scored.
    table, plot : Path or None
        ECSV file for the runs, PNG file for the figure.
    """

    folds: int = 5
    by: str = "run"
    seed: int = 1
    against: Path | None = None
    against_livetime: bool = False
    energy_range: tuple[float, float] = (0.5, 30.0)
    energy_bins: int = 7
    min_events: int = 300
    table: Path | None = None
    plot: Path | None = None

    @property
    def bins(self) -> ScoreBins:
        """Energies and pixels."""
        return ScoreBins(
            energy_edges=np.geomspace(*self.energy_range, self.energy_bins + 1)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scores:
    """Scores of all folds so far: of our models, of others, and runs without."""

    own: dict[int, RunScore]
    other: dict[int, RunScore]
    left_out: dict[int, str]


def validate_production(
    config: Path, overrides: Sequence[str], *, options: ValidateOptions, as_json: bool
) -> None:
    """Make models without each fold in turn, and score them on it.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : sequence of str
        Each ``section.key=value``.
    options : ValidateOptions
        What to score, and where to write it.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    BkgpipeError
        If settings or stores cannot be used, there are too few runs for the folds, or
        no run has enough events.
    """
    started = time.monotonic()
    settings = read_settings(config, overrides)
    table = select_runs(
        read_store(settings),
        settings.select.cuts,
        export_obs_ids=settings.export.obs_ids,
    )
    rng = np.random.default_rng(options.seed)
    folds = make_folds(table.selected, n_folds=options.folds, by=options.by, rng=rng)
    scores = _Scores(own={}, other={}, left_out={})
    for number, fold in enumerate(folds, start=1):
        runs = _exported(table, fold)
        if not runs:
            continue
        click.echo(f"Fold {number} of {len(folds)}: {len(runs)} runs", err=True)
        changes = _fold_overrides(settings, fold, runs, number=number)
        _score_fold(
            _produce(read_settings(config, [*overrides, *changes]), number),
            runs,
            options=options,
            scores=scores,
        )
    validation = _gather(scores, folds, options)
    _write(validation, settings, options, seconds=time.monotonic() - started)
    click.echo(
        json.dumps(_answer(validation)) if as_json else describe_validation(validation)
    )


def _exported(table: RunTable, fold: Iterable[int]) -> list[Run]:
    members = set(fold)
    return [run for run in table.exported if run.obs_id in members]


def _fold_overrides(
    settings: Settings, fold: tuple[int, ...], runs: list[Run], *, number: int
) -> list[str]:
    excluded = sorted({*settings.select.exclude_obs_ids, *fold})
    output = settings.data.output / "validate" / f"fold-{number}"
    return [
        f"select.exclude_obs_ids={', '.join(map(str, excluded))}",
        f"export.obs_ids={', '.join(str(run.obs_id) for run in runs)}",
        f"export.format={settings.export.format[0]}",
        "export.store=index",
        # Scaled to the run, a model would be scored on what it was scaled to
        "export.norm=none",
        f"data.output={output}",
    ]


def _produce(settings: Settings, number: int) -> Settings:
    is_done, _ = run_production(settings, stage="export")
    if not is_done:
        raise NoRunsError(
            what="its models could not be made",
            where=f"fold {number}",
            fix="Read the messages above; try the settings with bkgpipe run first",
        )
    return settings


def _score_fold(
    settings: Settings,
    runs: list[Run],
    *,
    options: ValidateOptions,
    scores: _Scores,
) -> None:
    facts = _read_facts(settings)
    bins = options.bins
    for run in runs:
        try:
            field = _count(settings, run, bins, facts.get(run.obs_id))
            if field.n_events < options.min_events:
                raise _too_few(field, options.min_events)
            found = _score(settings, run, field, facts[run.obs_id], options=options)
        except InputError as error:
            scores.left_out[run.obs_id] = error.what
            continue
        scores.own[run.obs_id] = found[0]
        if options.against is not None:
            scores.other[run.obs_id] = found[-1]


def _read_facts(settings: Settings) -> dict[int, dict[str, Any]]:
    names = ["ontime", "livetime", "safe_energy_min"]
    facts: dict[int, dict[str, Any]] = {}
    for path in sorted(settings.folder("count").glob("count_*.h5")):
        facts.update(read_fields(path, RunCounts, names).records)
    return facts


def _count(
    settings: Settings, run: Run, bins: ScoreBins, facts: dict[str, Any] | None
) -> FieldCounts:
    if facts is None:
        raise InputError(
            what="was refused by count",
            where=f"run {run.obs_id}",
            fix="See bkgpipe status for the reason",
        )
    chunk = run.obs_id // settings.data.chunk_size
    path = settings.folder("mask") / f"mask_{chunk}.h5"
    events, _ = read_events(settings.store, run)
    return count_field(
        run,
        events,
        read_record(path, run.obs_id, ExclusionMask),
        bins=bins,
        safe_energy_min=facts["safe_energy_min"],
    )


def _too_few(field: FieldCounts, min_events: int) -> InputError:
    return InputError(
        what=f"{field.n_events} events outside the mask, fewer than {min_events}",
        where=f"run {field.obs_id}",
        fix="Lower --min-events to score it",
    )


def _score(
    settings: Settings,
    run: Run,
    field: FieldCounts,
    facts: dict[str, Any],
    *,
    options: ValidateOptions,
) -> list[RunScore]:
    """Score our model of a run, and that of the other store if there is one."""
    word = settings.export.format[0]
    name = f"store/models/{word}_{run.obs_id}.fits"
    models = [(read_model(settings.folder("export") / name, word=word), "ontime")]
    if options.against is not None:
        time_name = "livetime" if options.against_livetime else "ontime"
        models.append((read_store_model(options.against, run.obs_id), time_name))
    return [
        score_run(
            field,
            project_model(model, run, bins=field.bins, seconds=facts[time_name]),
        )
        for model, time_name in models
    ]


def _gather(
    scores: _Scores, folds: tuple[tuple[int, ...], ...], options: ValidateOptions
) -> Validation:
    if not scores.own:
        reason = next(iter(scores.left_out.values()), "no run gets a model")
        raise NoRunsError(
            what=f"no run could be scored; the first one: {reason}",
            where="validate",
            fix="Lower --min-events, or check [mask] and the energy range",
        )
    found = {_OWN: scores.own, str(options.against): scores.other}
    models = tuple(
        ModelScore(name=name, runs=tuple(part[key] for key in sorted(part)))
        for name, part in found.items()
        if part
    )
    return Validation(
        bins=options.bins,
        models=models,
        folds=folds,
        kept_together=options.by,
        left_out=scores.left_out,
    )


def _write(
    validation: Validation,
    settings: Settings,
    options: ValidateOptions,
    *,
    seconds: float,
) -> None:
    if options.table is not None:
        header = ProductHeader(
            stage="validate",
            fingerprint=settings.fingerprint("export"),
            inputs=digest(validation.folds),
            seconds=seconds,
            version=__version__,
        )
        write_file(options.table, lambda path: write_scores(path, header, validation))
    if options.plot is not None:
        figure = figure_validation(validation)
        write_file(options.plot, lambda path: save_figure(figure, path))
    _keep(validation, settings)


def _keep(validation: Validation, settings: Settings) -> None:
    """Leave numbers and figure where the report looks for them."""
    numbers, picture = validation_files(settings)
    summary, figure = summarise_validation(validation), figure_validation(validation)
    write_file(picture, lambda path: save_figure(figure, path))
    write_file(numbers, lambda path: write_validation(path, summary))
    click.echo("bkgpipe report puts this into the report.", err=True)


def _answer(validation: Validation) -> dict[str, object]:
    return {
        "models": [_model_answer(model) for model in validation.models],
        "folds": [list(fold) for fold in validation.folds],
        "left_out": validation.left_out,
    }


def _model_answer(model: ModelScore) -> dict[str, object]:
    pulls = model.pulls
    return {
        "name": model.name,
        "runs": len(model.runs),
        "events": model.n_events,
        "deviance": dict(zip(NORMS, model.deviance.tolist(), strict=True)),
        "noise": dict(zip(NORMS, model.noise.tolist(), strict=True)),
        "ratio": {"mean": model.ratios.mean(), "std": model.ratios.std()},
        "pulls": {"mean": pulls.mean(), "std": pulls.std()} if pulls.size else None,
        "unpredicted": model.n_unpredicted,
    }
