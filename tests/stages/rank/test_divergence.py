from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr

from bkgpipe.stages.rank.divergence import (
    DIVERGENCES,
    js_divergence,
    kl_divergence,
    make_shapes,
)


def kl_by_hand(p, q):
    return rel_entr(p, q).sum()


def js_by_hand(p, q):
    middle = (p + q) / 2
    return (kl_by_hand(p, middle) + kl_by_hand(q, middle)) / 2


BY_HAND = {"kullback_leibler": kl_by_hand, "jensen_shannon": js_by_hand}


def divergence_by_hand(name, target, candidate):
    common = (target > 0) & (candidate > 0)
    if not common.any():
        return np.inf
    p = target[common] / target[common].sum()
    q = candidate[common] / candidate[common].sum()
    return BY_HAND[name](p, q)


def random_values(n_runs, n_bins=11):
    rng = np.random.default_rng(n_runs)
    values = rng.uniform(0.1, 5.0, (n_runs, n_bins))
    return values * (rng.uniform(size=values.shape) > 0.3)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergence_is_that_of_a_double_loop(name):
    p, q = random_values(6), random_values(9)
    p[2, :4], q[3] = 0.0, 0.0
    q[3, 0] = 2.0  # no bin in common with p[2]

    divergence, overlap = DIVERGENCES[name](make_shapes(p), make_shapes(q))

    expected = [[divergence_by_hand(name, one, other) for other in q] for one in p]
    share = [[one[other > 0].sum() / one.sum() for other in q] for one in p]
    assert divergence.shape == (6, 9)
    assert np.isinf(divergence[2, 3])
    np.testing.assert_allclose(divergence, expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(overlap, share, rtol=1e-12)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_equal_shapes_have_none(name):
    values = random_values(5)

    divergence, _ = DIVERGENCES[name](make_shapes(values), make_shapes(3 * values))

    assert (np.diag(divergence) == 0.0).all()


def test_jensen_shannon_is_symmetric_and_at_most_log_2():
    p, q = make_shapes(random_values(4)), make_shapes(random_values(7))

    there, back = js_divergence(p, q)[0], js_divergence(q, p)[0]

    np.testing.assert_allclose(there, back.T, atol=1e-11)
    assert there[np.isfinite(there)].max() <= np.log(2)


def test_tiles_do_not_change_jensen_shannon(monkeypatch):
    p, q = make_shapes(random_values(8)), make_shapes(random_values(5))
    whole, _ = js_divergence(p, q)

    monkeypatch.setattr("bkgpipe.stages.rank.divergence._TILE", 15)
    tiles, _ = js_divergence(p, q)

    np.testing.assert_array_equal(whole, tiles)


def test_sets_of_bins_are_kept_once():
    values = np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 1.0], [1.0, 1.0, 0.0]])

    shapes = make_shapes(values)

    assert shapes.seen.shape == (2, 3)
    np.testing.assert_array_equal(shapes.seen[shapes.seen_index], values > 0)
    np.testing.assert_allclose(shapes.values.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_without_common_bins_divergence_is_infinite(name):
    divergence, overlap = DIVERGENCES[name](
        make_shapes(np.array([[1.0, 2.0, 0.0]])),
        make_shapes(np.array([[0.0, 0.0, 4.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])),
    )

    np.testing.assert_array_equal(divergence, [[np.inf, 0.0, np.inf]])
    np.testing.assert_array_equal(overlap, [[0.0, 1.0, 0.0]])


@pytest.mark.parametrize("name", DIVERGENCES)
def test_no_runs_have_no_divergence(name):
    none, some = make_shapes(np.zeros((0, 3))), make_shapes(np.ones((2, 3)))

    assert DIVERGENCES[name](some, none)[0].shape == (2, 0)
    assert DIVERGENCES[name](none, some)[0].shape == (0, 2)


def test_divergence_of_all_but_disjoint_shapes_is_finite():
    p = make_shapes(np.array([[2.3e-308, 1.0, 1.0], [0.5, 1.0, 1.0]]))
    q = make_shapes(np.array([[1.0, 0.0, 0.0]]))

    divergence, _ = kl_divergence(p, q)

    np.testing.assert_allclose(divergence, 0.0, atol=1e-9)


# what is seen has its pseudo count, so shapes are far from the smallest numbers
_SEEN_OR_NOT = st.just(0.0) | st.floats(1e-6, 1e6)


@pytest.mark.parametrize("name", DIVERGENCES)
@given(
    p=arrays(float, (3, 7), elements=_SEEN_OR_NOT),
    q=arrays(float, (2, 7), elements=_SEEN_OR_NOT),
)
def test_divergence_is_never_negative(name, p, q):
    divergence, overlap = DIVERGENCES[name](make_shapes(p), make_shapes(q))

    assert (divergence >= 0).all()
    assert ((overlap >= 0) & (overlap <= 1 + 1e-12)).all()
