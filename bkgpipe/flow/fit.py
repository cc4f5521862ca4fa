"""Fit all runs at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bkgpipe.chain.refusals import require
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError, NoRunsError
from bkgpipe.flow.base import ChunkTask
from bkgpipe.flow.count import OfAllCounts
from bkgpipe.flow.engine.targets import ProductTarget
from bkgpipe.product.hdf5 import read_header
from bkgpipe.settings import Settings
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.files import read_each, read_heads
from bkgpipe.stages.fit.data import FitPoints, RegressionFit, RunHead
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
from bkgpipe.stages.fit.systematics import measure_systematics
from bkgpipe.stages.report.fit_words import misfit_words, residual_lines
from bkgpipe.stages.stack.groups import refusal

__all__ = ["Fit"]

_log = logging.getLogger(__name__)

_MAX_SCATTER_RUNS = 2000  # give the scatter to 2 per cent of itself


class Fit(OfAllCounts):
    """Fit all runs at once: reads all counts, writes ``fit.h5``."""

    stage = "fit"

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
        keys, alignment = self.settings.fit, self.settings.export.alignment
        point = find_points(runs.heads, keys.terms, max_points=keys.max_points)
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
        keys = self.settings.fit
        start = (keys.penalty, keys.term_penalty, keys.ridge)
        if not keys.choose_penalties:
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
        keys = self.settings.fit
        penalty, term_penalty, ridge = strengths
        return fit_regression(
            points,
            fov_alignment=self.settings.export.alignment,
            terms=keys.terms,
            energy_splines=keys.energy_splines,
            offset_splines=keys.offset_splines,
            penalty=penalty,
            term_penalty=term_penalty,
            ridge=ridge,
        )


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
        require(settings, run, stage="fit")
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
            "[fit] penalty, or set energy_splines = 0",
            misfits,
        )
