from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import NoEventsError
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Stack
from bkgpipe.tools.closure.recovery import TruthOfModel, close_models, factor_of_stack

MakePairs = Callable[[tuple[float, ...]], list[TruthOfModel]]


def _with_noise(model: RateModel) -> RateModel:
    """Add noise of the size that the model states."""
    rng = np.random.default_rng(11)
    shape_3d, shape_2d = model.rate_3d.shape, model.rate_2d.shape
    return replace(
        model,
        rate_3d=model.rate_3d * rng.normal(1.0, 0.05, shape_3d),
        rate_2d=model.rate_2d * rng.normal(1.0, 0.03, shape_2d),
        error_3d=np.full(shape_3d, 0.05),
        error_2d=np.full(shape_2d, 0.03),
        systematic=0.1,
    )


@pytest.fixture
def make_pairs(
    draw_stack: Callable[..., Stack], make_model: Callable[..., RateModel]
) -> MakePairs:
    """Factory `make_pairs(norms)`: models off by norms, of runs of twice the rate."""

    def make(norms: tuple[float, ...]) -> list[TruthOfModel]:
        truth = Truth()
        stack = draw_stack(truth, livetime=3e6)
        binning = stack.binning
        rates = mean_rate_3d(truth, binning), mean_rate_2d(truth, binning)
        models = [make_model(stack, *(2.0 * norm * r for r in rates)) for norm in norms]
        factor = np.full(binning.n_energy, 2.0)
        return [TruthOfModel(model=_with_noise(m), factor=factor) for m in models]

    return make


@pytest.mark.parametrize("n_dim", [3, 2])
def test_models_with_the_errors_that_they_state_close(
    make_pairs: MakePairs, n_dim: int
) -> None:
    norms = (0.9, 1.0, 1.1)
    found = close_models(make_pairs(norms), Truth(), n_dim=n_dim)
    assert found.name == f"bkg_{n_dim}d"
    assert abs(found.shape.mean) < 0.4
    assert found.shape.width == pytest.approx(1.0, abs=0.25)
    assert found.bins.values.size == found.shape.values.size == found.counts.n_bins
    np.testing.assert_allclose(found.norm, norms, atol=0.03)
    np.testing.assert_allclose(found.norm_error, 0.1, rtol=0.01)
    np.testing.assert_allclose(found.norms.values, [-1.0, 0.0, 1.0], atol=0.3)
    np.testing.assert_array_equal(found.true_factor, 2.0)
    np.testing.assert_array_equal(found.stack_ids, 1)
    for axis in (found.energy, found.offset):
        seen = axis.expected > 0
        assert seen.sum() >= 2
        np.testing.assert_allclose(axis.ratio[seen], 1.0, atol=0.1)
        np.testing.assert_allclose(axis.error[seen], 0.05 if n_dim == 3 else 0.03)
    total = found.counts.n_expected
    assert found.energy.expected.sum() == pytest.approx(total)


def test_energies_that_no_run_has_are_left_out(
    make_pairs: MakePairs,
) -> None:
    (pair,) = make_pairs((1.0,))
    factor = pair.factor.copy()
    factor[0] = np.nan
    found = close_models([replace(pair, factor=factor)], Truth(), n_dim=3)
    assert found.energy.expected[0] == 0.0
    assert np.isnan(found.energy.ratio[0])
    assert found.energy.expected[1] > 0
    assert found.true_factor == [2.0]


@pytest.mark.parametrize("n_dim", [3, 2])
def test_the_error_of_a_sum_is_asked_for(make_pairs: MakePairs, n_dim: int) -> None:
    (pair,) = make_pairs((1.0,))
    asked = []

    def total_error(counts: np.ndarray) -> float:
        asked.append(counts)
        return 0.24

    found = close_models([replace(pair, total_error=total_error)], Truth(), n_dim=n_dim)
    assert found.norm_error == pytest.approx(np.hypot(0.24, 0.1))
    assert asked[0].shape == pair.model.binning.shape_3d
    np.testing.assert_allclose(
        asked[0].sum(), found.counts.n_expected, rtol=1e-9 if n_dim == 3 else 0.2
    )


def test_models_that_state_no_errors_get_those_of_poisson(
    draw_stack: Callable[..., Stack], make_model: Callable[..., RateModel]
) -> None:
    truth = Truth()
    stack = draw_stack(truth, livetime=3e5)
    binning = stack.binning
    width = binning.energy_width[:, np.newaxis]
    rate_2d = stack.counts_2d / stack.exposure_2d / width
    model = make_model(stack, mean_rate_3d(truth, binning), rate_2d)
    pair = TruthOfModel(model=model, factor=np.ones(binning.n_energy))
    found = close_models([pair], truth, n_dim=2)
    assert found.shape.width == pytest.approx(1.0, abs=0.4)
    assert found.norm_error == pytest.approx(found.counts.n_expected**-0.5)


def test_models_without_a_rich_bin_are_refused(
    make_pairs: MakePairs,
) -> None:
    pairs = make_pairs((1.0,))
    with pytest.raises(NoEventsError, match=r"closure: .*longer runs"):
        close_models(pairs, Truth(), n_dim=3, min_expected=1e12)


def test_the_factor_of_a_stack_is_that_of_its_exposure(
    make_binning: Callable[..., Binning],
) -> None:
    binning = make_binning()
    edges = binning.energy_edges
    found = factor_of_stack(
        np.array([1.0, 2.0]),
        np.array([300.0, 100.0]),
        np.array([edges[1] * (1 + 1e-12), edges[2]]),
        binning=binning,
    )
    assert np.isnan(found[0])
    assert found[1] == 1.0
    np.testing.assert_allclose(found[2:], 1.25)
