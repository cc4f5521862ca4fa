from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.datamodel.regression import RegressionFit
from bkgpipe.errors import BinningMismatchError


@pytest.fixture
def fit():
    return RegressionFit(
        fov_alignment="RADEC",
        terms=("zenith",),
        columns=("radial", "radial", "zenith"),
        dropped=("muon: muon is missing in at least one run",),
        energy_knots=np.arange(9.0),
        offset_knots=np.arange(6.0),
        reference=np.zeros(4),
        energy_range=np.array([0.0, 1.0]),
        condition_names=("zenith", "muon"),
        condition_mean=np.zeros(2),
        condition_scale=np.ones(2),
        condition_low=np.zeros(2),
        condition_high=np.ones(2),
        epoch_edges=np.zeros(0),
        coefficients=np.zeros((5, 3)),
        covariance=np.eye(15),
        deviance=1.0,
        edf=2.0,
        scatter=0.1,
        n_steps=5,
        n_runs=7,
        livetime=100.0,
        penalty=1.0,
        term_penalty=10.0,
        ridge=0.01,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coefficients", np.zeros((3, 5))),
        ("covariance", np.eye(14)),
        ("condition_mean", np.zeros(3)),
        ("condition_high", np.zeros(1)),
    ],
)
def test_shapes_are_checked(fit, name, value):
    with pytest.raises(BinningMismatchError, match=rf"{name}.*Make the product again"):
        replace(fit, **{name: value})
