from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma, poisson

from bkgpipe.stages.fit import array_fit
from bkgpipe.stages.fit.array_fit import fit_arrays
from bkgpipe.stages.fit.count_arrays import CountsArrays, LowEnergies, expected_counts
from bkgpipe.stages.fit.newton_sums import add_up, saturated_deviance
from bkgpipe.stages.fit.splines import spline_basis, spline_knots

N_POINTS, N_ENERGY, N_PLACES, N_SPLINES, N_LOW = 37, 6, 9, 4, 3
FIELD = np.column_stack([np.ones(N_PLACES), np.linspace(-1, 1, N_PLACES)])
BASIS = spline_basis(
    np.linspace(0.0, 1.0, N_ENERGY), spline_knots(0.0, 1.0, n_splines=N_SPLINES)
)


@pytest.fixture(scope="module")
def coefficients():
    rng = np.random.default_rng(3)
    return rng.normal(0, 0.3, (N_SPLINES, 3)), rng.normal(0, 0.3, (N_LOW, 2))


@pytest.fixture(scope="module")
def arrays(coefficients):
    """More points than a block, the lowest energies of which have norms of their own.

    One has no exposure at all, another none at two energies.
    """
    rng = np.random.default_rng(5)
    base = rng.uniform(2.0, 9.0, (N_POINTS, N_ENERGY, N_PLACES))
    base[3] = 0.0
    base[7, :2] = 0.0
    design = rng.normal(0, 1, (N_POINTS, 3, 2))
    design[:, 0] = [1.0, 0.0]
    variance = np.zeros((N_POINTS, N_ENERGY))
    variance[:, :3] = rng.uniform(0.1, 0.8, (N_POINTS, 3))
    low = LowEnergies(
        basis=rng.uniform(0, 1, (N_POINTS, N_ENERGY, N_LOW))
        * (variance > 0)[..., None],
        design=rng.normal(0, 1, (N_POINTS, 2, 2)),
        variance=variance,
    )
    blank = CountsArrays(counts=base, base=base, design=design, low=low)
    mean = expected_counts(blank, *coefficients, basis=BASIS, field=FIELD)
    return replace(blank, counts=rng.poisson(mean).astype(float))


@pytest.fixture(scope="module")
def all_firm(arrays):
    return replace(arrays, low=replace(arrays.low, variance=0 * arrays.low.variance))


def sums_of(arrays, parts, information="observed"):
    return add_up(
        arrays,
        parts,
        saturated_deviance(arrays),
        basis=BASIS,
        field=FIELD,
        information=information,
    )


def split(flat):
    n = N_SPLINES * 3
    return flat[:n].reshape(N_SPLINES, 3), flat[n:].reshape(-1, 2)


def mean_of(arrays, parts):
    return expected_counts(arrays, *parts, basis=BASIS, field=FIELD)


@pytest.mark.parametrize("case", ["low", "firm", "none"])
def test_the_score_is_the_slope_of_the_deviance(arrays, all_firm, coefficients, case):
    cases = {"low": arrays, "firm": all_firm, "none": replace(arrays, low=None)}
    chosen = cases[case]
    flat = np.concatenate([part.ravel() for part in coefficients])
    if case == "none":
        flat = flat[: N_SPLINES * 3]
    found = sums_of(chosen, split(flat))
    step = 1e-5
    slopes = [
        (
            sums_of(chosen, split(flat + step * unit)).deviance
            - sums_of(chosen, split(flat - step * unit)).deviance
        )
        / (2 * step)
        for unit in np.eye(flat.size)
    ]
    assert found.score.shape == flat.shape
    np.testing.assert_allclose(-2 * found.score, slopes, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("case", ["low", "firm", "none"])
def test_the_observed_information_is_the_slope_of_the_score(
    arrays, all_firm, coefficients, case
):
    cases = {"low": arrays, "firm": all_firm, "none": replace(arrays, low=None)}
    chosen = cases[case]
    flat = np.concatenate([part.ravel() for part in coefficients])
    if case == "none":
        flat = flat[: N_SPLINES * 3]
    step = 1e-5
    slopes = [
        (
            sums_of(chosen, split(flat - step * unit)).score
            - sums_of(chosen, split(flat + step * unit)).score
        )
        / (2 * step)
        for unit in np.eye(flat.size)
    ]
    found = sums_of(chosen, split(flat)).normal
    np.testing.assert_allclose(found, slopes, rtol=1e-5, atol=1e-4)


def test_the_observed_information_is_never_negative(arrays, coefficients):
    """Not even where the mean is far from what was counted."""
    rng = np.random.default_rng(8)
    for factor in (1e-3, 1.0, 1e3):
        far = replace(arrays, base=arrays.base * factor)
        norm = rng.choice([0.0, 1.0, 20.0], size=(N_POINTS, N_ENERGY, 1))
        far = replace(far, counts=np.round(arrays.counts * norm))
        values = np.linalg.eigvalsh(sums_of(far, coefficients).normal)
        assert values[0] > -1e-12 * values[-1]


@pytest.mark.parametrize("case", ["low", "firm"])
def test_the_expected_information_is_the_mean_square_of_scores(
    arrays, all_firm, coefficients, case
):
    """Counts drawn with norms of their own have scores of that covariance."""
    chosen = {"low": arrays, "firm": all_firm}[case]
    rng = np.random.default_rng(11)
    mean, variance = mean_of(chosen, coefficients), chosen.low.variance
    shape = 1 / np.where(variance > 0, variance, 1.0)
    scores = []
    for _ in range(4000):
        norms = np.where(variance > 0, rng.gamma(shape) / shape, 1.0)
        drawn = rng.poisson(mean * norms[:, :, None]).astype(float)
        scores.append(sums_of(replace(chosen, counts=drawn), coefficients).score)
    normal = sums_of(chosen, coefficients, "expected").normal
    error = np.sqrt(np.diag(normal))
    found = np.cov(np.array(scores).T) / np.outer(error, error)
    np.testing.assert_allclose(found, normal / np.outer(error, error), atol=0.09)
    np.testing.assert_allclose(np.mean(scores, axis=0) / error, 0.0, atol=0.07)


def test_the_deviance_is_that_of_the_marginal_likelihood(arrays, coefficients):
    """Counts given their norm are Poisson; the norm has a gamma distribution."""
    one = replace(
        arrays,
        counts=arrays.counts[:1, :1],
        base=arrays.base[:1, :1],
        design=arrays.design[:1],
        low=LowEnergies(
            basis=arrays.low.basis[:1, :1],
            design=arrays.low.design[:1],
            variance=arrays.low.variance[:1, :1],
        ),
    )
    shape = 1 / one.low.variance[0, 0]

    def log_likelihood(parts):
        mean = expected_counts(one, *parts, basis=BASIS[:1], field=FIELD).ravel()

        def given(norm):
            chance = np.prod(poisson.pmf(one.counts.ravel(), norm * mean))
            return chance * gamma.pdf(norm, shape, scale=1 / shape)

        return np.log(quad(given, 0, 12, epsabs=0, epsrel=1e-10, limit=200)[0])

    def deviance(parts):
        constant = saturated_deviance(one)
        return add_up(one, parts, constant, basis=BASIS[:1], field=FIELD).deviance

    other = coefficients[0] + 0.2, coefficients[1] - 0.1
    wanted = -2 * (log_likelihood(other) - log_likelihood(coefficients))
    found = deviance(other) - deviance(coefficients)
    assert abs(wanted) > 0.1
    assert found == pytest.approx(wanted, rel=1e-6)


def test_a_variance_of_zero_is_poisson(arrays, all_firm, coefficients):
    """And without what is added near the threshold, as if that were not there."""
    parts = coefficients[0], 0 * coefficients[1]
    bare = sums_of(replace(arrays, low=None), (coefficients[0], np.zeros((0, 2))))
    firm = sums_of(all_firm, parts)
    n = N_SPLINES * 3
    assert firm.deviance == pytest.approx(bare.deviance, rel=1e-12)
    np.testing.assert_allclose(firm.score[:n], bare.score, rtol=1e-9)
    np.testing.assert_allclose(firm.normal[:n, :n], bare.normal, rtol=1e-9, atol=1e-9)
    small = replace(
        all_firm, low=replace(arrays.low, variance=1e-9 * (arrays.low.variance > 0))
    )
    tiny = sums_of(small, parts)
    assert tiny.deviance == pytest.approx(firm.deviance, rel=1e-5)
    np.testing.assert_allclose(tiny.score, firm.score, rtol=1e-4, atol=1e-4)


def test_the_information_of_firm_energies_is_that_of_the_full_design(
    all_firm, coefficients
):
    low = all_firm.low
    rows = np.concatenate(
        [
            np.einsum("ej,gkm,bm->gebjk", BASIS, all_firm.design, FIELD).reshape(
                -1, N_SPLINES * 3
            ),
            np.einsum("gej,gkm,bm->gebjk", low.basis, low.design, FIELD).reshape(
                -1, N_LOW * 2
            ),
        ],
        axis=1,
    )
    mean = mean_of(all_firm, coefficients).ravel()
    normal = rows.T @ (mean[:, None] * rows)
    found = sums_of(all_firm, coefficients)
    np.testing.assert_allclose(found.normal, normal, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        found.score, rows.T @ (all_firm.counts.ravel() - mean), atol=1e-8
    )


def test_a_free_norm_tells_of_the_shape_alone(arrays, coefficients):
    """With a wide variance, ten times the counts at an energy hardly pull."""
    parts = coefficients[0], np.zeros((0, 2))
    wide = replace(
        arrays, low=replace(arrays.low, variance=1e6 * (arrays.low.variance > 0))
    )
    louder = arrays.counts * np.where(np.arange(N_ENERGY) < 3, 10.0, 1.0)[:, None]

    def pull(of, at):
        """Change of the score of the norms, which are the first of three columns."""
        loud = sums_of(replace(of, counts=louder), at).score
        return np.abs(loud - sums_of(of, at).score)[: N_SPLINES * 3 : 3]

    firm = pull(replace(arrays, low=None), parts)
    assert firm.max() > 1000
    assert pull(wide, coefficients).max() < 1e-2 * firm.max()


def test_a_fit_gives_back_both_kinds_of_coefficients(arrays, coefficients):
    exact = replace(arrays, counts=mean_of(arrays, coefficients))
    n = sum(part.size for part in coefficients)
    fit = fit_arrays(exact, basis=BASIS, field=FIELD, penalty=1e-7 * np.eye(n))
    np.testing.assert_allclose(fit.coefficients, coefficients[0], atol=1e-3)
    np.testing.assert_allclose(fit.low_coefficients, coefficients[1], atol=1e-3)
    np.testing.assert_allclose(fit.expected, exact.counts.sum(axis=2), rtol=1e-3)


@pytest.fixture
def far_start(arrays, coefficients):
    """Counts with norms of their own, where ten times as many are expected."""
    rng = np.random.default_rng(9)
    variance = arrays.low.variance
    shape = 1 / np.where(variance > 0, variance, 1.0)
    norms = np.where(variance > 0, rng.gamma(shape) / shape, 1.0)
    counts = rng.poisson(50 * mean_of(arrays, coefficients) * norms[:, :, None])
    base = arrays.base * np.where(np.arange(N_ENERGY) < 3, 500.0, 50.0)[:, None]
    return replace(arrays, counts=counts.astype(float), base=base)


def fit_far(far_start):
    n = N_SPLINES * 3 + N_LOW * 2
    return fit_arrays(far_start, basis=BASIS, field=FIELD, penalty=1e-3 * np.eye(n))


def test_a_fit_has_converged(far_start, monkeypatch, caplog):
    """Scoring by the Fisher information alone gets there as well, in more steps."""
    found = fit_far(far_start)
    monkeypatch.setattr(array_fit, "_TOLERANCE", 1e-12)
    monkeypatch.setattr(array_fit, "_NEAR", 0.0)
    monkeypatch.setattr(array_fit, "_MAX_STEPS", 200)
    optimum = fit_far(far_start)
    assert not caplog.messages
    assert found.n_steps < optimum.n_steps
    np.testing.assert_allclose(found.expected, optimum.expected, rtol=1e-5)


def test_a_fit_that_ends_too_early_says_so(far_start, monkeypatch, caplog):
    monkeypatch.setattr(array_fit, "_MAX_STEPS", 3)
    fit_far(far_start)
    assert "has not converged: step 3 still promised" in caplog.text


def test_information_and_inverse_are_those_of_the_last_step(far_start):
    """Observed ones, so that the step to other counts is Newton's."""
    found = fit_far(far_start)
    parts = found.coefficients, found.low_coefficients
    n = sum(part.size for part in parts)
    normal = sums_of(far_start, parts).normal
    np.testing.assert_array_equal(found.normal, normal)
    unit = found.inverse @ (normal + 1e-3 * np.eye(n))
    np.testing.assert_allclose(unit, np.eye(n), atol=1e-8)
