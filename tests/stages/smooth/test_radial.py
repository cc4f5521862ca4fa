from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.stages.smooth.radial import (
    fit_profile,
    squared_offset_2d,
    squared_offset_3d,
)

N_ENERGY, SHAPE = 6, (9, 11)
SQUARES = np.add.outer(np.linspace(-2, 2, 9) ** 2, np.linspace(-2, 1, 11) ** 2)


def gaussians(*widths: float) -> np.ndarray:
    return np.exp(-SQUARES / (2 * np.array(widths)[:, np.newaxis, np.newaxis] ** 2))


def relative(profile: np.ndarray) -> np.ndarray:
    return profile / profile.mean(axis=(1, 2), keepdims=True)


def test_profile_of_each_energy_is_found_without_noise() -> None:
    truth = gaussians(1.1, 1.2, 1.3, 1.4, 1.5, 1.6)
    seen = np.random.default_rng(1).uniform(0.5, 2.0, truth.shape)
    norm = np.geomspace(1e5, 1e3, N_ENERGY)[:, np.newaxis, np.newaxis]

    fit = fit_profile(norm * truth * seen, seen, SQUARES)

    np.testing.assert_allclose(relative(fit.profile), relative(truth), rtol=0.03)
    mean = (fit.profile * seen.sum(axis=0)).sum(axis=(1, 2)) / seen.sum()
    np.testing.assert_allclose(mean, 1.0)


def test_energies_with_few_events_take_the_profile_of_their_neighbours() -> None:
    truth = gaussians(*[1.3] * N_ENERGY)
    seen = np.ones(truth.shape)
    counts = 1e4 * truth
    counts[3] = 0.0
    counts[3, 0, 0] = 1.0
    counts[5] = 0.0

    fit = fit_profile(counts, seen, SQUARES)

    np.testing.assert_allclose(relative(fit.profile), relative(truth), rtol=0.03)


def test_an_unseen_centre_is_continued() -> None:
    truth = gaussians(*[1.3] * N_ENERGY)
    seen = np.broadcast_to((SQUARES > 0.5).astype(float), truth.shape)

    many = fit_profile(1e5 * truth * seen, seen, SQUARES).profile
    few = fit_profile(1e-5 * truth * seen, seen, SQUARES).profile

    np.testing.assert_allclose(relative(many), relative(truth), rtol=0.02)
    # nothing is known about a slope, so there is none
    np.testing.assert_allclose(relative(few), 1.0, rtol=0.1)


def test_nothing_counted_or_seen_is_flat() -> None:
    nothing = np.zeros((N_ENERGY, *SHAPE))

    for seen in (nothing, np.ones(nothing.shape)):
        fit = fit_profile(nothing, seen, SQUARES)
        np.testing.assert_allclose(relative(fit.profile), 1.0)


@pytest.mark.parametrize("squares", [np.zeros(SHAPE), np.full(SHAPE, 0.04)])
def test_a_single_annulus_is_flat(squares: np.ndarray) -> None:
    seen = np.ones((1, *SHAPE))

    fit = fit_profile(30.0 * seen, seen, squares)

    np.testing.assert_allclose(fit.profile, 1.0, rtol=1e-6)


def test_errors_of_the_profile_are_those_of_repeated_draws() -> None:
    truth, seen = 30.0 * gaussians(*[1.3] * N_ENERGY), np.ones((N_ENERGY, *SHAPE))
    rng = np.random.default_rng(4)
    fits = [fit_profile(rng.poisson(truth), seen, SQUARES) for _ in range(200)]
    first, last = np.argsort(SQUARES.ravel())[[0, -1]]

    logs = np.log([fit.profile.reshape(N_ENERGY, -1) for fit in fits])
    contrast = logs[:, :, last] - logs[:, :, first]
    splines = fits[0].splines.reshape(-1, fits[0].splines.shape[-1])
    step = splines[last] - splines[first]
    variance = np.einsum("k,ekl,l->e", step, fits[0].covariance, step)

    np.testing.assert_allclose(contrast.std(axis=0), np.sqrt(variance), rtol=0.2)


def test_squared_offsets_are_means_over_the_bins(make_binning) -> None:
    binning = make_binning()
    lon = np.linspace(-2.5, 2.5, 6 * 50 + 1)
    lat = np.linspace(-2.5, 2.5, 8 * 50 + 1)
    points = np.add.outer(
        ((lon[1:] + lon[:-1]) / 2) ** 2, ((lat[1:] + lat[:-1]) / 2) ** 2
    )
    mean = points.reshape(6, 50, 8, 50).mean(axis=(1, 3))

    np.testing.assert_allclose(squared_offset_3d(binning), mean, rtol=1e-3)
    np.testing.assert_allclose(
        squared_offset_2d(binning), 6.25 * np.arange(0.1, 1, 0.2)
    )
