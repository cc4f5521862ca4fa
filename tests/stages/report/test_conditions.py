from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.report.conditions import figure_dependence
from bkgpipe.stages.report.dependence import ConditionCurve, Dependence, RunRate


def _rate(obs_id: int, **changes: float) -> RunRate:
    values = {
        "stack_id": obs_id,
        "safe_energy_min": 0.5,
        "kept_fraction": 0.9,
        "checksum": "ab12",
        "n_events": 900,
        "counts": 400,
        "exposure": 10.0,
        "predicted": 500.0,
    }
    return RunRate(obs_id=obs_id, **(values | changes))


@pytest.fixture
def runs(make_crab):
    return [
        make_crab(
            obs_id=i,
            zenith=10.0 + i,
            time_start=53000.0 + 100 * i,
            muon_efficiency=float("nan"),
        )
        for i in range(5)
    ]


def test_columns_are_the_conditions_that_are_known(runs):
    dependence = Dependence(energy_min=0.75, runs=tuple(_rate(i) for i in range(5)))
    figure = figure_dependence(dependence, runs)
    labels = [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()]
    assert labels == ["zenith angle [deg]", "time [year]"]
    assert "rate above 0.75 TeV" in figure.axes[0].get_ylabel()


def test_rates_and_ratios_are_those_of_the_runs(runs):
    rates = (_rate(0), _rate(3, counts=100), _rate(4, exposure=0.0), _rate(99))
    figure = figure_dependence(Dependence(energy_min=0.5, runs=rates), runs)
    above, below = figure.axes[0], figure.axes[2]
    counted = above.containers[0].lines[0]
    # run 4 has no exposure there, and run 99 is not known
    np.testing.assert_allclose(counted.get_xdata(), [10.0, 13.0])
    np.testing.assert_allclose(counted.get_ydata(), [40.0, 10.0])
    ratio = below.containers[0].lines[0]
    np.testing.assert_allclose(ratio.get_ydata(), [0.8, 0.2])


def test_the_regression_is_drawn_with_its_error(runs):
    curve = ConditionCurve(
        name="time",
        values=np.array([53000.0, 53365.25]),
        rate=np.array([30.0, 40.0]),
        error=np.array([0.1, 0.2]),
    )
    dependence = Dependence(
        energy_min=0.5, runs=tuple(_rate(i) for i in range(5)), curves=(curve,)
    )
    ax = figure_dependence(dependence, runs).axes[1]
    (line,) = [line for line in ax.lines if "regression" in str(line.get_label())]
    assert np.diff(line.get_xdata()) == pytest.approx(1.0)
    band = ax.collections[-1].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == (pytest.approx(27.0), pytest.approx(48.0))


def test_many_runs_are_summed_up_by_medians(make_crab):
    runs = [make_crab(obs_id=i, zenith=i / 10) for i in range(500)]
    dependence = Dependence(energy_min=0.5, runs=tuple(_rate(i) for i in range(500)))
    figure = figure_dependence(dependence, runs)
    labels = {str(line.get_label()) for line in figure.axes[0].lines}
    assert {"runs", "median of the runs", "median of the models"} <= labels
    assert not figure.axes[0].containers
    figure.draw_without_rendering()


def test_runs_without_models_are_drawn(runs):
    rates = tuple(_rate(i, predicted=float("nan")) for i in range(5))
    figure_dependence(
        Dependence(energy_min=0.5, runs=rates), runs
    ).draw_without_rendering()
