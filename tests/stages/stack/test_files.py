from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import DamagedFileError, OutputError
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.stages.stack.data import Conditions, Group, Stack
from bkgpipe.stages.stack.files import (
    STACKS,
    read_groups,
    write_groups,
)


@pytest.fixture
def stack(binning: Binning) -> Stack:
    rng = np.random.default_rng(1)
    return Stack(
        stack_id=3,
        binning=binning,
        obs_ids=np.array([7, 9, 20136]),
        counts_3d=rng.poisson(5.0, binning.shape_3d),
        exposure_3d=rng.random(binning.shape_3d),
        counts_2d=rng.poisson(5.0, binning.shape_2d),
        exposure_2d=rng.random(binning.shape_2d),
        ontime=3200.0,
        livetime=2900.0,
        conditions=Conditions(
            zenith=40.0,
            azimuth=180.0,
            cos_zenith=0.77,
            deadc=0.9,
            muon_efficiency=float("nan"),
        ),
    )


@pytest.fixture
def groups() -> tuple[Group, ...]:
    common = {"zenith": 12.25, "azimuth": 350.1, "livetime": 7200.5, "n_events": 12}
    first = Group(
        group_id=1,
        obs_ids=np.array([7, 20136]),
        cells=np.array(
            [
                [0.0, 20.5, -90.0, 90.0],
                [20.5, 30.1, 0.1, 90.0],
                [30.1, 40.0, -90.0, 0.1],
            ]
        ),
        merged=("zenith 20.5-30.1 azimuth 0.1-90", "zenith 30.1-40 azimuth -90-0.1"),
        **common,
    )
    second = Group(
        group_id=2,
        obs_ids=np.arange(20_000) + 10**10,
        cells=np.array([[0.0, 20.5, 90.0, 270.0]]),
        **common,
    )
    return first, second


def test_stacks_come_back(tmp_path: Path, header: ProductHeader, stack: Stack) -> None:
    path = tmp_path / "stack_0.h5"

    STACKS.write(path, header, Chunk(records={3: stack}, refused={4: "no runs"}))
    chunk = STACKS.read(path)

    found = chunk.records[3]
    assert chunk.refused == {4: "no runs"}
    assert found.counts_3d.sum() == stack.counts_3d.sum()
    assert repr(found.conditions) == repr(stack.conditions)
    for name in ("obs_ids", "counts_3d", "exposure_3d", "counts_2d", "exposure_2d"):
        np.testing.assert_array_equal(getattr(found, name), getattr(stack, name))


def test_damaged_stacks(tmp_path: Path) -> None:
    path = tmp_path / "stack_0.h5"
    with pytest.raises(DamagedFileError, match=r"stack_0\.h5: .*Run the stage again"):
        STACKS.read(path)


def test_groups_come_back(
    tmp_path: Path, header: ProductHeader, groups: tuple[Group, ...]
) -> None:
    path = tmp_path / "groups.ecsv"

    write_groups(path, header, groups)
    found = read_groups(path)

    assert read_table_header(path) == header
    assert len(found) == 2
    for group, expected in zip(found, groups, strict=True):
        np.testing.assert_array_equal(group.obs_ids, expected.obs_ids)
        assert group.obs_ids.dtype == np.int64
        np.testing.assert_array_equal(group.cells, expected.cells)
        for name in set(Group.__dataclass_fields__) - {"obs_ids", "cells"}:
            assert getattr(group, name) == getattr(expected, name)


def test_groups_are_a_table_for_anyone(
    tmp_path: Path, header: ProductHeader, groups: tuple[Group, ...]
) -> None:
    path = tmp_path / "groups.ecsv"
    write_groups(path, header, groups[:1])

    table = Table.read(path, format="ascii.ecsv")

    assert table["obs_ids"][0] == "7 20136"
    assert table["zenith"].unit == "deg"
    assert table["livetime"].unit == "s"


def test_no_groups(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "groups.ecsv"
    write_groups(path, header, ())
    assert read_groups(path) == ()


def test_damaged_groups(
    tmp_path: Path, header: ProductHeader, groups: tuple[Group, ...]
) -> None:
    path = tmp_path / "groups.ecsv"
    write_groups(path, header, groups)
    path.write_text(path.read_text().replace("7 20136", "7 run"))
    with pytest.raises(DamagedFileError, match=r"groups\.ecsv: .*Run the stage again"):
        read_groups(path)
    with pytest.raises(OutputError, match=r"absent.*existing folder"):
        write_groups(tmp_path / "absent" / "groups.ecsv", header, groups)
    path.unlink()
    with pytest.raises(DamagedFileError, match=r"groups\.ecsv"):
        read_table_header(path)
