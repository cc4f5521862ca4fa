"""Fit all runs at once, and predict the rate of each run that gets a model."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from bkgpipe.datamodel import RateModel, RegressionFit, RunCounts
from bkgpipe.errors import NoRunsError, SettingsError
from bkgpipe.io.count import read_counts
from bkgpipe.io.hdf5 import read_header
from bkgpipe.io.regression import read_fit, write_fit
from bkgpipe.io.smooth import write_models
from bkgpipe.numerics.predict import predict
from bkgpipe.numerics.regression import fit_regression
from bkgpipe.numerics.stack import stack_runs
from bkgpipe.numerics.terms import make_conditions
from bkgpipe.tasks.archive import read_archive
from bkgpipe.tasks.base import ChunkTask, StageTask
from bkgpipe.tasks.collect import collect
from bkgpipe.tasks.count import AllCounts, Count
from bkgpipe.tasks.targets import ProductTarget

__all__ = ["FitRegression", "Predict"]

_log = logging.getLogger(__name__)

# Counts of a run take about 100 kB in memory with the default binning.
_MAX_RUNS = 5000


class FitRegression(StageTask):
    """Fit all runs at once: reads all counts, writes ``fit.h5``."""

    stage = "smooth"

    def requires(self) -> AllCounts:
        return self.sibling(AllCounts)

    def output(self) -> ProductTarget:
        return ProductTarget(
            self.folder / "fit.h5", inputs=self.inputs, read_header=read_header
        )

    def run(self) -> None:
        archive = read_archive(
            self.requires().chunks(),
            min_kept_fraction=self.settings.mask.min_kept_fraction,
        )
        obs_ids = [shape.obs_id for shape in archive.candidates]
        _require_number(len(obs_ids), where=str(self.folder))
        runs = list(archive.read_counts(obs_ids))

        fit = self._fit(runs)

        with self.output().temporary_path() as path:
            write_fit(Path(path), self.header(), fit)

    def _fit(self, runs: list[RunCounts]) -> RegressionFit:
        smooth = self.settings.smooth
        fit = fit_regression(
            runs,
            fov_alignment=self.settings.export.alignment,
            terms=smooth.terms,
            energy_splines=smooth.energy_splines,
            offset_splines=smooth.offset_splines,
            penalty=smooth.penalty,
            term_penalty=smooth.term_penalty,
            ridge=smooth.ridge,
        )
        for reason in fit.dropped:
            _log.warning("Regression without the term %s", reason)
        return fit


class Predict(ChunkTask):
    """Predict rates: reads the fit and counts, writes ``smooth_{chunk}.h5``."""

    stage = "smooth"

    def requires(self) -> list[StageTask]:
        return [self.sibling(FitRegression), self.sibling(Count)]

    def run(self) -> None:
        fit = read_fit(Path(self.input()[0].path))
        counts = read_counts(Path(self.input()[1].path))

        def rate(obs_id: int) -> RateModel:
            return _predict(fit, counts.records[obs_id])

        obs_ids = [run.obs_id for run in self.exported]
        chunk = collect(obs_ids, rate, refused=counts.refused)

        with self.output().temporary_path() as path:
            write_models(Path(path), self.header(), chunk)


def _require_number(n_runs: int, *, where: str) -> None:
    if n_runs == 0:
        raise NoRunsError(
            what="no run is left to fit",
            where=where,
            fix="Widen [select] or [mask] min_kept_fraction; bkgpipe status tells why "
            "runs were refused",
        )
    if n_runs > _MAX_RUNS:
        raise SettingsError(
            what=f"a regression of {n_runs} runs would take more memory than a worker "
            f"should have; {_MAX_RUNS} is the most",
            where="[smooth] method",
            fix="Select fewer runs, or set method = gaussian, which works in groups",
        )


def _predict(fit: RegressionFit, run: RunCounts) -> RateModel:
    """Model of a run under its own conditions, per live time."""
    conditions = make_conditions(run, fov_alignment=fit.fov_alignment)
    predicted = predict(fit, conditions, run.binning)
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
    )
