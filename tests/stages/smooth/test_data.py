from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.stack.data import Conditions

_BINNING = Binning(
    energy_edges=np.geomspace(0.1, 10, 4),
    fov_lon_edges=np.linspace(-3, 3, 7),
    fov_lat_edges=np.linspace(-2, 2, 6),
    offset_edges=np.linspace(0, 2, 5),
)
_CONDITIONS = Conditions(
    zenith=20.0, azimuth=5.0, cos_zenith=0.94, deadc=0.9, muon_efficiency=0.8
)


@pytest.fixture
def rate() -> RateModel:
    return RateModel(
        stack_id=2,
        binning=_BINNING,
        method="none",
        rate_3d=np.ones((3, 6, 5)),
        exposure_3d=np.ones((3, 6, 5)),
        rate_2d=np.ones((3, 4)),
        exposure_2d=np.ones((3, 4)),
        n_runs=2,
        livetime=9000.0,
        conditions=_CONDITIONS,
    )


@pytest.fixture
def nodes() -> NodeModel:
    return NodeModel(
        stack_id=2,
        obs_id=-1,
        binning=_BINNING,
        bkg_3d=np.ones((3, 6, 5)),
        bkg_2d=np.ones((3, 4)),
        n_filled_3d=0,
        n_filled_2d=1,
        fov_alignment="RADEC",
        n_runs=2,
        livetime=9000.0,
        conditions=_CONDITIONS,
    )


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("rate_3d", (3, 5, 6)),
        ("exposure_3d", (5, 6, 3)),
        ("rate_2d", (4, 3)),
        ("exposure_2d", (4,)),
        ("error_3d", (3, 5, 6)),
        ("error_2d", (4, 3)),
    ],
)
def test_transposed_rates_are_refused(rate, name, shape):
    with pytest.raises(
        BinningMismatchError, match=f"^{name}: shape is .*Make the prod"
    ):
        replace(rate, **{name: np.zeros(shape)})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("bkg_3d", (3, 5, 6)),
        ("bkg_2d", (4, 3)),
        ("error_3d", (6, 5, 3)),
        ("error_2d", (12,)),
    ],
)
def test_transposed_nodes_are_refused(nodes, name, shape):
    with pytest.raises(
        BinningMismatchError, match=f"^{name}: shape is .*Make the prod"
    ):
        replace(nodes, **{name: np.zeros(shape)})


def test_errors_may_be_unknown(rate, nodes):
    for model in (rate, nodes):
        assert model.error_3d.size == model.error_2d.size == 0
        assert np.isnan(model.systematic)


def test_fields_cannot_be_set(rate):
    with pytest.raises(AttributeError, match="cannot assign"):
        rate.method = "gaussian"
