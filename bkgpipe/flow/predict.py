"""Predict the rate of each run that gets a model, by the fit of all runs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from bkgpipe.chain.inputs import load_fit
from bkgpipe.chain.refusals import require
from bkgpipe.flow.base import ChunkTask, StageTask
from bkgpipe.flow.collect import collect
from bkgpipe.flow.count import Count
from bkgpipe.flow.fit import Fit
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.fit.data import RegressionFit, RegressionRate
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.systematics import run_systematics
from bkgpipe.stages.fit.terms import make_conditions
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.groups import stack_runs

__all__ = ["Predict"]

_log = logging.getLogger(__name__)


class Predict(ChunkTask):
    """Predict rates: reads the fit and counts, writes ``smooth_{chunk}.h5``."""

    stage = "smooth"

    def requires(self) -> list[StageTask]:
        return [self.sibling(Fit), self.sibling(Count)]

    def run(self) -> None:
        fit = load_fit(Path(self.input()[0].path))
        counts = COUNTS.read(Path(self.input()[1].path))

        def rate(obs_id: int) -> RateModel:
            run = counts.records[obs_id]
            require(self.settings, run.run, stage="fit")
            return _predict(fit, run)

        obs_ids = [run.obs_id for run in self.exported]
        chunk = collect(obs_ids, rate, refused=counts.refused, tell=self.tell)

        with self.output().temporary_path() as path:
            MODELS.write(Path(path), self.header(), chunk)


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
