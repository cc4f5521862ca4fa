from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.hdf5 import read_header
from bkgpipe.stages.fit.data import RegressionFit, Systematics
from bkgpipe.stages.fit.files import FIT

_HEADER = ProductHeader(
    stage="smooth", fingerprint="abc123", inputs="0123", seconds=1.5, version="0"
)


def _fit() -> RegressionFit:
    rng = np.random.default_rng(1)
    return RegressionFit(
        fov_alignment="RADEC",
        terms=("zenith",),
        columns=("radial", "radial", "zenith"),
        dropped=("muon: unknown in 3 runs",),
        energy_knots=np.arange(8.0),
        offset_knots=np.arange(6.0),
        low_knots=np.arange(9.0),
        lowest_distance=-0.25,
        reference=np.arange(4.0),
        reference_range=np.array([-0.5, 1.5]),
        energy_range=np.array([-1.0, 2.0]),
        energy_edges=np.geomspace(0.3, 9.0, 4),
        condition_names=("cos_zenith", "azimuth"),
        condition_mean=np.zeros(2),
        condition_scale=np.ones(2),
        condition_low=-np.ones(2),
        condition_high=np.ones(2),
        time_gap=2.5,
        epoch_edges=np.empty(0),
        coefficients=rng.normal(size=(4, 3)),
        low_coefficients=rng.normal(size=(2, 5)),
        covariance=rng.normal(size=(22, 22)),
        deviance=1.25,
        edf=7.5,
        scatter=0.05,
        low_scatter=0.4,
        residual=rng.normal(size=(2, 3)),
        n_steps=6,
        n_runs=11,
        livetime=1e4,
        penalty=1.0,
        term_penalty=10.0,
        ridge=100.0,
        systematics=Systematics(
            edges=np.array([0.3, 1.0, 9.0]),
            scatter=np.array([0.04, 0.06, 0.05]),
            field_scatter=np.array([0.05, 0.08, 0.07]),
            pointings=np.array([[83.6, 22.0], [266.4, -29.0]]),
        ),
    )


def test_a_fit_comes_back_as_it_was(tmp_path: Path) -> None:
    FIT.write_one(tmp_path / "fit.h5", _HEADER, _fit())

    again = FIT.read_one(tmp_path / "fit.h5")

    assert read_header(tmp_path / "fit.h5") == _HEADER
    for field in fields(RegressionFit):
        if field.name != "systematics":
            np.testing.assert_array_equal(
                getattr(again, field.name), getattr(_fit(), field.name)
            )
    for field in fields(Systematics):
        np.testing.assert_array_equal(
            getattr(again.systematics, field.name),
            getattr(_fit().systematics, field.name),
        )


def test_a_damaged_fit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fit.h5"
    FIT.write_one(path, _HEADER, replace(_fit(), n_runs=12))
    path.write_bytes(path.read_bytes()[:3000])

    with pytest.raises(DamagedFileError, match=r"fit\.h5.*Run the stage again"):
        FIT.read_one(path)
