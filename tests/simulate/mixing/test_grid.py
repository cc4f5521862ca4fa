from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.simulate.mixing.grid import (
    bin_grid,
    energy_steps,
    plane_field,
    plane_steps,
    plane_vectors,
    radial_grid,
    rate_grid,
)

PLANE = plane_steps(2.0, pixel=0.25)
ENERGY = energy_steps(0.5, 50.0, per_decade=4)


def _rate(index: float = 2.7) -> np.ndarray:
    """Rate at the edges in energy, with a gradient along longitude."""
    lon, _, _ = plane_field(PLANE)
    rate: np.ndarray = ENERGY[:, np.newaxis, np.newaxis] ** -index * (1 + 0.3 * lon)
    return rate


def _grid(rate: np.ndarray, **changes: object):
    values: dict[str, object] = {
        "energy_edges": ENERGY,
        "plane_edges": PLANE,
        "offset_max": 2.0,
        "fov_alignment": "RADEC",
    }
    return rate_grid(rate, **values | changes)  # type: ignore[arg-type]


def test_energy_steps_end_where_asked():
    edges = energy_steps(0.3, 47.0, per_decade=10)

    assert edges[[0, -1]] == pytest.approx([0.3, 47.0])
    np.testing.assert_allclose(np.diff(np.log(edges)), np.log(47 / 0.3) / 22)
    assert energy_steps(1.0, 10.0, per_decade=4).size == 5
    assert energy_steps(1.0, 1.01, per_decade=4).size == 2


def test_the_plane_holds_the_field():
    edges = plane_steps(2.5, pixel=0.1)

    assert edges[-1] >= np.degrees(np.tan(np.radians(2.5)))
    np.testing.assert_allclose(edges, -edges[::-1])


def test_pixels_of_the_plane_add_up_to_the_solid_angle_of_the_square():
    edges = plane_steps(10.0, pixel=0.1)

    lon, lat, area = plane_field(edges)

    # of a rectangle in the tangent plane, by its half width
    half = np.radians(edges[-1])
    expected = 4 * np.arcsin(half**2 / (1 + half**2))
    assert area.sum() == pytest.approx(expected, rel=1e-5)
    # longitude is the first axis, and both grow
    assert (np.diff(lon, axis=0) > 0).all()
    assert (np.diff(lat, axis=1) > 0).all()


def test_power_laws_are_integrated_exactly():
    grid = _grid(_rate(2.7))

    _, _, area = plane_field(PLANE)
    lon, _, _ = plane_field(PLANE)
    integral = (0.5**-1.7 - 50.0**-1.7) / 1.7
    whole = grid.rate.sum(axis=0)[grid.inside > 0]
    expected = (integral * area * (1 + 0.3 * lon))[grid.inside > 0]
    np.testing.assert_allclose(whole, expected)
    np.testing.assert_allclose(grid.index, 2.7)


def test_index_one_is_a_logarithm():
    grid = _grid(_rate(1.0))

    _, _, area = plane_field(PLANE)
    middle = PLANE.size // 2
    expected = np.log(100.0) * area[middle, middle] * (1 + 0.3 * 0.125)
    assert grid.rate[:, middle, middle].sum() == pytest.approx(expected, rel=1e-3)


def test_the_field_ends_at_the_largest_offset():
    flat = np.ones((ENERGY.size, PLANE.size - 1, PLANE.size - 1))

    grid = _grid(flat)

    cap = 2 * np.pi * (1 - np.cos(np.radians(2.0)))
    assert grid.total == pytest.approx(49.5 * cap, rel=2e-3)


def test_cells_of_counts_keep_their_sum_and_get_a_spectrum():
    counts = _grid(_rate(2.2)).rate

    grid = bin_grid(
        counts,
        energy_edges=ENERGY,
        plane_edges=PLANE,
        offset_max=2.0,
        fov_alignment="RADEC",
    )

    np.testing.assert_allclose(grid.rate, counts)
    inside = grid.inside > 0
    np.testing.assert_allclose(grid.index[:, inside], 2.2, rtol=1e-6)


def test_cells_without_neighbours_are_drawn_at_equal_log_energy():
    n_plane = PLANE.size - 1

    grid = bin_grid(
        np.full((1, n_plane, n_plane), -1.0),
        energy_edges=np.array([1.0, 2.0]),
        plane_edges=PLANE,
        offset_max=2.0,
        fov_alignment="RADEC",
    )

    assert (grid.index == 1.0).all()
    assert grid.total == 0.0


def test_a_radial_law_keeps_its_integral():
    offsets = np.linspace(0.0, 2.0, 9)
    profile = np.outer([3.0, 1.0], 1.0 - offsets / 4)

    grid = radial_grid(
        profile,
        offsets=offsets,
        energy_edges=np.array([1.0, 2.0, 5.0]),
        plane_edges=plane_steps(2.0, pixel=0.02),
        offset_max=2.0,
    )

    theta = np.radians(np.linspace(0, 2, 4001))
    law = 2 * np.pi * np.sin(theta) * (1 - np.degrees(theta) / 4)
    expected = 4.0 * np.trapezoid(law, theta)
    assert grid.total == pytest.approx(expected, rel=1e-3)
    assert grid.fov_alignment == "RADEC"


def test_points_of_the_plane_are_directions():
    vectors = plane_vectors(np.array([[0.0, 1.0]]), np.array([[0.0, -2.0]]))

    assert vectors.shape == (2, 3)
    np.testing.assert_allclose(vectors[1], [1.0, np.radians(1.0), np.radians(-2.0)])
