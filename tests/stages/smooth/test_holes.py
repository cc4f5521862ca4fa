from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.core.binning import Binning
from bkgpipe.simulate.archive.truth import mean_rate_2d, mean_rate_3d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.holes import fill_holes
from bkgpipe.stages.smooth.methods import smooth_stack
from bkgpipe.stages.smooth.radial import squared_offset_2d, squared_offset_3d
from bkgpipe.stages.stack.data import Conditions, Stack

SECONDS = 30 * 3600.0
CONDITIONS = Conditions(
    zenith=20.0, azimuth=180.0, cos_zenith=0.94, deadc=0.9, muon_efficiency=1.0
)
# a square inside of the field, so that its rim cuts no bin
BINNING = Binning(
    energy_edges=np.geomspace(0.1, 100.0, 16),
    fov_lon_edges=np.linspace(-1.75, 1.75, 15),
    fov_lat_edges=np.linspace(-1.5, 1.75, 14),
    offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 13)),
)
TRUTH = Truth()

VALUES = {"none": {}, "gaussian": {"sigma": 1.0}}


def fill(rate, exposure, edges):
    """Fill a field whose bins all lie at the same offset."""
    return fill_holes(rate, exposure, edges, squared_offset=np.ones(rate.shape[1:]))


def fill_model(model: RateModel) -> tuple[np.ndarray, np.ndarray]:
    """Both projections, filled."""
    binning = model.binning
    filled_3d, _ = fill_holes(
        model.rate_3d,
        model.exposure_3d,
        binning.energy_edges,
        squared_offset=squared_offset_3d(binning),
    )
    filled_2d, _ = fill_holes(
        model.rate_2d[:, np.newaxis],
        model.exposure_2d[:, np.newaxis],
        binning.energy_edges,
        squared_offset=squared_offset_2d(binning)[np.newaxis],
    )
    return filled_3d, filled_2d[:, 0]


def points_in(edges: np.ndarray, n_points: int) -> np.ndarray:
    steps = (np.arange(n_points) + 0.5) / n_points
    return edges[:-1, np.newaxis] + np.outer(np.diff(edges), steps)


def excluded_3d(lat: float, radius: float = 0.4) -> np.ndarray:
    """Share of each bin in a disc that lies at some latitude above the pointing."""
    lon_points = points_in(BINNING.fov_lon_edges, 20)[:, :, np.newaxis, np.newaxis]
    distance = np.hypot(lon_points, points_in(BINNING.fov_lat_edges, 20) - lat)
    return (distance < radius).mean(axis=(1, 3))


def excluded_2d(lat: float, radius: float = 0.4) -> np.ndarray:
    """Share of each annulus in that disc."""
    offset = np.sqrt(points_in(BINNING.offset_edges**2, 50))[:, :, np.newaxis]
    angle = (np.arange(720) + 0.5) * np.pi / 360
    distance = np.hypot(offset * np.cos(angle), offset * np.sin(angle) - lat)
    return (distance < radius).mean(axis=(1, 2))


@pytest.fixture(scope="module")
def true_rates() -> tuple[np.ndarray, np.ndarray]:
    return mean_rate_3d(TRUTH, BINNING), mean_rate_2d(TRUTH, BINNING)


@pytest.fixture(scope="module")
def make_stack(true_rates) -> Callable[..., Stack]:
    """Factory `make_stack(lat, seed=None)`: a disc is excluded in all runs."""

    def make(lat: float, *, seed: int | None = None) -> Stack:
        rng = np.random.default_rng(seed)
        fields = {
            "3d": BINNING.solid_angle_3d * (1 - excluded_3d(lat)),
            "2d": BINNING.solid_angle_2d * (1 - excluded_2d(lat)),
        }
        arrays = {}
        for (name, field), rate in zip(fields.items(), true_rates, strict=True):
            exposure = np.broadcast_to(SECONDS * field, rate.shape)
            width = BINNING.energy_width.reshape(-1, *[1] * field.ndim)
            mean = rate * exposure * width
            arrays[f"exposure_{name}"] = exposure
            arrays[f"counts_{name}"] = mean if seed is None else rng.poisson(mean)
        return Stack(
            stack_id=1,
            binning=BINNING,
            obs_ids=np.array([1, 2]),
            ontime=SECONDS / 0.9,
            livetime=SECONDS,
            conditions=CONDITIONS,
            **arrays,
        )

    return make


def in_disc(rate: np.ndarray, truth: np.ndarray, share: np.ndarray) -> float:
    """Predicted over true events in the disc, all energies together."""
    solid_angle = BINNING.solid_angle_3d if rate.ndim == 3 else BINNING.solid_angle_2d
    weight = np.multiply.outer(BINNING.energy_width, share * solid_angle)
    return float((rate * weight).sum() / (truth * weight).sum())


@pytest.mark.parametrize("lat", [0.0, 0.5])
@pytest.mark.parametrize("method", ["none", "gaussian"])
def test_a_disc_that_no_run_saw_is_filled_without_bias(
    make_stack, true_rates, method, lat
):
    model = smooth_stack(make_stack(lat), method=method, **VALUES[method])

    filled_3d, filled_2d = fill_model(model)

    share_3d, share_2d = excluded_3d(lat), excluded_2d(lat)
    assert (share_3d == 1).sum() >= 4
    whole, part = share_3d == 1, (share_3d > 0) & (share_3d < 1)
    for share in (share_3d * whole, share_3d * part):
        assert in_disc(filled_3d, true_rates[0], share) == pytest.approx(1.0, abs=0.01)
    assert in_disc(filled_2d, true_rates[1], share_2d) == pytest.approx(1.0, abs=0.01)
    width = BINNING.energy_width
    found = (filled_3d * model.exposure_3d).sum(axis=(1, 2)) * width
    np.testing.assert_allclose(found, make_stack(lat).counts_3d.sum(axis=(1, 2)))


@pytest.mark.parametrize("method", ["none", "gaussian"])
def test_the_disc_is_filled_within_its_statistics(make_stack, true_rates, method):
    share = excluded_3d(0.5)
    ratios = []
    for seed in range(5):
        model = smooth_stack(
            make_stack(0.5, seed=seed), method=method, **VALUES[method]
        )
        ratios.append(in_disc(fill_model(model)[0], true_rates[0], share))

    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)
    assert np.std(ratios) < 0.015


def test_an_annulus_that_no_run_saw_is_interpolated(make_stack, true_rates):
    for unseen in (slice(0, 1), slice(0, 2), slice(4, 6)):
        stack = make_stack(5.0)
        is_seen = np.ones(BINNING.shape_2d[1])
        is_seen[unseen] = 0.0
        stack = replace(
            stack,
            counts_2d=stack.counts_2d * is_seen,
            exposure_2d=stack.exposure_2d * is_seen,
        )
        for method in ("none", "gaussian"):
            model = smooth_stack(stack, method=method, **VALUES[method])

            _, filled = fill_model(model)

            assert not model.rate_2d[:, unseen].any()
            ratio = in_disc(filled, true_rates[1], 1 - is_seen)
            assert ratio == pytest.approx(1.0, abs=0.01)


def test_a_gradient_is_continued_into_the_disc(make_stack, true_rates):
    slope = np.exp(0.2 * (BINNING.fov_lat_edges[1:] + BINNING.fov_lat_edges[:-1]) / 2)
    stack = make_stack(0.5)
    stack = replace(stack, counts_3d=stack.counts_3d * slope)

    filled, _ = fill_model(smooth_stack(stack, method="none"))

    ratio = in_disc(filled, true_rates[0] * slope, excluded_3d(0.5))
    assert ratio == pytest.approx(1.0, abs=0.02)


def test_bins_of_which_little_was_seen_are_right_in_the_mean():
    edges = np.geomspace(1.0, 10.0, 5)
    width = np.diff(edges)[:, np.newaxis, np.newaxis]
    expected = np.full((4, 6, 7), 200.0)
    expected[:, 3, 3] = 0.3
    expected[:, 0, 0] = 0.0
    rng = np.random.default_rng(2)

    rates = []
    for _ in range(100):
        counts = rng.poisson(expected)
        rate = np.divide(
            counts, expected, out=np.zeros(counts.shape), where=expected > 0
        )
        rates.append(fill(rate, expected / width, edges)[0])

    # truth is one everywhere
    mean = np.mean(rates, axis=0)
    assert mean[:, 3, 3].mean() == pytest.approx(1.0, abs=0.1)
    assert mean[:, 0, 0].mean() == pytest.approx(1.0, abs=0.02)


def test_energies_that_no_run_saw_continue_spectrum_and_profile():
    edges = np.geomspace(0.1, 10.0, 9)
    squares = np.add.outer(np.linspace(-2, 2, 12) ** 2, np.linspace(-2, 2, 13) ** 2)
    spectrum = 1e6 * np.sqrt(edges[1:] * edges[:-1]) ** -2.5
    truth = np.multiply.outer(spectrum, np.exp(-squares / 2))
    exposure = np.ones(truth.shape)
    exposure[[0, 1, 4, 7]] = 0.0

    rate = np.where(exposure > 0, truth, 0.0)
    filled, _ = fill_holes(rate, exposure, edges, squared_offset=squares)

    np.testing.assert_allclose(filled, truth, rtol=0.03)


def test_a_rate_without_holes_stays_as_it_is(true_rates):
    rate = true_rates[0] + 1e-9

    filled, is_hole = fill(rate, np.ones(rate.shape), BINNING.energy_edges)

    assert filled is rate
    assert not is_hole.any()


def test_a_bin_seen_at_other_energies_gets_their_shape(make_stack, true_rates):
    model = smooth_stack(make_stack(5.0), method="none")
    rate, exposure = model.rate_3d.copy(), model.exposure_3d.copy()
    rate[6, 8, 2] = exposure[6, 8, 2] = 0.0

    filled, _ = fill_model(replace(model, rate_3d=rate, exposure_3d=exposure))

    assert filled[6, 8, 2] == pytest.approx(true_rates[0][6, 8, 2], rel=0.01)


def test_a_seen_hole_gets_at_most_half_an_event():
    edges = np.array([1.0, 2.0, 4.0])
    seen = np.full((2, 3, 4), 10.0)
    exposure = seen / np.diff(edges)[:, None, None]
    counts = np.full(seen.shape, 50.0)
    counts[1, 0, 0] = 0.0

    filled, _ = fill(counts / seen, exposure, edges)

    assert 0 < filled[1, 0, 0] * seen[1, 0, 0] < 0.5
    np.testing.assert_array_equal(filled[0], counts[0] / seen[0])
    np.testing.assert_allclose((filled * seen).sum((1, 2)), counts.sum((1, 2)))


@given(st.integers(0, 1000), st.floats(0.001, 3.0), st.floats(0.0, 0.9))
def test_filling_keeps_the_counts_of_each_energy(seed, mean, masked):
    rng = np.random.default_rng(seed)
    edges = np.geomspace(0.1, 10.0, 6)
    exposure = rng.uniform(0.1, 2.0, (5, 4, 3)) * (rng.random((5, 4, 3)) >= masked)
    seen = exposure * np.diff(edges)[:, None, None]
    counts = rng.poisson(mean, seen.shape) * (seen > 0)
    if not counts.any():
        return
    rate = np.divide(counts, seen, out=np.zeros(seen.shape), where=seen > 0)

    filled, is_hole = fill(rate, exposure, edges)

    totals, wanted = (filled * seen).sum((1, 2)), counts.sum((1, 2))
    np.testing.assert_allclose(totals[wanted > 0], wanted[wanted > 0])
    assert (totals[wanted == 0] < 1.0).all()
    assert (filled > 0).all()
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(is_hole, rate == 0)


def test_energies_without_counts_continue_the_spectrum():
    edges = np.geomspace(0.01, 1000.0, 26)
    centers = np.sqrt(edges[1:] * edges[:-1])
    spectrum = 100.0 * centers**-2.5
    rate = np.broadcast_to(spectrum[:, None, None], (25, 3, 2)).copy()
    exposure = np.full(rate.shape, 1e6)
    for unseen in (slice(0, 6), slice(11, 13), slice(20, 25)):
        rate[unseen] = exposure[unseen] = 0.0

    filled, is_hole = fill(rate, exposure, edges)

    assert is_hole.sum() == 13 * 6
    np.testing.assert_allclose(filled[:, 0, 0], spectrum, rtol=1e-9)


@pytest.mark.parametrize(("index", "expected"), [(-8.0, -5.0), (0.5, -1.0)])
def test_continued_spectrum_is_neither_too_steep_nor_too_flat(index, expected):
    edges = np.geomspace(1.0, 100.0, 11)
    centers = np.sqrt(edges[1:] * edges[:-1])
    rate = np.broadcast_to(centers[:, None, None] ** index, (10, 2, 3)).copy()
    exposure = np.ones(rate.shape)
    rate[6:] = exposure[6:] = 0.0

    filled, _ = fill(rate, exposure, edges)

    slope = np.diff(np.log(filled[5:, 0, 0])) / np.diff(np.log(centers[5:]))
    np.testing.assert_allclose(slope, expected)


def test_a_single_energy_is_continued_with_the_usual_slope():
    edges = np.geomspace(1.0, 100.0, 5)
    centers = np.sqrt(edges[1:] * edges[:-1])
    rate, exposure = np.zeros((4, 2, 3)), np.zeros((4, 2, 3))
    rate[1], exposure[1] = 5.0, 1.0

    filled, _ = fill(rate, exposure, edges)

    expected = 5.0 * (centers / centers[1]) ** -3
    np.testing.assert_allclose(filled[:, 1, 2], expected)
