from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError


def _binning(**changes) -> Binning:
    edges = {
        "energy_edges": np.geomspace(0.1, 10, 4),
        "fov_lon_edges": np.linspace(-3, 3, 7),
        "fov_lat_edges": np.linspace(-2, 2, 6),
        "offset_edges": np.linspace(0, 2, 5),
    }
    return Binning(**{**edges, **changes})


def test_shapes():
    binning = _binning()

    assert binning.n_energy == 3
    assert binning.shape_3d == (3, 6, 5)
    assert binning.shape_2d == (3, 4)
    assert binning.offset_max == 2
    assert binning.solid_angle_3d.shape == (6, 5)
    assert binning.energy_width.sum() == pytest.approx(9.9)


def test_solid_angles_on_the_sphere():
    half_sky = _binning(
        fov_lon_edges=np.linspace(-180, 180, 4),
        fov_lat_edges=np.linspace(-90, 90, 9),
        offset_edges=np.linspace(0, 180, 6),
    )

    assert half_sky.solid_angle_3d.sum() == pytest.approx(4 * np.pi)
    assert half_sky.solid_angle_2d.sum() == pytest.approx(4 * np.pi)


def test_small_offsets_keep_their_digits():
    tiny = _binning(offset_edges=np.array([0, 1e-6, 2e-6]))

    expected = np.pi * np.radians(1e-6) ** 2
    assert tiny.solid_angle_2d == pytest.approx([expected, 3 * expected], rel=1e-9)


@pytest.mark.parametrize(
    "edges", [[1.0], [1, 1, 2], [2, 1], [1, np.nan, 3], [[1, 2], [3, 4]]]
)
def test_edges_that_are_no_axis(edges):
    with pytest.raises(
        BinningMismatchError, match="energy_edges: edges must"
    ) as caught:
        _binning(energy_edges=np.array(edges, dtype=float))
    assert "[binning]" in caught.value.fix


def test_require_same():
    _binning().require_same(_binning(), where="run 5")

    other = _binning(offset_edges=np.linspace(0, 2.5, 5))
    with pytest.raises(BinningMismatchError, match="run 5: offset_edges differ"):
        _binning().require_same(other, where="run 5")
