from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.simulate.mixing.grid_data import DrawGrid

GRID = DrawGrid(
    energy_edges=np.array([1.0, 2.0, 4.0, 8.0]),
    plane_edges=np.array([-1.0, 0.0, 1.0]),
    rate=np.full((3, 2, 2), 0.5),
    index=np.ones((3, 2, 2)),
    inside=np.array([[0.5, 1.0], [1.0, 0.0]]),
    offset_max=1.0,
    fov_alignment="RADEC",
)


def test_the_total_is_that_inside_the_field():
    assert GRID.total == pytest.approx(3 * 0.5 * 2.5)


@pytest.mark.parametrize(
    ("name", "shape"), [("rate", (3, 2, 3)), ("index", (2, 2, 2)), ("inside", (3, 2))]
)
def test_other_shapes_are_refused(name, shape):
    with pytest.raises(BinningMismatchError, match=name):
        replace(GRID, **{name: np.zeros(shape)})


def test_edges_must_grow():
    with pytest.raises(BinningMismatchError, match="plane_edges"):
        replace(GRID, plane_edges=np.array([1.0, 0.0, -1.0]))
