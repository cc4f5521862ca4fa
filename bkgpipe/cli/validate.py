"""Score models on runs that they have not seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import numpy as np

from bkgpipe.chain.found import exclude_found, known_found
from bkgpipe.chain.inputs import read_store
from bkgpipe.chain.validation import glance_at_runs
from bkgpipe.cli.finding import find_sources
from bkgpipe.cli.run import run_production
from bkgpipe.cli.validate_write import (
    Outputs,
    describe,
    validation_answer,
    write_outputs,
)
from bkgpipe.core.run import Run, RunTable
from bkgpipe.errors import NoRunsError
from bkgpipe.settings import Settings, read_settings
from bkgpipe.stages.export.norm import rim_start
from bkgpipe.stages.select.rules import select_runs
from bkgpipe.stages.validate.axes import make_axes
from bkgpipe.stages.validate.axes_data import INSIDE_OFFSET, EnergyAxis
from bkgpipe.stages.validate.data import ScoreBins, Validation
from bkgpipe.stages.validate.folds import make_folds
from bkgpipe.stages.validate.plan import choose_energies, count_in_range, share_nights
from bkgpipe.stages.validate.plan_data import RunGlance, ScoredEnergies
from bkgpipe.tools.validate.fold import Rival, Scoring

__all__ = ["ValidateOptions", "validate_production"]

_OFFSET_MAX = 2.0  # deg, if models reach so far
_PER_DECADE = 4


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
    energy_range : tuple of float or None
        Lowest and highest energy [TeV]; from the events if None.
    energy_bins : int or None
        Number of energy bins; four a decade if None.
    offset_max : float or None
        Largest offset [deg]; 2 deg, or as far as models reach, if None.
    min_events : int
        Runs with fewer events outside the mask are joined by night.
    axes : bool
        Judge models also on energy axes that are not their own.
    outputs : Outputs
        Files to write.
    """

    folds: int = 5
    by: str = "run"
    seed: int = 1
    against: Path | None = None
    against_livetime: bool = False
    energy_range: tuple[float, float] | None = None
    energy_bins: int | None = None
    offset_max: float | None = None
    min_events: int = 300
    axes: bool = False
    outputs: Outputs = field(default_factory=Outputs)

    @property
    def rival(self) -> Rival | None:
        """The other store."""
        if self.against is None:
            return None
        return Rival(store=self.against, per_livetime=self.against_livetime)


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
        If settings or stores cannot be used, there are too few runs for two folds, or
        no run has enough events.
    """
    started = time.monotonic()
    asked = read_settings(config, overrides)
    settings = exclude_found(asked, known_found(asked)[0])
    table = select_runs(
        read_store(settings),
        settings.select.cuts,
        export_obs_ids=settings.export.obs_ids,
    )
    folds = _make_folds(table, options)
    scoring = _plan(settings, table, options)
    for number, fold in enumerate(folds, start=1):
        runs = _exported(table, fold)
        if not runs:
            continue
        noun = "run" if len(runs) == 1 else "runs"
        click.echo(f"Fold {number} of {len(folds)}: {len(runs)} {noun}", err=True)
        changes = _fold_overrides(settings, fold, runs, number=number)
        changes.append(f"export.norm={_norm(settings, scoring.bins)}")
        of_fold = read_settings(config, [*overrides, *changes])
        if asked.mask.find:
            changes += _training_overrides(of_fold)
            training = read_settings(config, [*overrides, *changes])
            of_fold = replace(of_fold, mask=find_sources(training).mask)
        made = _produce(of_fold, number)
        scoring.score_fold(made, runs)
    scoring.join_nights()
    validation, axes = _gather(scoring, folds, options), scoring.axes_test()
    seconds = time.monotonic() - started
    write_outputs(validation, axes, settings, options.outputs, seconds=seconds)
    click.echo(
        json.dumps(validation_answer(validation, axes))
        if as_json
        else describe(validation, axes)
    )


def _make_folds(
    table: RunTable, options: ValidateOptions
) -> tuple[tuple[int, ...], ...]:
    rng = np.random.default_rng(options.seed)
    folds = make_folds(table.selected, n_folds=options.folds, by=options.by, rng=rng)
    if len(folds) < options.folds:
        noun = "run" if options.by == "random" else options.by
        click.echo(
            f"{len(folds)} folds instead of {options.folds}: there is no more than one "
            f"{noun} for each.",
            err=True,
        )
    return folds


def _plan(settings: Settings, table: RunTable, options: ValidateOptions) -> Scoring:
    """Choose energies, and say before the first fold what can be scored."""
    reach = settings.binning.offset_max
    offset_max = options.offset_max or min(_OFFSET_MAX, reach)
    runs = _exported(table, (run.obs_id for run in table.selected))
    if not runs:
        _refuse("no run gets a model")
    glances = glance_at_runs(settings, runs, offset_max=offset_max)
    energies = _choose_energies(settings, glances, options)
    _tell_plan(runs, glances, energies, options)
    return Scoring(
        bins=ScoreBins(energy_edges=energies.edges, offset_max=offset_max),
        axes=_make_axes(settings, options) if options.axes else (),
        min_events=options.min_events,
        rival=options.rival,
    )


def _make_axes(settings: Settings, options: ValidateOptions) -> tuple[EnergyAxis, ...]:
    energy_max = settings.binning.energy_max
    if options.energy_range is not None:
        energy_max = min(energy_max, options.energy_range[1])
    return make_axes(settings.binning.energy_min, energy_max)


def _choose_energies(
    settings: Settings, glances: Sequence[RunGlance], options: ValidateOptions
) -> ScoredEnergies:
    binning = settings.binning
    if options.energy_range is None:
        found = choose_energies(
            glances, energy_min=binning.energy_min, energy_max=binning.energy_max
        )
        low, high, reason = found.low, found.high, found.reason
    else:
        (low, high), reason = options.energy_range, "as asked for"
    n_bins = options.energy_bins or max(1, round(_PER_DECADE * np.log10(high / low)))
    return ScoredEnergies(low=low, high=high, n_bins=n_bins, reason=reason)


def _tell_plan(
    runs: Sequence[Run],
    glances: Sequence[RunGlance],
    energies: ScoredEnergies,
    options: ValidateOptions,
) -> None:
    n_events = count_in_range(glances, energies.low, energies.high)
    shares = share_nights(runs, n_events, min_events=options.min_events)
    click.echo(
        f"Energies: {energies.low:g} to {energies.high:g} TeV in {energies.n_bins} "
        f"bins, {energies.reason}.",
        err=True,
    )
    if shares.joined:
        n_joined = sum(len(block) for block in shares.joined)
        click.echo(
            f"About {n_joined} runs with fewer than {options.min_events} events are "
            f"scored together with others of their night: {len(shares.joined)} in all.",
            err=True,
        )
    if shares.left_out:
        click.echo(
            f"About {len(shares.left_out)} runs have too few events to be scored, even "
            "with others of their night.",
            err=True,
        )
    if glances and not shares.alone and not shares.joined:
        _refuse(next(iter(shares.left_out.values())))


def _refuse(reason: str) -> None:
    raise NoRunsError(
        what=f"no run could be scored; the first one: {reason}",
        where="validate",
        fix="Lower --min-events, or check [mask] and the energy range",
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
        # Below the safe energy models are judged within this offset
        f"export.norm_min_offset={INSIDE_OFFSET} deg",
        f"data.output={output}",
        # masks and counts do not depend on who is left out
        f"data.counts={settings.data.counts or settings.data.output}",
    ]


def _training_overrides(settings: Settings) -> list[str]:
    """Look for sources in the runs that a fold does not leave out."""
    return ["export.obs_ids=", f"data.output={settings.data.output / 'find'}"]


def _norm(settings: Settings, bins: ScoreBins) -> str:
    """Let no model be scored on events of the run that it was scaled to."""
    is_beyond = bins.offset_max <= rim_start(settings.binning.axes)
    return "rim" if settings.export.norm == "rim" and is_beyond else "none"


def _produce(settings: Settings, number: int) -> Settings:
    is_done, _ = run_production(settings, stage="export")
    if not is_done:
        raise NoRunsError(
            what="its models could not be made",
            where=f"fold {number}",
            fix="Read the messages above; try the settings with bkgpipe run first",
        )
    return settings


def _gather(
    scoring: Scoring, folds: tuple[tuple[int, ...], ...], options: ValidateOptions
) -> Validation:
    if not scoring.scores:
        _refuse(next(iter(scoring.left_out.values()), "no run gets a model"))
    return Validation(
        bins=scoring.bins,
        models=scoring.model_scores(),
        folds=folds,
        kept_together=options.by,
        left_out=scoring.left_out,
    )
