from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from bkgpipe.errors import SettingsError
from bkgpipe.stages.smooth.methods import annulus_kernel, mean_rate, smooth_stack
from bkgpipe.stages.smooth.radial import squared_offset_3d
from bkgpipe.stages.stack.data import Conditions, Stack

CONDITIONS = Conditions(
    zenith=30.0, azimuth=10.0, cos_zenith=0.87, deadc=0.9, muon_efficiency=0.9
)
HOURS = 50.0

VALUES = {"none": {}, "gaussian": {"sigma": 1.0}}


@pytest.fixture(scope="session")
def make_stack(make_binning):
    """Poisson counts of a flat rate; `hole` masks a part of the field."""

    def make(*, seed=1, hole=False, binning=None, rate=2.0):
        binning = binning or make_binning()
        seconds = np.array([0.0, 1.0, 2.0, 3.0])[: binning.n_energy] * HOURS * 3600
        space_3d, space_2d = binning.solid_angle_3d.copy(), binning.solid_angle_2d
        if hole:
            space_3d[2:4, 3] = 0.0
            space_3d[1, 3] *= 0.2
        exposure_3d = np.multiply.outer(seconds, space_3d)
        exposure_2d = np.multiply.outer(seconds, space_2d)
        width = binning.energy_width
        rng = np.random.default_rng(seed)
        return Stack(
            stack_id=3,
            binning=binning,
            obs_ids=np.array([1, 2]),
            counts_3d=rng.poisson(rate * exposure_3d * width[:, None, None] / 10),
            exposure_3d=exposure_3d,
            counts_2d=rng.poisson(rate * exposure_2d * width[:, None] / 10),
            exposure_2d=exposure_2d,
            ontime=HOURS * 3600 / 0.9,
            livetime=HOURS * 3600,
            conditions=CONDITIONS,
        )

    return make


def expected_counts(model):
    width = model.binning.energy_width
    in_3d = model.rate_3d * model.exposure_3d * width[:, None, None]
    in_2d = model.rate_2d * model.exposure_2d * width[:, None]
    return in_3d, in_2d


def test_none_gives_back_the_counts(make_stack):
    stack = make_stack(hole=True)

    model = smooth_stack(stack, method="none")

    in_3d, in_2d = expected_counts(model)
    np.testing.assert_allclose(in_3d, stack.counts_3d, rtol=1e-12)
    np.testing.assert_allclose(in_2d, stack.counts_2d, rtol=1e-12)
    assert not model.rate_3d[stack.exposure_3d == 0].any()
    assert (model.stack_id, model.method, model.n_runs) == (3, "none", 2)
    assert model.exposure_3d is stack.exposure_3d
    assert model.exposure_2d is stack.exposure_2d
    assert (model.livetime, model.conditions) == (stack.livetime, CONDITIONS)


@given(st.floats(0.0, 4.0), st.integers(1, 1000), st.booleans())
def test_gaussian_keeps_the_counts_of_each_energy(make_stack, sigma, seed, hole):
    stack = make_stack(seed=seed, hole=hole)

    model = smooth_stack(stack, method="gaussian", sigma=sigma)

    in_3d, in_2d = expected_counts(model)
    np.testing.assert_allclose(in_3d.sum((1, 2)), stack.counts_3d.sum((1, 2)))
    np.testing.assert_allclose(in_2d.sum(1), stack.counts_2d.sum(1))
    assert (model.rate_3d >= 0).all()
    assert not model.rate_3d[stack.exposure_3d == 0].any()
    assert not model.rate_2d[stack.exposure_2d == 0].any()


def test_no_width_is_no_smoothing(make_stack):
    stack = make_stack()

    plain = smooth_stack(stack, method="none")
    model = smooth_stack(stack, method="gaussian", sigma=0.0)

    np.testing.assert_array_equal(model.rate_3d, plain.rate_3d)
    np.testing.assert_array_equal(model.rate_2d, plain.rate_2d)


def test_flat_stays_flat_beside_a_hole_and_at_the_rim(make_stack):
    stack = make_stack(hole=True)
    flat = np.array([0.0, 50.0, 10.0, 2.0])
    width = stack.binning.energy_width
    stack = replace(
        stack,
        counts_3d=stack.exposure_3d * (flat * width)[:, None, None],
        counts_2d=stack.exposure_2d * (flat * width)[:, None],
    )

    model = smooth_stack(stack, method="gaussian", sigma=1.5)

    seen = stack.exposure_3d > 0
    np.testing.assert_allclose(
        model.rate_3d[seen], np.broadcast_to(flat[:, None, None], seen.shape)[seen]
    )
    np.testing.assert_allclose(
        model.rate_2d[1:], np.broadcast_to(flat[1:, None], (3, 5)), rtol=1e-12
    )


def test_energies_do_not_mix(make_stack):
    stack = make_stack()
    counts = np.zeros_like(stack.counts_3d)
    counts[2, 3, 4] = 100
    stack = replace(stack, counts_3d=counts)

    model = smooth_stack(stack, method="gaussian", sigma=1.0)

    assert not model.rate_3d[[0, 1, 3]].any()
    assert (model.rate_3d[2] > 0).sum() > 9
    assert model.rate_3d[2].argmax() == np.ravel_multi_index((3, 4), (6, 8))


def test_kernel_is_that_of_an_image():
    edges, sigma = 2.5 * np.sqrt(np.linspace(0, 1, 6)), 0.4
    pixel = 0.025
    axis = np.arange(-4.5 + pixel / 2, 4.5, pixel)
    ring = np.digitize(np.hypot(*np.meshgrid(axis, axis)), edges) - 1

    kernel = annulus_kernel(edges, sigma)

    for start in range(5):
        image = (ring == start) / (ring == start).sum()
        blurred = gaussian_filter(image, sigma / pixel, mode="constant")
        shares = [blurred[ring == end].sum() for end in range(5)]
        np.testing.assert_allclose(kernel[:, start], shares, atol=2e-3)


@pytest.mark.parametrize("sigma", [1e-4, 0.02, 0.1, 1.0, 10.0])
def test_kernel_keeps_what_stays_in_the_field(sigma):
    edges = np.linspace(0, 3, 8)

    kernel = annulus_kernel(edges, sigma)

    assert (kernel >= 0).all()
    inner = kernel[:, 0].sum()
    assert inner == pytest.approx(1 - np.exp(-(3.0**2) / (2 * sigma**2)), abs=0.15)
    # detailed balance: exchange between annuli is even
    area = np.diff(edges**2)
    np.testing.assert_allclose(kernel * area, (kernel * area).T, rtol=1e-9)


def test_smooth_radial_shape_is_kept(make_stack, make_binning):
    binning = make_binning(offset_edges=np.linspace(0, 2.5, 18))
    stack = make_stack(binning=binning)
    edges = binning.offset_edges
    # mean of exp(-r^2 / 2 s^2) over each annulus
    shape = -np.diff(np.exp(-(edges**2) / 4.5)) * 4.5 / np.diff(edges**2)
    width = binning.energy_width[:, None]
    stack = replace(stack, counts_2d=1e3 * shape * stack.exposure_2d * width)

    model = smooth_stack(stack, method="gaussian", sigma=1.0)

    np.testing.assert_allclose(
        model.rate_2d[1:, :-1] / 1e3, [shape[:-1]] * 3, rtol=0.03
    )
    # at the rim there are neighbours on the inner side alone
    np.testing.assert_allclose(model.rate_2d[1:, -1] / 1e3, shape[-1], rtol=0.1)


def test_noise_is_smoothed(make_stack):
    stack = make_stack(rate=30.0)

    plain = smooth_stack(stack, method="none")
    model = smooth_stack(stack, method="gaussian", sigma=1.0)

    assert model.rate_3d[1].std() < plain.rate_3d[1].std() / 2
    assert model.rate_2d[1].std() < plain.rate_2d[1].std()


def test_empty_and_fully_masked_stacks_have_no_rate(make_stack):
    stack = make_stack()
    empty = replace(
        stack,
        counts_3d=np.zeros_like(stack.counts_3d),
        counts_2d=np.zeros_like(stack.counts_2d),
    )
    masked = replace(
        empty,
        exposure_3d=np.zeros_like(stack.exposure_3d),
        exposure_2d=np.zeros_like(stack.exposure_2d),
    )

    for case in (empty, masked):
        for method in ("none", "gaussian"):
            model = smooth_stack(case, method=method, **VALUES[method])
            assert not model.rate_3d.any()
            assert not model.rate_2d.any()


def test_single_bins(make_stack, make_binning):
    binning = make_binning(
        fov_lon_edges=np.array([-1.0, 1.0]), offset_edges=np.array([0.0, 2.5])
    )
    stack = make_stack(binning=binning)

    model = smooth_stack(stack, method="gaussian", sigma=1.0)

    _, in_2d = expected_counts(model)
    np.testing.assert_allclose(in_2d, stack.counts_2d)


def test_mean_rate_has_the_shape_of_the_counts():
    counts, exposure = np.array([[4, 6], [9, 0], [1, 1]]), np.full((3, 2), 2.0)
    exposure[2] = 0.0

    rate = mean_rate(counts, exposure, np.array([1.0, 3.0, 5.0]))

    np.testing.assert_allclose(rate, [[2.0, 3.0], [1.5, 0.0], [0.0, 0.0]])


def test_errors_of_plain_rates_are_those_of_poisson(make_stack):
    stack = make_stack(hole=True)
    stack = replace(stack, systematic=0.07)

    model = smooth_stack(stack, method="none")

    seen = stack.counts_3d > 0
    wanted = 1 / np.sqrt(stack.counts_3d[seen])
    np.testing.assert_allclose(model.error_3d[seen], wanted)
    np.testing.assert_allclose(model.error_3d[~seen], np.sqrt(2))
    np.testing.assert_allclose(model.error_2d[1:], 1 / np.sqrt(stack.counts_2d[1:]))
    assert model.systematic == 0.07


def test_errors_are_those_of_the_counts_passed_through_the_smoothing(make_stack):
    stack = make_stack(rate=300.0, hole=True)
    at = (2, 4, 5)
    rates = []
    for index in np.ndindex(stack.counts_3d.shape):
        counts = stack.counts_3d.astype(np.float64)
        counts[index] *= 1.1
        model = smooth_stack(
            replace(stack, counts_3d=counts), method="gaussian", sigma=1.2
        )
        rates.append(model.rate_3d[at])

    model = smooth_stack(stack, method="gaussian", sigma=1.2)

    # d log(rate) / d log(counts) of each bin
    slopes = np.log(np.array(rates) / model.rate_3d[at]) / 0.1
    counts = stack.counts_3d.ravel()
    seen = counts > 0
    variance = np.sum(slopes[seen] ** 2 / counts[seen])
    assert model.error_3d[at] == pytest.approx(np.sqrt(variance), rel=0.1)


def test_a_peak_is_not_flattened(make_stack, make_binning):
    binning = make_binning(
        fov_lon_edges=np.linspace(-2.5, 2.5, 15),
        fov_lat_edges=np.linspace(-2.5, 2.5, 17),
    )
    stack = make_stack(binning=binning)
    peak = np.exp(-squared_offset_3d(binning) / (2 * 1.3**2))
    width = binning.energy_width[:, None, None]
    stack = replace(stack, counts_3d=1e3 * peak * stack.exposure_3d * width)

    model = smooth_stack(stack, method="gaussian", sigma=1.5)

    np.testing.assert_allclose(model.rate_3d[1:] / 1e3, [peak] * 3, rtol=0.02)


@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize(
    ("method", "values"), [("none", {}), ("gaussian", {"sigma": 1.5})]
)
def test_pulls_of_a_flat_field_are_standard_normal(make_stack, method, values, hole):
    pulls_3d, pulls_2d = [], []
    for seed in range(60):
        stack = make_stack(seed=seed, rate=300.0, hole=hole)
        model = smooth_stack(stack, method=method, **values)
        seen = stack.exposure_3d[1] > 0.05 * stack.exposure_3d[1].max()
        truth = 300.0 / 10
        pull = (model.rate_3d / truth - 1) / model.error_3d
        pulls_3d.append(pull[1:, seen])
        pulls_2d.append(((model.rate_2d / truth - 1) / model.error_2d)[1:])

    assert (stack.counts_3d[1:, seen] > 10).mean() > 0.95
    assert np.mean(pulls_3d) == pytest.approx(0.0, abs=0.1)
    assert np.std(pulls_3d) == pytest.approx(1.0, abs=0.07)
    assert np.mean(pulls_2d) == pytest.approx(0.0, abs=0.15)
    # the counts of each energy are kept, which leaves a little less freedom
    assert 0.8 < np.std(pulls_2d) < 1.1


def test_bins_without_a_rate_have_the_error_of_the_prior(make_stack):
    stack = make_stack(hole=True)
    empty = replace(stack, counts_3d=np.zeros_like(stack.counts_3d))

    for case in (stack, empty):
        for method in ("none", "gaussian"):
            model = smooth_stack(case, method=method, **VALUES[method])
            without = model.rate_3d == 0
            assert without.any()
            np.testing.assert_allclose(model.error_3d[without], np.sqrt(2))
            assert (model.error_3d > 0).all()


def test_a_method_that_is_none(make_stack):
    with pytest.raises(SettingsError, match=r"\[smooth\]: .*Choose one of none, gauss"):
        smooth_stack(make_stack(), method="median", sigma=1.0)


@pytest.mark.parametrize("sigma", [-1.0, np.nan])
def test_a_width_that_is_none(make_stack, sigma):
    with pytest.raises(SettingsError, match=r"\[smooth\]: .*a sigma of at least 0"):
        smooth_stack(make_stack(), method="gaussian", sigma=sigma)


def test_a_method_is_not_given_what_it_does_not_look_at(make_stack):
    with pytest.raises(TypeError, match="sigma"):
        smooth_stack(make_stack(), method="none", sigma=1.0)
