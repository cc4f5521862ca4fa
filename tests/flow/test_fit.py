from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from bkgpipe.errors import NoRunsError
from bkgpipe.flow import AllSmooths, Fit
from bkgpipe.flow import fit as fit_module
from bkgpipe.product.chunk_file import read_refused
from bkgpipe.settings import settings_text
from bkgpipe.stages.fit.files import FIT
from bkgpipe.stages.smooth.files import MODELS


def test_more_runs_than_points_are_joined(production, build):
    """The coefficients change a little, and the scatter is still that of runs."""
    found = {}
    for max_points in (500, 4):
        task = production(
            smooth__method="regression",
            fit__terms="zenith, gradient",
            fit__max_points=str(max_points),
            binning__per_decade="5",
        )
        fit = task.sibling(Fit)
        assert build(fit)
        found[max_points] = FIT.read_one(fit.folder / "fit.h5")
    single, joined = found[500], found[4]
    assert single.n_runs == joined.n_runs == 8
    assert single.livetime == pytest.approx(joined.livetime)
    np.testing.assert_array_equal(single.condition_high, joined.condition_high)
    assert np.isfinite(joined.scatter)
    assert joined.scatter == pytest.approx(single.scatter, abs=0.03)
    difference = np.abs(single.coefficients - joined.coefficients).max()
    assert 0 < difference < 0.1


def test_scatter_is_of_a_sample_of_many_runs(production, build, monkeypatch):
    monkeypatch.setattr(fit_module, "_MAX_SCATTER_RUNS", 3)
    read = []

    def measure(fit, _, *, runs, point):
        read.extend(run.obs_id for run in runs)
        assert len(point) == len(read)
        return replace(fit, scatter=0.25, low_scatter=0.5)

    monkeypatch.setattr(fit_module, "measure_systematics", measure)
    task = production(
        smooth__method="regression", fit__max_points="4", binning__per_decade="5"
    )
    fit = task.sibling(Fit)
    assert build(fit)
    assert read == [1001, 1004, 1007]
    found = FIT.read_one(fit.folder / "fit.h5")
    assert (found.scatter, found.low_scatter) == (0.25, 0.5)


def test_the_residual_of_each_energy_is_told(production, build, caplog):
    caplog.set_level("INFO", logger="bkgpipe")
    task = production(smooth__method="regression", binning__per_decade="5")
    fit = task.sibling(Fit)
    assert build(fit)
    found = FIT.read_one(fit.folder / "fit.h5")
    told = [text for text in caplog.messages if text.startswith("Regression at ")]
    assert len(told) == np.count_nonzero(np.isfinite(found.pulls)) > 5
    assert all(text.endswith(" sigma") for text in told)
    assert np.nanmax(np.abs(found.pulls)) < 3
    assert "does not follow" not in caplog.text


def test_energies_that_the_fit_does_not_follow_are_told(production, build, caplog):
    """One cubic from the first to the last energy, held straight."""
    task = production(
        smooth__method="regression",
        fit__terms="zenith",
        fit__energy_splines="1",
        fit__penalty="1e7",
        binning__per_decade="5",
    )
    assert build(task.sibling(Fit))
    (told,) = [text for text in caplog.messages if "does not follow" in text]
    assert "counted/expected" in told
    assert "Lower [fit] penalty" in told


def test_no_run_left_is_told(production, build):
    task = production(
        smooth__method="regression",
        binning__per_decade="5",
        mask__min_kept_fraction="1",
    )
    fit = task.sibling(Fit)
    assert build(fit.requires())

    with pytest.raises(NoRunsError, match="no run is left to fit") as caught:
        fit.run()

    assert "min_kept_fraction" in caught.value.fix


def test_settings_of_a_regression_reach_the_fit(production, build):
    task = production(
        smooth__method="regression",
        fit__terms="zenith, control_outer",
        fit__ridge="7",
        fit__offset_splines="5",
        binning__per_decade="5",
    )
    fit = task.sibling(Fit)
    assert build(fit)

    found = FIT.read_one(fit.folder / "fit.h5")
    assert set(found.terms) <= {"zenith", "control_outer"}
    assert found.ridge == 7
    assert found.offset_knots.size == 5 + 4
    assert "ridge = 7.0" in settings_text(task.settings)


def test_penalties_are_chosen_by_nights_left_out(production, build):
    task = production(
        smooth__method="regression",
        fit__terms="zenith, gradient",
        fit__ridge="1000",
        fit__choose_penalties="true",
        binning__per_decade="5",
    )
    fit = task.sibling(Fit)
    assert build(fit)

    found = FIT.read_one(fit.folder / "fit.h5")
    chosen = [found.penalty, found.term_penalty, found.ridge]
    strengths, deviance = found.trials[:, :3].tolist(), found.trials[:, 3]
    assert len(strengths) >= 7
    assert chosen in strengths
    assert [1.0, 1000.0, 1000.0] in strengths
    assert np.all(np.diff(deviance) >= 0)
    best, picked = found.trials[0], found.trials[strengths.index(chosen)]
    assert picked[3] - best[3] <= picked[4]


def test_given_penalties_are_not_tried(production, build):
    fit = production(smooth__method="regression", binning__per_decade="5").sibling(Fit)
    assert build(fit)
    assert FIT.read_one(fit.folder / "fit.h5").trials.shape == (0, 5)


def test_a_run_of_unknown_zenith_angle_is_refused(production, build, tmp_path, caplog):
    """It has no place in the fit, nor a model; the others go on without it."""
    _forget_zenith(tmp_path / "store", obs_id=1005)
    task = production(smooth__method="regression", binning__per_decade="5")

    assert build(task.sibling(AllSmooths))

    fit = task.sibling(Fit)
    assert FIT.read_one(fit.folder / "fit.h5").n_runs == 7
    path = task.settings.folder("smooth") / "smooth_335.h5"
    reason = read_refused(path)[1005]
    assert reason.startswith("run 1005: the zenith angle is unknown. Add ZEN_PNT")
    assert list(MODELS.read(path).records) == [1006, 1007]
    assert "Not fitted: run 1005: the zenith angle is unknown" in caplog.text


def test_runs_beyond_those_of_the_fit_are_told(production, build, caplog):
    task = production(
        smooth__method="regression",
        fit__terms="zenith, time",
        select__exclude_obs_ids="1008",
        export__obs_ids="1003, 1008",
        binning__per_decade="5",
    )
    assert build(task.sibling(AllSmooths))
    told = [text for text in caplog.messages if "(fit: " in text]
    (words,) = told
    assert words.startswith("Run 1008: time 55000.836 (fit: 55000.802 to 55000.831); ")


def _forget_zenith(store, *, obs_id):
    """Take the zenith angle of a run out of the index and of its events file."""
    index = store / "obs-index.fits.gz"
    table = Table.read(index)
    names = [name for name in ("ZEN_PNT", "ALT_PNT") if name in table.colnames]
    for name in names:
        table[name][table["OBS_ID"] == obs_id] = np.nan
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table.write(index, overwrite=True)
    (events,) = (store / "data").glob(f"*{obs_id}*")
    with fits.open(events, mode="update") as hdus:
        hdus["EVENTS"].header.remove("ALT_PNT", ignore_missing=True)
