from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.fit import count_arrays
from bkgpipe.stages.fit.array_fit import fit_arrays
from bkgpipe.stages.fit.count_arrays import CountsArrays
from bkgpipe.stages.fit.splines import difference_penalty, spline_basis, spline_knots

N_RUNS, N_ENERGY, N_PLACES, N_SPLINES = 7, 6, 9, 4


@pytest.fixture(scope="module")
def problem():
    """Design of an intercept, a condition and a gradient, with true coefficients."""
    rng = np.random.default_rng(4)
    field = np.column_stack([np.ones(N_PLACES), np.linspace(-1, 1, N_PLACES)])
    design = np.zeros((N_RUNS, 3, 2))
    design[:, 0, 0] = 1.0
    design[:, 1, 0] = np.linspace(-1, 1, N_RUNS)
    design[:, 2, 1] = 1.0
    knots = spline_knots(0.0, 1.0, n_splines=N_SPLINES)
    basis = spline_basis(np.linspace(0.0, 1.0, N_ENERGY), knots)
    truth = rng.normal(scale=0.3, size=(N_SPLINES, 3))
    base = np.full((N_RUNS, N_ENERGY, N_PLACES), 200.0)
    base[2, :3] = 0.0
    return field, design, basis, truth, base


def mean_of(problem):
    field, design, basis, truth, base = problem
    return base * np.exp(np.einsum("ek,gkm,bm->geb", basis @ truth, design, field))


def fit(problem, counts, *, penalty=1e-6):
    field, design, basis, _, base = problem
    arrays = CountsArrays(counts=counts, base=base, design=design)
    matrix = penalty * np.eye(N_SPLINES * 3)
    return fit_arrays(arrays, basis=basis, field=field, penalty=matrix)


def test_counts_without_noise_give_back_the_truth(problem):
    result = fit(problem, mean_of(problem))
    np.testing.assert_allclose(result.coefficients, problem[3], atol=1e-4)
    assert result.deviance == pytest.approx(0.0, abs=1e-3)
    assert result.edf == pytest.approx(12, abs=0.01)
    assert result.n_steps <= 7


def test_blocks_do_not_matter(problem, monkeypatch):
    counts = np.random.default_rng(1).poisson(mean_of(problem)).astype(float)
    whole = fit(problem, counts)
    monkeypatch.setattr(count_arrays, "_BLOCK", 3)
    parts = fit(problem, counts)
    np.testing.assert_allclose(whole.coefficients, parts.coefficients, atol=1e-10)
    np.testing.assert_allclose(whole.expected, parts.expected)


def test_counts_are_conserved_without_penalty(problem):
    counts = np.random.default_rng(1).poisson(mean_of(problem)).astype(float)
    result = fit(problem, counts, penalty=1e-9)
    np.testing.assert_allclose(result.observed, counts.sum(axis=2))
    assert result.expected.sum() == pytest.approx(counts.sum(), rel=1e-6)


def test_the_normal_matrix_is_that_of_the_full_design(problem):
    field, design, basis, _, _ = problem
    counts = mean_of(problem)
    rows = np.einsum("ej,gkm,bm->gebjk", basis, design, field)
    rows = rows.reshape(-1, N_SPLINES * 3)
    normal = rows.T @ (counts.ravel()[:, None] * rows)
    result = fit(problem, counts, penalty=1e-9)
    np.testing.assert_allclose(result.normal, normal, rtol=1e-3, atol=1e-9)


def test_errors_cover_the_truth(problem):
    mean, truth = mean_of(problem), problem[3].ravel()
    inside = []
    for seed in range(200):
        counts = np.random.default_rng(seed).poisson(mean).astype(float)
        result = fit(problem, counts)
        error = np.sqrt(np.diag(np.linalg.inv(result.normal)))
        inside.append(np.abs(result.coefficients.ravel() - truth) < error)
    assert 0.60 < np.mean(inside) < 0.76


def test_a_bad_start_ends_at_the_same_place(problem):
    field, design, basis, truth, base = problem
    counts = mean_of(problem)
    far = CountsArrays(counts=counts, base=base * 1e-6, design=design)
    result = fit_arrays(
        far,
        basis=basis,
        field=field,
        penalty=1e-9 * np.eye(N_SPLINES * 3),
    )
    shifted = truth + np.log(1e6) * np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(result.coefficients, shifted, atol=1e-2)


def test_a_penalty_lowers_the_degrees_of_freedom(problem):
    field, design, basis, _, base = problem
    block = CountsArrays(counts=mean_of(problem), base=base, design=design)
    stiff = np.kron(difference_penalty(N_SPLINES, order=1), 1e6 * np.eye(3))
    result = fit_arrays(
        block, basis=basis, field=field, penalty=stiff + 1e-9 * np.eye(12)
    )
    assert result.edf == pytest.approx(3, abs=0.1)


def test_the_deviance_is_that_of_the_definition(problem):
    mean = mean_of(problem)
    counts = np.random.default_rng(3).poisson(mean / 100).astype(float)
    result = fit(problem, counts, penalty=1.0)
    field, design, basis, _, base = problem
    slopes = basis @ result.coefficients
    fitted = base * np.exp(np.einsum("ek,gkm,bm->geb", slopes, design, field))
    seen = counts > 0
    terms = counts[seen] * np.log(counts[seen] / fitted[seen])
    deviance = 2 * (terms.sum() - counts.sum() + fitted.sum())
    assert result.deviance == pytest.approx(deviance, rel=1e-9)
    np.testing.assert_allclose(result.expected, fitted.sum(axis=2))
