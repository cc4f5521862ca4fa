from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.stages.fit.data import FitPoints, RunConditions
from bkgpipe.stages.fit.field import field_functions
from bkgpipe.stages.fit.splines import spline_knots
from bkgpipe.stages.fit.terms import CONDITION_NAMES, TermInputs
from bkgpipe.stages.fit.threshold import (
    LOW_PARTS,
    LOW_SCATTER,
    find_energies,
    low_energies,
    threshold_basis,
    threshold_design,
    threshold_distance,
    threshold_knots,
    threshold_penalty,
)

AXES = Binning(
    energy_edges=10.0 ** np.linspace(-1.0, 1.0, 9),
    fov_lon_edges=np.linspace(-1.0, 1.0, 4),
    fov_lat_edges=np.linspace(-1.0, 1.0, 3),
    offset_edges=np.linspace(0.0, 1.5, 6),
)
CONDITIONS = RunConditions(
    cos_zenith=0.8,
    azimuth=60.0,
    position_angle=30.0,
    muon_efficiency=0.9,
    deadc=0.95,
    time=53000.0,
    control_outer=4.0,
    control_low=6.0,
    safe_energy=1.0,
)


@pytest.fixture
def points():
    """Two points of 1000 events an energy: one run safe from 1 TeV on, two joined."""
    safe = (1.0, 10**0.25, 10**-0.25)
    cubes = np.full((2, *AXES.shape_3d), 1000 / 6)
    return FitPoints(
        binning=AXES,
        counts=cubes,
        exposure=np.ones_like(cubes),
        conditions=tuple(replace(CONDITIONS, safe_energy=one) for one in safe),
        point=np.array([0, 1, 1]),
        share=np.array([1.0, 0.75, 0.25]),
        livetime=np.ones(3),
    )


@pytest.mark.parametrize("lowest", [-0.4, -0.05, 0.1, 0.3])
def test_splines_end_above_the_safe_energy_without_a_kink(lowest):
    knots = threshold_knots(lowest)
    step = 1e-3
    ends = threshold_basis(0.2 - step * np.arange(4.0), knots)
    assert ends.shape == (4, knots.size - 7)
    value, slope, curvature = (np.diff(ends, n=n, axis=0)[0] for n in range(3))
    # what is left is cubic in the distance to the end
    for found in (value, slope, curvature):
        np.testing.assert_allclose(found, 0.0, atol=10 * (step / 0.0625) ** 3)
    np.testing.assert_array_equal(threshold_basis(np.array([0.2, 3.0]), knots), 0.0)


def test_splines_are_as_far_apart_as_the_energies_that_they_part():
    knots = threshold_knots(-0.3)
    assert np.diff(knots).max() <= 1 / 16
    assert knots[3] == pytest.approx(-0.3)
    assert knots[-4] == pytest.approx(0.2)


def test_far_below_the_safe_energy_they_keep_their_value():
    knots = threshold_knots(-0.3)
    found = threshold_basis(np.array([[-0.3, -2.0], [-0.1, 0.1]]), knots)
    assert found.shape == (2, 2, knots.size - 7)
    np.testing.assert_allclose(found[0, 0], found[0, 1])
    assert found[0, 0].sum() == pytest.approx(1.0)


def test_powers_of_offset_are_exact():
    """Up to the square of offset squared, over that of the rim."""
    knots = spline_knots(0.0, 6.25, n_splines=6)
    inputs = TermInputs(
        conditions=np.full((2, len(CONDITION_NAMES)), [[0.5], [-1.5]]),
        upward=np.array([[0.6, 0.8], [0.0, 1.0]]),
        tan_zenith=np.array([0.5, 2.0]),
        epoch=np.zeros(2, dtype=int),
        n_epochs=1,
        n_radial=6,
    )
    design = threshold_design(inputs, knots)
    lon, lat = np.linspace(-1.7, 1.5, 9), np.linspace(0.1, 1.8, 9)
    square = lon**2 + lat**2
    values = design @ field_functions(lon, lat, offset_knots=knots).T
    assert design.shape == (2, len(LOW_PARTS), 10)
    for run in range(2):
        norm, offset2, offset4, zenith, gradient = values[run]
        np.testing.assert_allclose(norm, 1.0)
        np.testing.assert_allclose(offset2, square / 6.25, rtol=1e-3)
        np.testing.assert_allclose(offset4, (square / 6.25) ** 2, rtol=2e-3)
        np.testing.assert_allclose(zenith, [0.5, -1.5][run])
        up = inputs.upward[run] @ [lon, lat]
        np.testing.assert_allclose(gradient, inputs.tan_zenith[run] * up)


def test_distance_is_that_of_the_centres_to_the_safe_energy():
    runs = [replace(CONDITIONS, safe_energy=one) for one in (1.0, 0.1)]
    found = threshold_distance(runs, AXES)
    np.testing.assert_allclose(found[0], np.linspace(-0.875, 0.875, 8))
    np.testing.assert_allclose(found[1], found[0] + 1.0)


def test_energies_of_a_point_are_means_over_its_runs(points):
    found = find_energies(points)
    np.testing.assert_allclose(found.distance[1], found.distance[0] - 0.125)
    np.testing.assert_array_equal(found.unsafe_share[0], np.repeat([1, 0], 4))
    wanted = [1, 1, 1, 0.75, 0.75, 0, 0, 0]
    np.testing.assert_allclose(found.unsafe_share[1], wanted)
    assert found.has_low


def test_the_lowest_energy_has_events_below(points):
    """The first bin of the second point is the lowest, and has 20; the next 1000."""
    points.counts[1, 0] = 20 / 6
    found = find_energies(points)
    assert found.lowest == pytest.approx(-0.875)
    np.testing.assert_array_equal(found.is_used[0], True)
    np.testing.assert_array_equal(found.is_used[1], np.arange(8) > 0)


def test_few_events_are_all_fitted(points):
    points.counts[:] = 0.0
    points.counts[0, 3, 1, 1] = points.counts[1, 6, 0, 0] = 5.0
    assert find_energies(points).lowest == pytest.approx(-0.125)


def test_energies_are_safe_from_the_edge_on_but_for_rounding(points):
    edge = AXES.energy_edges[4] * (1 + 1e-12)
    first = replace(points.conditions[0], safe_energy=edge)
    same = replace(points, conditions=(first, *points.conditions[1:]))
    np.testing.assert_array_equal(
        find_energies(same).unsafe_share, find_energies(points).unsafe_share
    )


def test_without_unsafe_energies_nothing_is_low(points):
    all_safe = tuple(replace(one, safe_energy=0.1) for one in points.conditions)
    assert not find_energies(replace(points, conditions=all_safe)).has_low


def test_low_energies_are_means_of_splines_where_the_fit_looks(points):
    points.counts[1, 0] = 0.0
    energies, knots = find_energies(points), threshold_knots(-0.9)
    design = np.zeros((2, len(LOW_PARTS), 10))
    low = low_energies(points, energies, knots=knots, design=design)
    single = threshold_basis(threshold_distance(points.conditions, AXES), knots)
    np.testing.assert_array_equal(low.basis[0], single[0])
    joined = 0.75 * single[1] + 0.25 * single[2]
    np.testing.assert_allclose(low.basis[1, 1:], joined[1:])
    np.testing.assert_array_equal(low.basis[1, 0], 0.0)
    np.testing.assert_allclose(low.variance, LOW_SCATTER**2 * energies.unsafe_share)


@pytest.mark.parametrize("n_low", [1, 2, 3, 8])
def test_the_penalty_leaves_straight_lines_to_the_ridge(n_low):
    penalty = threshold_penalty(n_low)
    n = n_low * len(LOW_PARTS)
    assert penalty.shape == (n, n)
    assert np.linalg.eigvalsh(penalty).min() == pytest.approx(0.01)
    line = np.outer(np.arange(n_low) + 1.0, np.eye(len(LOW_PARTS))[2]).ravel()
    assert line @ penalty @ line == pytest.approx(0.01 * (line**2).sum())


def test_the_penalty_is_on_bends_of_each_part():
    theta = np.zeros((5, len(LOW_PARTS)))
    theta[2, 3] = 1.0
    wanted = 1 + 4 + 1 + 0.01
    found = theta.ravel() @ threshold_penalty(5) @ theta.ravel()
    assert found == pytest.approx(wanted)
