"""Score the models of one fold after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bkgpipe.chain.validation import FoldRun, TimedModel, read_facts, read_fold_run
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.settings import Settings
from bkgpipe.stages.validate.axes import (
    add_steps,
    axis_pixels,
    count_zones,
    fine_axis,
    match_axis,
    score_axis,
)
from bkgpipe.stages.validate.axes_data import (
    RANGES,
    AxesTest,
    AxisScore,
    EnergyAxis,
    FieldZones,
    RunOnAxis,
)
from bkgpipe.stages.validate.data import ModelScore, RunScore, ScoreBins
from bkgpipe.stages.validate.field_match import FieldMatch
from bkgpipe.stages.validate.plan import share_nights
from bkgpipe.stages.validate.projection import model_energies, project_model
from bkgpipe.stages.validate.score import (
    count_field,
    join_matches,
    match_field,
    score_match,
)

__all__ = ["Rival", "Scoring"]

_OWN = "this production"


@dataclass(frozen=True, kw_only=True)
class Rival:
    """Another store whose models are scored.

    Attributes
    ----------
    store : Path
        Folder of the store.
    per_livetime : bool
        Its models are per live time, not per on-time.
    """

    store: Path
    per_livetime: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Scoring:
    """What was scored in the folds so far.

    Attributes
    ----------
    bins : ScoreBins
        Energies and pixels.
    axes : tuple of EnergyAxis
        Axes on which models are judged; none if that is not asked for.
    min_events : int
        Runs with fewer events are joined by night.
    rival : Rival or None
        Another store.
    runs : dict of int to Run
        Runs that were scored.
    matches : dict of int to list of FieldMatch
        Poor runs, for each kind of models.
    scores : dict of int to list of RunScore
        Other runs, likewise.
    on_axes : dict of int to list of tuple of RunOnAxis
        All runs on the axes, likewise.
    n_events : dict of int to int
        Events of each run.
    left_out : dict of int to str
        Reasons for runs that cannot be scored.
    """

    bins: ScoreBins
    axes: tuple[EnergyAxis, ...]
    min_events: int
    rival: Rival | None
    runs: dict[int, Run] = field(default_factory=dict)
    matches: dict[int, list[FieldMatch]] = field(default_factory=dict)
    scores: dict[int, list[RunScore]] = field(default_factory=dict)
    on_axes: dict[int, list[tuple[RunOnAxis, ...]]] = field(default_factory=dict)
    n_events: dict[int, int] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kinds of models."""
        return (_OWN, str(self.rival.store)) if self.rival else (_OWN,)

    def score_fold(self, settings: Settings, runs: Sequence[Run]) -> None:
        """Score the models of a fold.

        Parameters
        ----------
        settings : Settings
            Settings of the fold, whose models are made.
        runs : sequence of Run
            Its runs.

        Raises
        ------
        DamagedFileError
            If a product file is not what was written.
        """
        facts = read_facts(settings)
        for run in runs:
            try:
                read = read_fold_run(settings, run, facts)
                self._score_run(read, self._read_models(read, settings))
            except InputError as error:
                self.left_out[run.obs_id] = error.what

    def _read_models(self, read: FoldRun, settings: Settings) -> list[TimedModel]:
        found = [read.own_model(settings)]
        if self.rival:
            store, per_livetime = self.rival.store, self.rival.per_livetime
            found.append(read.other_model(store, per_livetime=per_livetime))
        return found

    def _score_run(self, read: FoldRun, models: Sequence[TimedModel]) -> None:
        counted = count_field(
            read.run,
            read.events,
            read.mask,
            bins=self.bins,
            safe_energy_min=read.safe_energy_min,
        )
        found = []
        for each in models:
            predicted = project_model(
                each.model, read.run, bins=self.bins, seconds=each.seconds
            )
            found.append(match_field(counted, predicted))
        obs_id = read.run.obs_id
        self.runs[obs_id], self.n_events[obs_id] = read.run, counted.n_events
        if counted.n_events < self.min_events:
            self.matches[obs_id] = found
        else:
            self.scores[obs_id] = [score_match(match) for match in found]
        if self.axes:
            self._judge_run(read, models)

    def _judge_run(self, read: FoldRun, models: Sequence[TimedModel]) -> None:
        zones = count_zones(
            read.run,
            read.events,
            read.mask,
            offset_max=self.bins.offset_max,
            safe_energy_min=read.safe_energy_min,
        )
        self.on_axes[read.run.obs_id] = [
            self._judge_model(read, zones, each) for each in models
        ]

    def _judge_model(
        self, read: FoldRun, zones: FieldZones, each: TimedModel
    ) -> tuple[RunOnAxis, ...]:
        steps, energy_range = fine_axis(self.axes), model_energies(each.model)
        fine = self._project(steps, read, each)
        return tuple(
            match_axis(
                zones,
                self._project(axis, read, each),
                axis,
                exact=add_steps(fine, steps, axis),
                energy_range=energy_range,
            )
            for axis in self.axes
        )

    def _project(self, axis: EnergyAxis, read: FoldRun, each: TimedModel) -> np.ndarray:
        return project_model(
            each.model,
            read.run,
            bins=axis_pixels(axis, offset_max=self.bins.offset_max),
            seconds=each.seconds,
            oversampling=axis.oversampling,
        )

    def join_nights(self) -> None:
        """Score poor runs together with those of their night, when all are there."""
        shares = share_nights(
            list(self.runs.values()), self.n_events, min_events=self.min_events
        )
        for obs_ids in shares.joined:
            kinds = zip(*(self.matches[obs_id] for obs_id in obs_ids), strict=True)
            self.scores[obs_ids[0]] = [
                score_match(join_matches(kind, min_counts=self.bins.min_counts))
                for kind in kinds
            ]
        self.left_out.update(shares.left_out)

    def model_scores(self) -> tuple[ModelScore, ...]:
        """Return the scores of each kind of models.

        Returns
        -------
        tuple of ModelScore
            Runs in order of their numbers.
        """
        keys = sorted(self.scores)
        return tuple(
            ModelScore(name=name, runs=tuple(self.scores[key][i] for key in keys))
            for i, name in enumerate(self.names)
        )

    def axes_test(self) -> AxesTest | None:
        """Return the scores on all axes.

        Returns
        -------
        AxesTest or None
            Scores; None if no axis was asked for.
        """
        if not self.on_axes:
            return None
        scores = {name: self._judge(i) for i, name in enumerate(self.names)}
        return AxesTest(scores=scores, offset_max=self.bins.offset_max)

    def _judge(self, kind: int) -> tuple[AxisScore, ...]:
        found = [
            score_axis(
                axis,
                [self.on_axes[key][kind][i] for key in sorted(self.on_axes)],
                energies=energies,
            )
            for energies in RANGES
            for i, axis in enumerate(self.axes)
        ]
        return tuple(score for score in found if score is not None)
