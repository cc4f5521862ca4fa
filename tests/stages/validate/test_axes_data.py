from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.stages.validate.axes_data import (
    RANGES,
    AxesTest,
    AxisScore,
    EnergyAxis,
    summarise_axes,
)

AXIS = EnergyAxis(name="4", energy_edges=10.0 ** (np.arange(5) / 4))
SCORE = AxisScore(
    axis=AXIS,
    energies=RANGES[0],
    n_runs=7,
    n_uncovered=2,
    counts=np.array([1000.0, 100.0, 30.0, 2.0]),
    predicted=np.array([2000.0, 220.0, 40.0, 4.0]),
    scaled=np.array([1000.0, 110.0, 20.0, 2.0]),
    exact=np.array([1600.0, 200.0, 40.0, 3.0]),
    ideal=np.array([1650.0, 150.0, 40.0, 3.0]),
    scatter=np.array([0.1, 0.2, np.nan, np.nan]),
)


def test_a_row_tells_total_and_shape() -> None:
    test = AxesTest(scores={"ours": (SCORE,)}, offset_max=1.0)
    summary = summarise_axes(test)
    (row,) = summary.rows
    assert (row.model, row.energies, row.axis) == ("ours", RANGES[0], "4")
    assert (row.n_runs, row.n_events, row.n_uncovered) == (7, 1132, 2)
    assert row.total == 2.0
    # the last bin has too few events
    assert row.n_bins == 3
    assert row.worst == pytest.approx(0.5)
    assert row.worst_energy == pytest.approx(10**0.625)
    assert row.rms == pytest.approx(np.sqrt((0.5**2 + (1 / 11) ** 2) / 3))
    assert row.chi2 == pytest.approx(100 / 110 + 100 / 20)
    assert row.floor_total == pytest.approx(2264 / 1843)
    assert row.floor_chi2 == pytest.approx(3 + 50**2 / 1650 + 50**2 / 150)
    assert (row.scatter, row.scatter_median) == (0.2, pytest.approx(0.15))
    assert summary.inside_offset == 1.0


def test_bins_may_all_be_too_poor() -> None:
    poor = replace(
        SCORE, counts=np.ones(4), scaled=np.ones(4), scatter=np.full(4, np.nan)
    )
    (row,) = summarise_axes(AxesTest(scores={"x": (poor,)}, offset_max=2.0)).rows
    assert row.n_bins == 0
    assert np.isnan([row.rms, row.worst, row.worst_energy, row.scatter]).all()


def test_a_score_has_the_bins_of_its_axis() -> None:
    with pytest.raises(BinningMismatchError, match="scaled: shape"):
        replace(SCORE, scaled=np.ones(3))
