from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BkgpipeError
from bkgpipe.stages.report.dependence import (
    ConditionCurve,
    Dependence,
    RunRate,
    RunSpectrum,
)

_RATE = RunRate(
    obs_id=7,
    stack_id=7,
    safe_energy_min=0.5,
    kept_fraction=0.9,
    checksum="ab",
    n_events=500,
    counts=400,
    exposure=8.0,
    predicted=441.0,
)


def test_rate_ratio_and_pull():
    assert _RATE.rate == 50.0
    assert _RATE.rate_error == 2.5
    assert _RATE.predicted_rate == pytest.approx(55.125)
    assert _RATE.ratio == pytest.approx(400 / 441)
    assert _RATE.pull == pytest.approx(-41 / 21)


def test_a_run_without_events_has_the_error_of_one():
    assert replace(_RATE, counts=0).rate_error == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    "name", ["rate", "rate_error", "predicted_rate", "ratio", "pull"]
)
def test_without_exposure_nothing_is_known(name: str):
    assert np.isnan(getattr(replace(_RATE, exposure=0.0), name))


@pytest.mark.parametrize("name", ["ratio", "pull"])
@pytest.mark.parametrize("predicted", [0.0, float("nan")])
def test_without_prediction_nothing_is_compared(name: str, predicted: float):
    assert np.isnan(getattr(replace(_RATE, predicted=predicted), name))


def test_shapes_must_agree():
    with pytest.raises(BkgpipeError):
        ConditionCurve(
            name="time", values=np.ones(3), rate=np.ones(3), error=np.ones(2)
        )
    with pytest.raises(BkgpipeError):
        RunSpectrum(
            obs_id=1,
            stack_id=1,
            safe_energy_min=0.1,
            kept_fraction=1.0,
            checksum="",
            counts=np.ones(4),
            exposure=np.ones(3),
            predicted=np.ones(4),
        )


def test_nothing_is_known_of_no_runs():
    assert np.isnan(Dependence().energy_min)
    assert Dependence().runs == ()
