from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.fit.data import RegressionFit, RunConditions
from bkgpipe.stages.fit.norm_error import norm_error
from bkgpipe.stages.fit.predict import predict

CONDITIONS = RunConditions(
    cos_zenith=0.6,
    azimuth=0.0,
    position_angle=30.0,
    muon_efficiency=0.9,
    deadc=0.95,
    time=53000.0,
    control_outer=4.0,
    control_low=6.0,
)


@pytest.fixture
def fit(make_fit: Callable[..., RegressionFit]) -> RegressionFit:
    rng = np.random.default_rng(4)
    root = rng.normal(0.0, 0.01, (35, 40))
    return make_fit(rng.normal(0.0, 0.1, (5, 7)), root @ root.T)


def test_the_sum_of_one_bin_has_its_error(fit, make_binning):  # type: ignore[no-untyped-def]
    binning = make_binning()
    weight = np.zeros(binning.shape_3d)
    weight[2, 3, 4] = 7.0
    error = predict(fit, CONDITIONS, binning).error_3d[2, 3, 4]
    found = norm_error(fit, CONDITIONS, binning, weight=weight)
    assert found == pytest.approx(error)


def test_a_sum_is_known_at_least_as_well_as_its_bins(fit, make_binning):  # type: ignore[no-untyped-def]
    binning = make_binning()
    rate = predict(fit, CONDITIONS, binning)
    found = norm_error(fit, CONDITIONS, binning, weight=rate.rate_3d)
    mean = np.average(rate.error_3d, weights=rate.rate_3d)
    assert 0 < found <= mean


def test_it_is_how_much_the_sum_moves_with_the_coefficients(fit, make_binning):  # type: ignore[no-untyped-def]
    binning = make_binning()
    weight = predict(fit, CONDITIONS, binning).rate_3d
    rng = np.random.default_rng(8)
    small = replace(fit, covariance=fit.covariance * 0.01)
    drawn = rng.multivariate_normal(np.zeros(35), small.covariance, size=400)
    totals = [
        predict(
            replace(fit, coefficients=fit.coefficients + step.reshape(5, 7)),
            CONDITIONS,
            binning,
        ).rate_3d.sum()
        for step in drawn
    ]
    found = norm_error(small, CONDITIONS, binning, weight=weight)
    assert np.std(totals) / np.mean(totals) == pytest.approx(found, rel=0.12)


def test_no_covariance_is_no_error(fit, make_binning):  # type: ignore[no-untyped-def]
    binning = make_binning()
    certain = replace(fit, covariance=np.zeros((35, 35)))
    weight = np.ones(binning.shape_3d)
    assert norm_error(certain, CONDITIONS, binning, weight=weight) == 0.0
