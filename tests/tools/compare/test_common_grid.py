from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.tools.compare.common_grid import (
    CommonGrid,
    common_grid,
    middle,
    require_same_alignment,
    separation,
)
from bkgpipe.tools.compare.data import FileModel


def _image(
    *, energies: tuple[float, ...] = (0.1, 1.0, 3.0, 10.0), half: float = 2.0
) -> FileModel:
    lon, lat = np.linspace(-half, half, 5), np.linspace(-half, half, 6)
    edges = np.array(energies)
    return FileModel(
        energy_edges=edges,
        field_edges=(lon, lat),
        rate=np.ones((edges.size - 1, 4, 5)),
    )


def _rings(*, offset_max: float = 2.5) -> FileModel:
    return FileModel(
        energy_edges=np.geomspace(0.1, 10.0, 9),
        field_edges=(np.linspace(0.0, offset_max, 6),),
        rate=np.ones((8, 5)),
    )


def test_edges_are_those_of_the_model_with_fewer_bins() -> None:
    grid = common_grid([_image(), _rings()], as_2d=False)
    assert grid.is_3d
    np.testing.assert_array_equal(grid.binning.energy_edges, [0.1, 1.0, 3.0, 10.0])
    assert grid.binning.fov_lon_edges.size == 5
    assert grid.binning.fov_lat_edges.size == 6
    assert grid.binning.offset_max == 2.0


def test_a_range_cuts_the_edges() -> None:
    grid = common_grid(
        [_image()], as_2d=False, energy_range=(0.5, 20.0), offset_max=1.5
    )
    np.testing.assert_array_equal(grid.binning.energy_edges, [1.0, 3.0, 10.0])
    np.testing.assert_array_equal(grid.binning.fov_lon_edges, [-1.0, 0.0, 1.0])
    assert grid.binning.offset_max == 1.5


def test_rings_come_from_the_model_that_has_them() -> None:
    grid = common_grid([_image(half=3.0), _rings()], as_2d=True)
    assert not grid.is_3d
    np.testing.assert_allclose(grid.binning.offset_edges, np.linspace(0, 2.5, 6))
    assert grid.solid_angle.shape == grid.offset.shape == (5,)


def test_rings_of_images_alone_are_as_wide_as_their_bins() -> None:
    grid = common_grid([_image()], as_2d=True)
    np.testing.assert_allclose(grid.binning.offset_edges, [0.0, 1.0, 2.0])


def test_the_field_of_two_models_is_the_smaller_one() -> None:
    grid = common_grid([_image(half=2.0), _image(half=4.0)], as_2d=False)
    assert grid.binning.offset_max == 2.0
    # of the edges within it, those with fewer bins
    np.testing.assert_allclose(grid.binning.fov_lon_edges, [-2.0, 0.0, 2.0])


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"energy_range": (20.0, 50.0)}, "energy"),
        ({"energy_range": (5.0, 1.0)}, "energy"),
        ({"offset_max": 0.1}, "field of view"),
    ],
)
def test_models_without_a_bin_in_common_are_refused(given: dict, where: str) -> None:
    with pytest.raises(BinningMismatchError, match=rf"compare, {where}: .*overlap"):
        common_grid([_image()], as_2d=False, **given)


def test_images_in_two_frames_are_refused() -> None:
    grid = common_grid([_image()], as_2d=False)
    with pytest.raises(BinningMismatchError, match=r"ALTAZ, B one in RADEC.*--as"):
        require_same_alignment(("ALTAZ", "RADEC"), grid)


@pytest.mark.parametrize(
    "frames", [("ALTAZ", "ALTAZ"), ("", "RADEC"), ("ALTAZ", ""), ("", "")]
)
def test_frames_that_agree_or_do_not_matter_pass(frames: tuple[str, str]) -> None:
    require_same_alignment(frames, common_grid([_image()], as_2d=False))


def test_rings_may_be_of_two_frames() -> None:
    require_same_alignment(("ALTAZ", "RADEC"), common_grid([_image()], as_2d=True))


def test_only_bins_wholly_inside_are_inside() -> None:
    grid = common_grid([_image()], as_2d=False)
    assert not grid.is_inside[0, 0]
    assert grid.is_inside[1:3, 2].all()
    assert common_grid([_rings()], as_2d=True).is_inside.all()


@pytest.mark.parametrize("as_2d", [False, True])
def test_points_lie_in_their_bins(as_2d: bool) -> None:
    grid = common_grid([_image()], as_2d=as_2d)
    lon, lat = grid.points
    assert lon.shape == lat.shape == grid.weights.shape
    np.testing.assert_allclose(grid.weights.sum(axis=1), 1.0)
    if as_2d:
        ring = np.searchsorted(grid.binning.offset_edges, separation(lon, lat)) - 1
        assert (ring == np.arange(ring.shape[0])[:, np.newaxis]).all()
    else:
        assert _bins(grid, lon, lat) == list(range(20))


def _bins(grid: CommonGrid, lon: np.ndarray, lat: np.ndarray) -> list[int]:
    axes = grid.binning
    i = np.searchsorted(axes.fov_lon_edges, lon) - 1
    j = np.searchsorted(axes.fov_lat_edges, lat) - 1
    flat = i * (axes.fov_lat_edges.size - 1) + j
    assert (flat == flat[:, :1]).all()
    return flat[:, 0].tolist()


def test_fine_energies_hold_the_edges() -> None:
    grid = common_grid([_image()], as_2d=False)
    np.testing.assert_allclose(grid.fine_energy[::4], grid.binning.energy_edges)


def test_separation_is_on_the_sphere() -> None:
    found = separation(np.array([[0.0], [90.0]]), np.array([0.0, 30.0, 60.0]))
    np.testing.assert_allclose(found[0], [0.0, 30.0, 60.0], atol=1e-12)
    np.testing.assert_allclose(found[1], 90.0)


def test_middle_is_half_way() -> None:
    np.testing.assert_array_equal(middle(np.array([0.0, 1.0, 4.0])), [0.5, 2.5])
