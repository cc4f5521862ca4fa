from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.fit.data import RegressionRate, RunConditions
from bkgpipe.stages.report import curves as dependence
from bkgpipe.stages.report.curves import (
    choose_energy,
    predict_curve,
    rate_above,
    run_spectrum,
)
from bkgpipe.stages.report.dependence import RunSpectrum

_CONDITIONS = RunConditions(
    cos_zenith=0.8,
    azimuth=350.0,
    position_angle=0.0,
    muon_efficiency=0.9,
    deadc=0.95,
    time=53000.0,
    control_outer=4.0,
    control_low=6.0,
    safe_energy=0.5,
)


@pytest.fixture
def run(make_run, make_binning) -> RunCounts:
    binning = make_binning()
    n_energy, n_offset = binning.shape_2d
    return RunCounts(
        run=make_run(),
        binning=binning,
        counts_3d=np.zeros(binning.shape_3d),
        counts_2d=np.arange(n_energy * n_offset, dtype=float).reshape(binning.shape_2d),
        solid_angle_3d=binning.solid_angle_3d,
        solid_angle_2d=0.5 * binning.solid_angle_2d,
        is_safe=np.array([False, True, True, True]),
        safe_energy_min=0.6,
        safe_energy_origin="table",
        ontime=1680.0,
        livetime=1512.0,
        position_angle=0.0,
        conservation=Conservation(),
        control=ControlEvents(
            counts_outer=1, exposure_outer=1.0, counts_low=1, exposure_low=1.0
        ),
        checksum="ab12",
    )


def _spectrum(exposure: list[float]) -> RunSpectrum:
    return RunSpectrum(
        obs_id=1,
        stack_id=1,
        safe_energy_min=0.5,
        kept_fraction=1.0,
        checksum="",
        counts=np.array([8.0, 4.0, 2.0]),
        exposure=np.array(exposure),
        predicted=np.array([0.0, 5.0, 1.5]),
    )


def test_spectrum_conserves_events_and_exposure(run: RunCounts):
    found = run_spectrum(run)
    assert run.counts_2d[0].any()
    assert found.counts.tolist() == [0, *run.counts_2d[1:].sum(axis=1)]
    half = 0.5 * run.binning.solid_angle_2d.sum() * run.livetime
    np.testing.assert_allclose(found.exposure, [0.0, half, half, half])
    assert (found.stack_id, found.safe_energy_min) == (-1, 0.6)
    assert np.isnan(found.predicted).all()


def test_a_model_that_is_the_run_predicts_its_counts(run: RunCounts):
    width = run.binning.energy_width[:, np.newaxis]
    exposure = run.safe_exposure_2d
    rate = np.zeros(exposure.shape)
    np.divide(run.counts_2d / width, exposure, out=rate, where=exposure > 0)
    found = run_spectrum(run, stack_id=5, rate_2d=rate)
    np.testing.assert_allclose(found.predicted[1:], found.counts[1:])
    assert found.predicted[0] == 0.0
    assert found.stack_id == 5


@pytest.mark.parametrize(
    ("lowest", "expected"),
    [([1] * 9 + [2], 1), ([1] * 8 + [2] * 2, 2), ([0] * 10, 0)],
)
def test_energy_is_the_lowest_that_nine_of_ten_runs_see(
    lowest: list[int], expected: int
):
    spectra = [_spectrum([0.0] * low + [3.0] * (3 - low)) for low in lowest]
    assert choose_energy(spectra) == expected


def test_runs_without_exposure_do_not_choose_the_energy():
    blind = _spectrum([0.0, 0.0, 0.0])
    assert choose_energy([blind] * 5 + [_spectrum([0.0, 1.0, 1.0])]) == 1
    assert choose_energy([blind]) == 0
    assert choose_energy([]) == 0


def test_where_runs_share_no_energy_most_of_them_decide():
    spectra = [_spectrum([1.0, 0.0, 0.0])] + [_spectrum([0.0, 1.0, 0.0])] * 2
    assert choose_energy(spectra) == 1


def test_rate_is_summed_from_the_energy_on():
    found = rate_above(_spectrum([0.0, 3.0, 3.0]), 1)
    assert (found.counts, found.n_events, found.exposure) == (6, 14, 3.0)
    assert found.predicted == pytest.approx(6.5)


@pytest.fixture
def asked_of_fit(monkeypatch: pytest.MonkeyPatch) -> list[RunConditions]:
    """Stand in for a fit whose rate is its muon efficiency times cos zenith."""
    asked: list[RunConditions] = []

    def predict(_fit, conditions, binning) -> RegressionRate:
        asked.append(conditions)
        rate = conditions.muon_efficiency * conditions.cos_zenith
        return RegressionRate(
            rate_3d=np.full(binning.shape_3d, rate),
            rate_2d=np.full(binning.shape_2d, rate),
            error_3d=np.full(binning.shape_3d, 0.1),
            error_2d=np.full(binning.shape_2d, 0.1),
            is_fitted=np.ones(binning.n_energy, dtype=bool),
            has_safe_runs=np.ones(binning.n_energy, dtype=bool),
        )

    monkeypatch.setattr(dependence, "predict", predict)
    return asked


def _curve(conditions, make_binning, name: str):
    fit = object()
    return predict_curve(fit, conditions, make_binning(), name=name, first=2)


def test_curve_changes_one_condition_and_keeps_the_others(asked_of_fit, make_binning):
    conditions = [
        replace(_CONDITIONS, cos_zenith=cos, azimuth=azimuth)
        for cos, azimuth in ((0.6, 350.0), (0.8, 10.0), (1.0, 0.0))
    ]
    curve = _curve(conditions, make_binning, "zenith")
    assert (curve.values[0], curve.values[-1]) == (pytest.approx(53.1301), 0.0)
    width = np.diff(make_binning().energy_edges)[2:].sum()
    cosine = np.cos(np.radians(curve.values))
    np.testing.assert_allclose(curve.rate, 0.9 * width * cosine)
    np.testing.assert_allclose(curve.error, 0.1)
    # the middle of 350, 10 and 0 deg is in the north, not in the south
    assert {round(asked.azimuth, 6) % 360 for asked in asked_of_fit} == {0.0}
    assert {asked.time for asked in asked_of_fit} == {53000.0}


@pytest.mark.parametrize("name", ["time", "muon_efficiency"])
def test_what_is_unknown_or_alike_has_no_curve(asked_of_fit, make_binning, name: str):
    alike = [_CONDITIONS, _CONDITIONS]
    assert _curve(alike, make_binning, name) is None
    unknown = [replace(_CONDITIONS, time=np.nan, muon_efficiency=np.nan)]
    assert _curve(unknown, make_binning, name) is None
    assert not asked_of_fit


@pytest.mark.usefixtures("asked_of_fit")
def test_curve_of_the_muon_efficiency_is_over_the_known_ones(make_binning):
    efficiencies = (0.7, np.nan, 0.9)
    conditions = [replace(_CONDITIONS, muon_efficiency=e) for e in efficiencies]
    curve = _curve(conditions, make_binning, "muon_efficiency")
    np.testing.assert_allclose(curve.values[[0, -1]], [0.7, 0.9])
    assert np.all(np.diff(curve.rate) > 0)
