from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.fit.splines import difference_penalty, spline_basis, spline_knots


@pytest.mark.parametrize("n_splines", [4, 5, 9])
def test_the_splines_sum_to_one_everywhere(n_splines):
    knots = spline_knots(-1.0, 3.0, n_splines=n_splines)
    basis = spline_basis(np.linspace(-5.0, 7.0, 50), knots)
    assert basis.shape == (50, n_splines)
    assert np.all(basis >= 0)
    np.testing.assert_allclose(basis.sum(axis=1), 1.0, rtol=1e-12)


def test_fewer_than_a_cubic_becomes_a_cubic():
    assert spline_knots(0.0, 1.0, n_splines=1).size == 4 + 4


def test_beyond_the_range_the_value_at_its_end_is_kept():
    knots = spline_knots(0.0, 1.0, n_splines=6)
    ends = spline_basis(np.array([0.0, 1.0]), knots)
    np.testing.assert_array_equal(spline_basis(np.array([-9.0, 8.0]), knots), ends)


def test_a_line_in_the_coefficients_is_a_line():
    knots = spline_knots(0.0, 2.0, n_splines=7)
    x = np.linspace(0.0, 2.0, 11)
    line = spline_basis(x, knots) @ np.arange(7.0)
    np.testing.assert_allclose(np.diff(line), np.diff(line)[0])


@pytest.mark.parametrize("order", [1, 2])
def test_the_penalty_is_the_sum_of_squared_differences(order):
    coefficients = np.array([1.0, -2.0, 4.0, 0.5, 3.0])
    expected = np.sum(np.diff(coefficients, n=order) ** 2)
    penalty = difference_penalty(5, order=order)
    assert coefficients @ penalty @ coefficients == pytest.approx(expected)
