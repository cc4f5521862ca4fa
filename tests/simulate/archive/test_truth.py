from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.truth import (
    expected_counts_2d,
    expected_counts_3d,
    fov_width,
    mean_rate_2d,
    mean_rate_3d,
    rate,
    run_factor,
    spectrum,
)
from bkgpipe.simulate.archive.truth_data import Truth

GRADIENTS = Truth(gradient_lon=0.12, gradient_lat=-0.07)


def _fine_binning() -> Binning:
    return Binning(
        energy_edges=np.geomspace(0.3, 30.0, 4),
        fov_lon_edges=np.linspace(-2.5, 2.5, 41),
        fov_lat_edges=np.linspace(-2.5, 2.5, 51),
        offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
    )


def test_spectrum_is_a_power_law_far_above_threshold() -> None:
    truth = Truth(index=2.5, threshold=0.1)
    ratio = spectrum(truth, np.array([20.0])) / spectrum(truth, np.array([10.0]))
    assert ratio[0] == pytest.approx(2.0**-2.5, rel=1e-6)


def test_threshold_takes_half_of_the_power_law() -> None:
    truth = Truth(norm=2.0, index=1.0, threshold=0.5)
    assert spectrum(truth, np.array([0.5]))[0] == pytest.approx(2.0)


def test_nothing_is_outside_the_energies_and_the_field() -> None:
    truth = Truth(energy_min=0.1, energy_max=10.0, offset_max=2.0)
    zero = np.zeros(1)
    assert rate(truth, np.array([0.09]), zero, zero) == 0.0
    assert rate(truth, np.array([11.0]), zero, zero) == 0.0
    assert rate(truth, np.array([1.0]), np.array([2.1]), zero) == 0.0
    assert rate(truth, np.array([1.0]), np.array([1.9]), zero) > 0.0


def test_rate_falls_with_offset_as_a_gaussian() -> None:
    truth = Truth(width=1.5, width_slope=0.1)
    energy = np.array([4.0])
    width = fov_width(truth, energy)
    assert width[0] == pytest.approx(1.5 * 4.0**0.1)
    profile = rate(truth, energy, np.zeros(1), width) / spectrum(truth, energy)
    assert profile[0] == pytest.approx(np.exp(-0.5), rel=1e-9)


def test_gradients_point_where_they_should() -> None:
    truth = Truth(gradient_lon=0.2, gradient_lat=-0.1)
    one, zero = np.ones(1), np.zeros(1)
    lon_ratio = rate(truth, one, one, zero) / rate(truth, one, -one, zero)
    lat_ratio = rate(truth, one, zero, one) / rate(truth, one, zero, -one)
    assert lon_ratio[0] == pytest.approx(np.exp(0.4))
    assert lat_ratio[0] == pytest.approx(np.exp(-0.2))


def test_zenith_law_is_one_at_the_zenith(make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, zenith=0.0), make_run(2, zenith=60.0)]
    factor = run_factor(Truth(zenith_slope=-4.26), runs)
    np.testing.assert_allclose(factor, [1.0, np.exp(2.13)])


def test_azimuth_law_grows_with_the_zenith_angle(make_run: Callable[..., Run]) -> None:
    truth = Truth(azimuth_amplitude=0.2, azimuth_phase=90.0)
    places = [(0.0, 90.0), (30.0, 90.0), (30.0, 270.0), (30.0, 0.0)]
    runs = [
        make_run(i, zenith=zenith, azimuth=azimuth)
        for i, (zenith, azimuth) in enumerate(places)
    ]
    expected = np.exp([0.0, 0.1, -0.1, 0.0])
    np.testing.assert_allclose(run_factor(truth, runs), expected)


def test_epoch_law_has_steps_and_a_slope(make_run: Callable[..., Run]) -> None:
    truth = Truth(
        epoch_reference=53000.0,
        epoch_slope=-0.1,
        epoch_steps=((53100.0, 0.9), (53200.0, 0.7)),
    )
    days = [53000.0, 53099.0, 53101.0, 53000.0 + 365.25]
    runs = [
        make_run(i, time_start=day - 0.01, time_stop=day + 0.01)
        for i, day in enumerate(days)
    ]
    slope = np.exp(-0.1 * (np.array(days) - 53000.0) / 365.25)
    expected = slope * [1.0, 1.0, 0.9, 0.7]
    np.testing.assert_allclose(run_factor(truth, runs), expected)


def test_muon_efficiency_scales_the_rate(make_run: Callable[..., Run]) -> None:
    runs = [make_run(1, muon_efficiency=1.0), make_run(2, muon_efficiency=0.5)]
    np.testing.assert_allclose(run_factor(Truth(muon_power=2.0), runs), [1.0, 0.25])


def test_an_unknown_condition_matters_only_to_its_law(
    make_run: Callable[..., Run],
) -> None:
    runs = [make_run(1), make_run(2, muon_efficiency=float("nan"))]
    np.testing.assert_array_equal(run_factor(Truth(), runs), 1.0)
    with pytest.raises(InputError, match=r"run 2: the muon efficiency of 1 runs"):
        run_factor(Truth(muon_power=1.0), runs)


@pytest.mark.parametrize("truth", [Truth(), GRADIENTS, Truth(offset_max=2.0)])
def test_both_projections_hold_the_same_counts(truth: Truth) -> None:
    binning = _fine_binning()
    in_3d = expected_counts_3d(truth, binning, livetime=100.0)
    in_2d = expected_counts_2d(truth, binning, livetime=100.0)
    assert in_3d.shape == binning.shape_3d
    assert in_2d.shape == binning.shape_2d
    np.testing.assert_allclose(in_3d.sum(axis=(1, 2)), in_2d.sum(axis=1), rtol=1e-3)


def test_mean_of_a_small_bin_is_the_rate_at_its_centre() -> None:
    binning = Binning(
        energy_edges=np.array([1.0, 1.001]),
        fov_lon_edges=np.array([1.0, 1.001, 1.002]),
        fov_lat_edges=np.array([-0.501, -0.5]),
        offset_edges=np.array([0.0, 1.0, 2.0]),
    )
    center = [np.array([value]) for value in (1.0005, 1.0005, -0.5005)]
    mean = mean_rate_3d(GRADIENTS, binning)[0, 0, 0]
    assert mean == pytest.approx(rate(GRADIENTS, *center)[0], rel=1e-5)


def test_mean_over_energy_matches_a_fine_sum() -> None:
    truth = Truth()
    binning = Binning(
        energy_edges=np.array([0.03, 0.2, 0.6, 200.0]),
        fov_lon_edges=np.array([-0.001, 0.0, 0.001]),
        fov_lat_edges=np.array([-0.001, 0.001]),
        offset_edges=np.array([0.0, 0.001]),
    )
    edges = np.geomspace(0.05, 100.0, 200_001)
    centers = np.sqrt(edges[1:] * edges[:-1])
    rates = spectrum(truth, centers) * np.diff(edges)
    in_bin = np.histogram(centers, binning.energy_edges, weights=rates)[0]
    expected = in_bin / binning.energy_width
    # The last bin spans more than two decades: six nodes are not many for that
    for mean in (
        mean_rate_3d(truth, binning)[:, 0, 0],
        mean_rate_2d(truth, binning)[:, 0],
    ):
        np.testing.assert_allclose(mean, expected, rtol=1e-2)
        np.testing.assert_allclose(mean[:2], expected[:2], rtol=1e-3)


def test_bins_outside_the_field_have_no_rate(
    make_binning: Callable[..., Binning],
) -> None:
    binning = make_binning(fov_lon_edges=np.linspace(-5.0, 5.0, 7))
    mean = mean_rate_3d(Truth(), binning)
    assert (mean[:, 0] == 0).all()
    assert (mean[:, 2:4, 3:5] > 0).all()
    assert np.isfinite(mean).all()


def test_counts_grow_with_live_time_and_factor(
    make_binning: Callable[..., Binning],
) -> None:
    binning = make_binning()
    one = expected_counts_2d(Truth(), binning, livetime=1.0)
    six = expected_counts_2d(Truth(), binning, livetime=3.0, factor=2.0)
    np.testing.assert_allclose(six, 6 * one)


def test_default_rate_is_like_that_of_hess(
    make_binning: Callable[..., Binning],
) -> None:
    binning = make_binning(energy_edges=np.geomspace(0.2, 100.0, 10))
    assert 4.0 < expected_counts_2d(Truth(), binning, livetime=1.0).sum() < 6.0
