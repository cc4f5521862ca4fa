from __future__ import annotations

import pytest

from bkgpipe.errors import NoRunsError, SettingsError
from bkgpipe.io.regression import read_fit
from bkgpipe.settings import settings_text
from bkgpipe.tasks import FitRegression, regression


def test_too_many_runs_are_refused_before_they_are_read(production, build, monkeypatch):
    task = production(smooth__method="regression", binning__per_decade="5")
    fit = task.sibling(FitRegression)
    assert build(fit.requires())
    monkeypatch.setattr(regression, "_MAX_RUNS", 7)

    with pytest.raises(
        SettingsError, match=r"\[smooth\] method: a regression of 8"
    ) as e:
        fit.run()

    assert "method = gaussian" in e.value.fix
    assert not fit.output().exists()


def test_no_run_left_is_told(production, build):
    task = production(
        smooth__method="regression",
        binning__per_decade="5",
        mask__min_kept_fraction="1",
    )
    fit = task.sibling(FitRegression)
    assert build(fit.requires())

    with pytest.raises(NoRunsError, match="no run is left to fit") as caught:
        fit.run()

    assert "min_kept_fraction" in caught.value.fix


def test_settings_of_a_regression_reach_the_fit(production, build):
    task = production(
        smooth__method="regression",
        smooth__terms="zenith, control_outer",
        smooth__ridge="7",
        smooth__offset_splines="5",
        binning__per_decade="5",
    )
    fit = task.sibling(FitRegression)
    assert build(fit)

    found = read_fit(fit.folder / "fit.h5")
    assert set(found.terms) <= {"zenith", "control_outer"}
    assert found.ridge == 7
    assert found.offset_knots.size == 5 + 4
    assert "ridge = 7.0" in settings_text(task.settings)
