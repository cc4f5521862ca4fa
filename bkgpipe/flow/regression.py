"""Fit all runs at once, and predict the rate of each run that gets a model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bkgpipe.chain.inputs import load_fit
from bkgpipe.chain.refusals import require
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError, NoRunsError
from bkgpipe.flow.base import ChunkTask, StageTask
from bkgpipe.flow.collect import collect
from bkgpipe.flow.count import Count, OfAllCounts
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.product.hdf5 import read_header
from bkgpipe.settings import Settings
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.files import COUNTS, read_each, read_heads
from bkgpipe.stages.fit.data import FitPoints, RegressionFit, RegressionRate, RunHead
from bkgpipe.stages.fit.files import FIT
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.penalties import (
    PenaltyTrial,
    Strengths,
    choose_penalties,
    pick_strengths,
    trial_table,
)
from bkgpipe.stages.fit.points import find_points, join_runs, make_head
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.systematics import measure_systematics, run_systematics
from bkgpipe.stages.fit.terms import make_conditions
from bkgpipe.stages.report.fit_words import misfit_words, residual_lines
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.groups import refusal, stack_runs

__all__ = ["FitRegression", "Predict"]

_log = logging.getLogger(__name__)

_MAX_SCATTER_RUNS = 2000  # give the scatter to 2 per cent of itself


class FitRegression(OfAllCounts):
    """Fit all runs at once: reads all counts, writes ``fit.h5``."""

    stage = "smooth"

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "fit.h5", inputs=self.inputs, read_header=read_header
        )

    def run(self) -> None:
        runs = _read_heads(self.settings, self.requires().chunks())
        _require_some(runs, where=str(self.folder))

        fit = self._fit(runs)

        with self.output().temporary_path() as path:
            FIT.write_one(Path(path), self.header(), fit)

    def _fit(self, runs: _FitRuns) -> RegressionFit:
        smooth, alignment = self.settings.smooth, self.settings.export.alignment
        point = find_points(runs.heads, smooth.terms, max_points=smooth.max_points)
        points = join_runs(runs.read(), point, fov_alignment=alignment)
        strengths, trials = self._choose_strengths(points)
        fit = replace(self._fit_points(points, strengths), trials=trial_table(trials))
        for reason in fit.dropped:
            _log.warning("Regression without the term %s", reason)
        _tell_residual(fit)
        if points.n_points == points.n_runs:
            return measure_systematics(fit, points)
        every = -(-points.n_runs // _MAX_SCATTER_RUNS)
        sample = runs.read(every=every)
        return measure_systematics(fit, points, runs=sample, point=point[::every])

    def _choose_strengths(
        self, points: FitPoints
    ) -> tuple[Strengths, tuple[PenaltyTrial, ...]]:
        smooth = self.settings.smooth
        start = (smooth.penalty, smooth.term_penalty, smooth.ridge)
        if not smooth.choose_penalties:
            return start, ()
        trials = choose_penalties(points, self._fit_points, start=start)
        for *strengths, deviance, error in trial_table(trials):
            _log.info(
                "Penalties %s: deviance %.1f, less the best %.1f +- %.1f",
                ", ".join(f"{strength:g}" for strength in strengths),
                deviance,
                deviance - trials[0].total,
                error,
            )
        chosen = pick_strengths(trials)
        _log.info("Penalties chosen: %g, %g, %g", *chosen)
        return chosen, trials

    def _fit_points(self, points: FitPoints, strengths: Strengths) -> RegressionFit:
        smooth = self.settings.smooth
        penalty, term_penalty, ridge = strengths
        return fit_regression(
            points,
            fov_alignment=self.settings.export.alignment,
            terms=smooth.terms,
            energy_splines=smooth.energy_splines,
            offset_splines=smooth.offset_splines,
            penalty=penalty,
            term_penalty=term_penalty,
            ridge=ridge,
        )


class Predict(ChunkTask):
    """Predict rates: reads the fit and counts, writes ``smooth_{chunk}.h5``."""

    stage = "smooth"

    def requires(self) -> list[StageTask]:
        return [self.sibling(FitRegression), self.sibling(Count)]

    def run(self) -> None:
        fit = load_fit(Path(self.input()[0].path))
        counts = COUNTS.read(Path(self.input()[1].path))

        def rate(obs_id: int) -> RateModel:
            run = counts.records[obs_id]
            require(self.settings, run.run, stage="smooth")
            return _predict(fit, run)

        obs_ids = [run.obs_id for run in self.exported]
        chunk = collect(obs_ids, rate, refused=counts.refused, tell=self.tell)

        with self.output().temporary_path() as path:
            MODELS.write(Path(path), self.header(), chunk)


@dataclass(frozen=True, kw_only=True)
class _FitRuns:
    """Runs to fit, in order of ``obs_id``, and the file that holds each."""

    heads: list[RunHead]
    paths: list[Path]

    def read(self, *, every: int = 1) -> Iterator[RunCounts]:
        """Read each run, or each so many, one after the other."""
        obs_ids = (head.obs_id for head in self.heads[::every])
        return read_each(zip(self.paths[::every], obs_ids, strict=True))


def _has_conditions(settings: Settings, run: Run) -> bool:
    """Tell whether a run has what its model will need, as where the zenith is."""
    try:
        require(settings, run, stage="smooth")
    except InputError as error:
        _log.warning("Not fitted: %s", error)
        return False
    return True


def _read_heads(settings: Settings, counts: Sequence[ChunkTask]) -> _FitRuns:
    """Read the conditions of all runs that may be fitted."""
    alignment, least = settings.export.alignment, settings.mask.min_kept_fraction
    heads: list[tuple[RunHead, Path]] = []
    for task in counts:
        selected = {run.obs_id for run in task.used if run.selected}
        for run in read_heads(task.path).only(selected).records.values():
            if refusal(run.tally, min_kept_fraction=least):
                continue
            if _has_conditions(settings, run.run):
                heads.append((make_head(run, fov_alignment=alignment), task.path))
    heads.sort(key=lambda pair: pair[0].obs_id)
    return _FitRuns(
        heads=[head for head, _ in heads], paths=[path for _, path in heads]
    )


def _require_some(runs: _FitRuns, *, where: str) -> None:
    if not runs.heads:
        raise NoRunsError(
            what="no run is left to fit",
            where=where,
            fix="Widen [select] or [mask] min_kept_fraction; bkgpipe status tells why "
            "runs were refused",
        )


def _tell_residual(fit: RegressionFit) -> None:
    for line in residual_lines(fit):
        _log.info("Regression at %s", line)
    misfits = misfit_words(fit)
    if misfits:
        _log.warning(
            "The regression does not follow the counts of all runs at %s. Lower "
            "[smooth] penalty, or set energy_splines = 0",
            misfits,
        )


def _warn_of_excursions(run: RunCounts, predicted: RegressionRate) -> None:
    for excursion in predicted.excursions:
        _log.warning(
            "Run %d: %s; the model extrapolates, or takes the mean, with an error of "
            "%.0f %% for that",
            run.obs_id,
            excursion,
            100 * predicted.excursion_error,
        )


def _predict(fit: RegressionFit, run: RunCounts) -> RateModel:
    """Model of a run under its own conditions, per live time."""
    conditions = make_conditions(run, fov_alignment=fit.fov_alignment)
    predicted = predict(fit, conditions, run.binning)
    _warn_of_excursions(run, predicted)
    systematic, systematic_energy = run_systematics(
        fit,
        conditions,
        run.binning,
        pointing=(run.run.ra, run.run.dec),
        excursion_error=predicted.excursion_error,
    )
    return RateModel(
        stack_id=run.obs_id,
        binning=run.binning,
        method="regression",
        rate_3d=predicted.rate_3d,
        exposure_3d=np.broadcast_to(
            fit.livetime * run.binning.solid_angle_3d, run.binning.shape_3d
        ),
        rate_2d=predicted.rate_2d,
        exposure_2d=np.broadcast_to(
            fit.livetime * run.binning.solid_angle_2d, run.binning.shape_2d
        ),
        n_runs=fit.n_runs,
        livetime=fit.livetime,
        conditions=stack_runs([run], stack_id=run.obs_id).conditions,
        error_3d=predicted.error_3d,
        error_2d=predicted.error_2d,
        systematic=systematic,
        systematic_energy=systematic_energy,
        is_fitted=predicted.is_fitted,
        has_safe_runs=predicted.has_safe_runs,
        low_scatter=fit.low_scatter,
        excursions=tuple(map(str, predicted.excursions)),
    )
