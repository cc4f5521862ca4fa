from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.fit.banded import Band
from bkgpipe.stages.fit.splines import difference_penalty, spline_basis, spline_knots

N_ENERGY, N_SPLINES, N_COLUMNS = 23, 11, 3


@pytest.fixture
def basis():
    knots = spline_knots(0.0, 1.0, n_splines=N_SPLINES)
    return spline_basis(np.linspace(0.0, 1.0, N_ENERGY), knots)


def bordered(basis, *, n_border, n_columns=N_COLUMNS):
    """Information of random columns, and of as many more that reach all energies."""
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(N_ENERGY, 5, n_columns))
    main = np.einsum("ej,epk->epjk", basis, columns).reshape(N_ENERGY * 5, -1)
    rows = np.column_stack([main, rng.normal(size=(len(main), n_border))])
    return rows.T @ rows + 1e-3 * np.eye(rows.shape[1])


@pytest.mark.parametrize("n_border", [0, 1, 4])
def test_solutions_are_those_of_the_dense_matrix(basis, n_border):
    matrix = bordered(basis, n_border=n_border)
    band = Band.of_splines(basis, np.eye(len(matrix)), n_columns=N_COLUMNS)
    factor = band.factor(matrix)
    sides = np.random.default_rng(6).normal(size=(len(matrix), 2))

    for right in (sides, sides[:, 0]):
        solution = factor.solve(right)
        assert solution.shape == right.shape
        np.testing.assert_allclose(matrix @ solution, right, atol=1e-10)


@pytest.mark.parametrize("n_splines", [4, N_SPLINES])
def test_a_band_holds_the_splines_that_overlap(n_splines):
    knots = spline_knots(0.0, 1.0, n_splines=n_splines)
    basis = spline_basis(np.linspace(0.0, 1.0, N_ENERGY), knots)
    matrix = np.kron(basis.T @ basis, np.ones((2, 2)))

    band = Band.of_splines(basis, np.zeros(matrix.shape), n_columns=2)

    rows, columns = np.nonzero(matrix)
    assert band.size == 2 * n_splines
    assert band.width == np.abs(rows - columns).max()


def test_a_penalty_widens_the_band(basis):
    penalty = np.kron(difference_penalty(N_SPLINES, order=6), np.eye(N_COLUMNS))

    band = Band.of_splines(basis, penalty, n_columns=N_COLUMNS)

    assert band.width == (6 + 1) * N_COLUMNS - 1


def test_a_matrix_that_is_not_positive_definite_is_refused(basis):
    matrix = bordered(basis, n_border=2)
    band = Band.of_splines(basis, np.eye(len(matrix)), n_columns=N_COLUMNS)
    for number in (0, -1):
        wrong = matrix.copy()
        wrong[number, number] = -1.0
        with pytest.raises(np.linalg.LinAlgError):
            band.factor(wrong)
