from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.tools.closure.data import AxisClosure, PullSet


def test_pulls_have_mean_width_and_shares() -> None:
    pulls = PullSet(values=np.array([-3.0, -1.0, 0.0, 1.0, 1.5]))
    assert pulls.mean == pytest.approx(-0.3)
    assert pulls.width == pytest.approx(np.std([-3.0, -1.0, 0.0, 1.0, 1.5]))
    assert pulls.within(1.0) == 0.6
    assert pulls.within(2.0) == 0.8


def test_no_pulls_have_no_mean() -> None:
    pulls = PullSet(values=np.empty(0))
    assert np.isnan([pulls.mean, pulls.width, pulls.within(1.0)]).all()


def test_the_ratio_is_unknown_where_nothing_is_expected() -> None:
    axis = AxisClosure(
        edges=np.array([0.0, 1.0, 2.0]),
        expected=np.array([10.0, 0.0]),
        recovered=np.array([11.0, 3.0]),
        error=np.array([0.1, 0.0]),
    )
    np.testing.assert_allclose(axis.ratio, [1.1, np.nan])


def test_an_axis_of_another_length_is_refused() -> None:
    with pytest.raises(BinningMismatchError, match=r"error: .*\[binning\]"):
        AxisClosure(
            edges=np.array([0.0, 1.0, 2.0]),
            expected=np.ones(2),
            recovered=np.ones(2),
            error=np.ones(3),
        )
