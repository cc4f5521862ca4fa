from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from gammapy.irf import Background2D
from gammapy.maps import MapAxis
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.stages.export.interpolation import (
    EnergyAxis,
    NodeGrid,
    interpolation_matrix,
    latitude_axis,
    longitude_axis,
    offset_axis,
    scale_energies,
    single_axis,
    solve_nodes,
)

ENERGY_EDGES = np.geomspace(0.1, 100.0, 16)


@pytest.fixture(scope="session")
def grid():
    return NodeGrid(
        energy=EnergyAxis(edges=ENERGY_EDGES),
        first=longitude_axis(np.linspace(-2.5, 2.5, 8)),
        second=latitude_axis(np.linspace(-2.0, 2.5, 10)),
    )


@pytest.fixture(scope="session")
def grid_2d():
    return NodeGrid(
        energy=EnergyAxis(edges=ENERGY_EDGES),
        first=single_axis(),
        second=offset_axis(2.5 * np.sqrt(np.linspace(0, 1, 7))),
    )


def threshold_spectrum(energy):
    return energy**-2.7 / (1 + (0.3 / energy) ** 2)


def smooth_rate(shape):
    centers = np.sqrt(ENERGY_EDGES[1:] * ENERGY_EDGES[:-1])
    x = np.linspace(-1, 1, shape[1])[:, np.newaxis]
    y = np.linspace(-1, 1, shape[2])
    field = np.exp(-(x**2) - y**2 + 0.1 * x)
    return threshold_spectrum(centers)[:, np.newaxis, np.newaxis] * field


@given(
    st.lists(st.floats(-10, 10), min_size=2, max_size=8, unique=True),
    st.lists(st.floats(-15, 15), min_size=1, max_size=8),
)
def test_a_line_is_interpolated_and_extrapolated_exactly(nodes, points):
    nodes, points = np.cumsum(0.1 + np.abs(nodes)), np.array(points)

    matrix = interpolation_matrix(nodes, points)

    assert matrix.shape == (points.size, nodes.size)
    np.testing.assert_allclose(matrix @ (3 * nodes - 1), 3 * points - 1, atol=1e-9)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-9)


def test_interpolation_is_that_of_numpy_between_nodes():
    nodes, values = np.array([0.0, 1.0, 3.0, 4.0]), np.array([2.0, 5.0, 1.0, 0.0])
    points = np.array([0.0, 0.3, 1.0, 2.9, 4.0])

    found = interpolation_matrix(nodes, points) @ values

    np.testing.assert_allclose(found, np.interp(points, nodes, values))


def test_a_single_node_is_constant():
    matrix = interpolation_matrix(np.array([2.0]), np.array([-1.0, 5.0, 7.0]))

    np.testing.assert_array_equal(matrix, np.ones((3, 1)))


def test_axes_have_the_solid_angles_of_the_bins(make_binning):
    binning = make_binning()

    first = longitude_axis(binning.fov_lon_edges)
    second = latitude_axis(binning.fov_lat_edges)
    radial = offset_axis(binning.offset_edges)

    np.testing.assert_allclose(
        np.outer(first.size, second.size), binning.solid_angle_3d, rtol=1e-12
    )
    np.testing.assert_allclose(radial.size, binning.solid_angle_2d, rtol=1e-12)


def test_rings_have_their_counts_in_what_gammapys_makers_make(grid_2d):
    rate = smooth_rate(grid_2d.bin_size.shape)
    edges = 2.5 * np.sqrt(np.linspace(0, 1, 7))
    nodes = solve_nodes(rate, grid_2d)[:, 0]
    offset = MapAxis.from_edges(edges, unit="deg", name="offset")
    energy = MapAxis.from_energy_edges(ENERGY_EDGES * u.TeV)
    model = Background2D(axes=[energy, offset], data=nodes, unit="s-1 TeV-1 sr-1")
    # what MapDatasetMaker does before it integrates
    padded = model.pad(1, mode="edge", axis_name="offset")

    fine = np.linspace(0, 2.5, 2001)
    points = (fine[1:] + fine[:-1]) / 2
    area = np.diff(4 * np.pi * np.sin(np.radians(fine) / 2) ** 2)
    energies = np.geomspace(ENERGY_EDGES[0], ENERGY_EDGES[-1], 4001)
    values = padded.evaluate(energy=energies[:, None] * u.TeV, offset=points * u.deg)
    density = np.trapezoid(values.value, energies, axis=0)
    found = np.histogram(points, edges, weights=density * area)[0]

    wanted = (rate * grid_2d.bin_size).sum(axis=0)[0]
    np.testing.assert_allclose(found, wanted, rtol=0.01)


def test_a_constant_integrates_to_the_bin_size(grid, grid_2d):
    for axes in (grid, grid_2d):
        integral = axes.integrate(np.zeros(axes.bin_size.shape))
        np.testing.assert_allclose(integral, axes.bin_size, rtol=1e-6)


@pytest.mark.parametrize("index", [-4.0, -2.0, -1.0, 0.5])
def test_a_power_law_integrates_exactly(grid_2d, index):
    centers = np.sqrt(ENERGY_EDGES[1:] * ENERGY_EDGES[:-1])
    nodes = np.broadcast_to(centers[:, None, None] ** index, grid_2d.bin_size.shape)

    totals = grid_2d.integrate(np.log(nodes)).sum((1, 2))

    if index == -1.0:
        integral = np.diff(np.log(ENERGY_EDGES))
    else:
        integral = np.diff(ENERGY_EDGES ** (index + 1)) / (index + 1)
    np.testing.assert_allclose(totals, integral * grid_2d.second.size.sum(), rtol=1e-5)


def test_nodes_give_back_the_counts_of_a_smooth_model(grid, grid_2d):
    for axes in (grid, grid_2d):
        rate = smooth_rate(axes.bin_size.shape)
        wanted = rate * axes.bin_size

        nodes = solve_nodes(rate, axes)

        naive = axes.integrate(np.log(rate))
        found = axes.integrate(np.log(nodes))
        assert np.abs(naive / wanted - 1).max() > 0.05
        assert np.abs(found / wanted - 1).max() < 2e-3
        totals = found.sum((1, 2)) / wanted.sum((1, 2))
        assert np.abs(totals - 1).max() < 1e-5


def test_nodes_scale_with_the_rate(grid):
    rate = smooth_rate(grid.bin_size.shape)

    np.testing.assert_allclose(
        solve_nodes(1e-9 * rate, grid),
        1e-9 * solve_nodes(rate, grid),
        rtol=1e-9,
    )


def test_mirrored_rates_have_mirrored_nodes(grid):
    rate = smooth_rate(grid.bin_size.shape)

    mirrored = solve_nodes(rate[:, ::-1], grid)

    np.testing.assert_allclose(mirrored[:, ::-1], solve_nodes(rate, grid), rtol=1e-9)


@given(st.integers(0, 10_000), st.sampled_from([1e3, 1e4, 1e5, 1e6]))
def test_poisson_noise_does_not_run_away(grid, seed, n_events):
    expected = smooth_rate(grid.bin_size.shape) * grid.bin_size
    expected *= n_events / expected.sum()
    found = np.random.default_rng(seed).poisson(expected)
    wanted = (found + 0.5) / (1 + 0.5 / expected)  # as `export` fills holes
    counts = wanted.sum((1, 2))

    nodes = solve_nodes(wanted / grid.bin_size, grid)

    totals = grid.integrate(np.log(nodes)).sum((1, 2))
    lacking = (totals - counts) / np.sqrt(np.maximum(counts, 1.0))
    assert np.abs(lacking).max() < 0.1
    assert np.abs(np.log(nodes / wanted * grid.bin_size)).max() < np.log(5)


def test_single_bins_on_every_axis():
    axes = NodeGrid(
        energy=EnergyAxis(edges=np.array([1.0, 3.0])),
        first=longitude_axis(np.array([-1.0, 1.0])),
        second=latitude_axis(np.array([-1.0, 2.0])),
    )

    nodes = solve_nodes(np.array([[[7.0]]]), axes)

    np.testing.assert_allclose(nodes, 7.0, rtol=1e-5)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.5])
def test_energies_are_scaled_as_wanted(grid, spread):
    nodes = solve_nodes(smooth_rate(grid.bin_size.shape), grid)
    factor = 2.0 * np.exp(spread * np.sin(np.arange(15.0)))

    scaled = scale_energies(nodes, ENERGY_EDGES, factor)

    before, after = (grid.integrate(np.log(of)).sum((1, 2)) for of in (nodes, scaled))
    np.testing.assert_allclose(after / before, factor, rtol=0.02)
    assert (
        np.abs(np.log(scaled / nodes / factor[:, None, None])).max()
        < 1.2 * spread + 1e-9
    )
