from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError
from bkgpipe.stages.stack.data import Conditions, Group, Stack


@pytest.fixture
def stack() -> Stack:
    binning = Binning(
        energy_edges=np.geomspace(0.1, 10, 4),
        fov_lon_edges=np.linspace(-3, 3, 7),
        fov_lat_edges=np.linspace(-2, 2, 6),
        offset_edges=np.linspace(0, 2, 5),
    )
    return Stack(
        stack_id=2,
        binning=binning,
        obs_ids=np.array([3, 7]),
        counts_3d=np.zeros((3, 6, 5), dtype=np.int64),
        exposure_3d=np.ones((3, 6, 5)),
        counts_2d=np.zeros((3, 4), dtype=np.int64),
        exposure_2d=np.ones((3, 4)),
        ontime=10_000.0,
        livetime=9_000.0,
        conditions=Conditions(
            zenith=20.0, azimuth=5.0, cos_zenith=0.94, deadc=0.9, muon_efficiency=0.8
        ),
    )


@pytest.fixture
def group() -> Group:
    return Group(
        group_id=1,
        obs_ids=np.array([3, 5, 7]),
        cells=np.array([[0.0, 20.0, -90.0, 90.0], [20.0, 30.0, -90.0, 90.0]]),
        zenith=15.0,
        azimuth=2.0,
        livetime=5000.0,
        n_events=12,
        merged=("zenith 20-30 azimuth -90-90",),
    )


def test_hours_are_live_time(stack):
    assert stack.hours == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("counts_3d", (3, 5, 6)),
        ("exposure_3d", (6, 5, 3)),
        ("counts_2d", (4, 3)),
        ("exposure_2d", (3,)),
    ],
)
def test_transposed_arrays_are_refused(stack, name, shape):
    with pytest.raises(
        BinningMismatchError, match=f"^{name}: shape is .*Make the prod"
    ):
        replace(stack, **{name: np.zeros(shape)})


@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (2, 3), (8,)])
def test_a_group_has_a_cell_for_each_name(group, shape):
    with pytest.raises(BinningMismatchError, match=r"^cells: .*expected \(2, 4\)"):
        replace(group, cells=np.zeros(shape))


def test_a_group_that_nothing_joined_has_one_cell(group):
    alone = replace(group, cells=group.cells[:1], merged=())

    assert alone.cells.shape == (1, 4)


def test_objects_with_arrays_are_equal_only_to_themselves(group, stack):
    assert group == group  # noqa: PLR0124
    assert group != replace(group)
    assert stack != replace(stack)


def test_conditions_are_equal_by_value(stack):
    assert stack.conditions == replace(stack.conditions)
    assert stack.conditions != replace(stack.conditions, deadc=0.8)
