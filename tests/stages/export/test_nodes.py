from __future__ import annotations

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from gammapy.irf import Background2D, Background3D
from gammapy.makers.utils import make_map_background_irf
from gammapy.maps import MapAxis, WcsGeom

from bkgpipe.core.binning import Binning
from bkgpipe.errors import InputError, NoEventsError
from bkgpipe.stages.export.nodes import make_node_model, node_model_for_run
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Conditions

CONDITIONS = Conditions(
    zenith=30.0, azimuth=10.0, cos_zenith=0.87, deadc=0.8, muon_efficiency=0.9
)
SECONDS = 100 * 3600.0
# edges on a grid of 0.05 deg, so that the pixels of a map fill the bins
BINNING = Binning(
    energy_edges=np.geomspace(0.1, 100.0, 16),
    fov_lon_edges=np.linspace(-2.5, 2.5, 11),
    fov_lat_edges=np.linspace(-2.25, 2.25, 10),
    offset_edges=np.linspace(0.0, 2.5, 9),
)
UNIT = u.Unit("s-1 TeV-1 sr-1")


def truth(energy, fov_lon, fov_lat):
    spectrum = energy**-2.7 / (1 + (0.3 / energy) ** 2)  # bends at the threshold
    width = 1.3 + 0.2 * np.log10(energy)
    field = np.exp(-(fov_lon**2 + fov_lat**2) / (2 * width**2)) * (1 + 0.1 * fov_lat)
    return 30.0 * spectrum * field


def fine(edges, n_steps):
    steps = np.arange(n_steps) / n_steps
    inner = edges[:-1, None] + np.diff(edges)[:, None] * steps
    return np.append(inner, edges[-1])


def middle(edges):
    return (edges[1:] + edges[:-1]) / 2


def make_model(
    rate_3d, rate_2d, *, binning=BINNING, is_seen=None, conditions=CONDITIONS
):
    space_3d = binning.solid_angle_3d * (1.0 if is_seen is None else is_seen)
    time = np.full(binning.n_energy, SECONDS)
    return RateModel(
        stack_id=12,
        binning=binning,
        method="none",
        rate_3d=rate_3d,
        exposure_3d=np.multiply.outer(time, space_3d),
        rate_2d=rate_2d,
        exposure_2d=np.multiply.outer(time, binning.solid_angle_2d),
        n_runs=40,
        livetime=SECONDS,
        conditions=conditions,
    )


@pytest.fixture(scope="session")
def smooth_model():
    """Bin means of the truth, integrated on a fine grid."""
    energy = np.exp(fine(np.log(BINNING.energy_edges), 20))
    centers = np.sqrt(energy[1:] * energy[:-1])[:, None, None]
    lon, lat = fine(BINNING.fov_lon_edges, 8), fine(BINNING.fov_lat_edges, 8)
    space = np.outer(np.diff(np.radians(lon)), np.diff(np.sin(np.radians(lat))))
    values = truth(centers, middle(lon)[:, None], middle(lat))
    values = values * np.diff(energy)[:, None, None] * space
    sums = values.reshape(15, 20, 10, 8, 9, 8).sum(axis=(1, 3, 5))
    rate_3d = sums / BINNING.energy_width[:, None, None] / BINNING.solid_angle_3d
    ring = fine(BINNING.offset_edges, 20)
    area = np.diff(-np.cos(np.radians(ring)))
    values = truth(centers[..., 0], middle(ring), 0.0) * np.diff(energy)[:, None] * area
    sums = values.reshape(15, 20, 8, 20).sum(axis=(1, 3)) * 2 * np.pi
    rate_2d = sums / BINNING.energy_width[:, None] / BINNING.solid_angle_2d
    return make_model(rate_3d, rate_2d)


def noisy_model(model, *, n_events, seed=1):
    rng = np.random.default_rng(seed)
    rates = []
    for name in ("3d", "2d"):
        rate, exposure = (
            getattr(model, f"rate_{name}"),
            getattr(model, f"exposure_{name}"),
        )
        width = BINNING.energy_width.reshape(-1, *[1] * (rate.ndim - 1))
        expected = rate * exposure * width
        counts = rng.poisson(expected * n_events / expected.sum())
        rates.append(counts / exposure / width)
    return make_model(*rates)


def energy_axis(edges):
    return MapAxis.from_energy_edges(edges * u.TeV, name="energy")


def gammapy_map(values, edges, *, oversampling):
    """Predicted counts in an hour on any energies, through gammapy's map maker."""
    energy = energy_axis(BINNING.energy_edges)
    lon = MapAxis.from_edges(BINNING.fov_lon_edges, unit="deg", name="fov_lon")
    lat = MapAxis.from_edges(BINNING.fov_lat_edges, unit="deg", name="fov_lat")
    bkg = Background3D(axes=[energy, lon, lat], data=values, unit=UNIT)
    geom = WcsGeom.create(
        skydir=(0.0, 0.0),
        binsz=0.05,
        width=(5.0, 4.5),
        proj="CAR",
        frame="icrs",
        axes=[energy_axis(edges)],
    )
    pointing = SkyCoord(0.0, 0.0, unit="deg", frame="icrs")
    start = Time("2004-12-04")
    return make_map_background_irf(
        pointing, 1 * u.h, bkg, geom, start, oversampling=oversampling
    ).data


def gammapy_counts_3d(values):
    """Predicted counts per bin in an hour, with the two power laws of each bin."""
    # gammapy may evaluate zero at the very last edge of the energy axis
    predicted = gammapy_map(values, BINNING.energy_edges[:-1], oversampling=2)
    # rows are latitude; columns go with falling right ascension, rising fov_lon
    pixels = predicted.transpose(0, 2, 1)
    return pixels.reshape(14, 10, 10, 9, 10).sum(axis=(2, 4))


def gammapy_counts_2d(values):
    offset = MapAxis.from_edges(BINNING.offset_edges, unit="deg", name="offset")
    energy = energy_axis(BINNING.energy_edges)
    axes = [energy, offset]
    bkg = Background2D(axes=axes, data=values, unit=UNIT)
    bkg = bkg.pad(1, mode="edge", axis_name="offset")  # as MapDatasetMaker does
    ring = fine(BINNING.offset_edges, 20)
    rate = bkg.integrate_log_log(
        axis_name="energy",
        energy=energy.upsample(2).edges[:-2, None],
        offset=middle(ring)[None] * u.deg,
    )
    area = 2 * np.pi * np.diff(-np.cos(np.radians(ring)))
    counts = rate.to_value("s-1 sr-1") * area * 3600.0
    return counts.reshape(14, 2, 8, 20).sum(axis=(1, 3))


def wanted_counts(rate, solid_angle):
    """Events in an hour of on-time."""
    width = BINNING.energy_width.reshape(-1, *[1] * (rate.ndim - 1))
    return (rate * width * solid_angle * CONDITIONS.deadc * 3600.0)[:-1]


def test_gammapy_integrates_to_the_counts_in_3d(smooth_model):
    wanted = wanted_counts(smooth_model.rate_3d, BINNING.solid_angle_3d)
    nodes = make_node_model(smooth_model, fov_alignment="RADEC")

    naive = gammapy_counts_3d(smooth_model.rate_3d * CONDITIONS.deadc)
    found = gammapy_counts_3d(nodes.bkg_3d)

    per_energy = found.sum((1, 2)) / wanted.sum((1, 2)) - 1
    naive_per_energy = naive.sum((1, 2)) / wanted.sum((1, 2)) - 1
    assert np.abs(naive_per_energy).max() > 0.03
    assert np.abs(per_energy).max() < 0.003
    assert np.abs(found / wanted - 1).max() < 0.02


def true_spectrum(edges):
    """Events in an hour of on-time, from the truth on a fine grid."""
    energy = np.exp(fine(np.log(edges), 50))
    lon, lat = fine(BINNING.fov_lon_edges, 4), fine(BINNING.fov_lat_edges, 4)
    space = np.outer(np.diff(np.radians(lon)), np.diff(np.sin(np.radians(lat))))
    centers = np.sqrt(energy[1:] * energy[:-1])[:, None, None]
    rate = truth(centers, middle(lon)[:, None], middle(lat)) * space
    counts = rate.sum(axis=(1, 2)) * np.diff(energy) * CONDITIONS.deadc * 3600.0
    return counts.reshape(-1, 50).sum(axis=1)


@pytest.mark.parametrize(
    ("axis", "oversampling", "tolerance"),
    [
        # one power law across a wide bin is gammapy's own approximation
        ((4, 0.0), 1, 0.03),
        ((4, 0.0), 10, 0.012),
        ((5, 0.0), 1, 0.03),
        ((5, 0.0), 4, 0.012),
        ((8, 0.0), 4, 0.012),
        ((8, 0.5), 1, 0.015),
        ((10, 0.0), 1, 0.015),
        ((16, 0.0), 1, 0.015),
        ((32, 0.0), 1, 0.02),
        ((32, 0.0), 4, 0.02),
    ],
)
def test_gammapy_predicts_the_truth_on_axes_of_users(
    smooth_model, axis, oversampling, tolerance
):
    per_decade, shift = axis
    nodes = make_node_model(smooth_model, fov_alignment="RADEC")
    edges = 0.12 * 10 ** ((np.arange(2 * per_decade + 1) + shift) / per_decade)

    found = gammapy_map(nodes.bkg_3d, edges, oversampling=oversampling)

    ratio = found.sum(axis=(1, 2)) / true_spectrum(edges)
    assert np.abs(ratio - 1).max() < tolerance


def test_nodes_do_not_ring(smooth_model):
    nodes = make_node_model(smooth_model, fov_alignment="RADEC")

    centers = np.sqrt(BINNING.energy_edges[1:] * BINNING.energy_edges[:-1])
    lon, lat = middle(BINNING.fov_lon_edges), middle(BINNING.fov_lat_edges)
    expected = truth(centers[:, None, None], lon[:, None], lat) * CONDITIONS.deadc
    bent = np.log(nodes.bkg_3d / expected)
    assert np.abs(bent).max() < 0.06
    bends = np.abs(np.diff(bent, n=2, axis=0)).max(axis=(1, 2))
    assert bends.max() < 0.03
    assert bends[1:].max() < 0.005


def test_gammapy_integrates_to_the_counts_in_2d(smooth_model):
    wanted = wanted_counts(smooth_model.rate_2d, BINNING.solid_angle_2d)
    nodes = make_node_model(smooth_model, fov_alignment="RADEC")

    naive = gammapy_counts_2d(smooth_model.rate_2d * CONDITIONS.deadc)
    found = gammapy_counts_2d(nodes.bkg_2d)

    per_energy = found.sum(1) / wanted.sum(1) - 1
    assert np.abs(naive.sum(1) / wanted.sum(1) - 1).max() > 0.03
    assert np.abs(per_energy).max() < 0.003
    assert np.abs(found / wanted - 1).max() < 0.02


def test_gammapy_integrates_noise_to_its_counts(smooth_model):
    model = noisy_model(smooth_model, n_events=2e5)
    nodes = make_node_model(model, fov_alignment="RADEC")
    hours = SECONDS / 3600.0

    for rate, solid_angle, naive, found in (
        (
            model.rate_3d,
            BINNING.solid_angle_3d,
            gammapy_counts_3d(np.maximum(model.rate_3d, 1e-12) * CONDITIONS.deadc),
            gammapy_counts_3d(nodes.bkg_3d),
        ),
        (
            model.rate_2d,
            BINNING.solid_angle_2d,
            gammapy_counts_2d(np.maximum(model.rate_2d, 1e-12) * CONDITIONS.deadc),
            gammapy_counts_2d(nodes.bkg_2d),
        ),
    ):
        space = tuple(range(1, rate.ndim))
        wanted = wanted_counts(rate, solid_angle).sum(axis=space)
        events = wanted * hours / CONDITIONS.deadc
        lacking = found.sum(axis=space) / wanted - 1
        assert np.abs(lacking[events > 5000]).max() < 0.01
        assert np.abs(lacking * np.sqrt(events)).max() < 2.0
        assert np.abs(naive.sum(axis=space) / wanted - 1).max() > 0.05


@pytest.mark.parametrize("n_events", [1, 30, 1e3, 1e5])
def test_nodes_of_a_noisy_model_are_tame(smooth_model, n_events):
    model = noisy_model(smooth_model, n_events=n_events, seed=5)

    nodes = make_node_model(model, fov_alignment="ALTAZ")

    for values in (nodes.bkg_3d, nodes.bkg_2d):
        assert np.isfinite(values).all()
        assert (values > 0).all()
        for axis in range(values.ndim):
            assert np.abs(np.diff(np.log(values), axis=axis)).max() < np.log(1e3)
    assert nodes.n_filled_3d == np.count_nonzero(model.rate_3d == 0)
    assert nodes.n_filled_2d == np.count_nonzero(model.rate_2d == 0)


def test_the_axis_ends_with_the_events(smooth_model):
    is_fitted = np.zeros(15, dtype=bool)
    is_fitted[2:14] = True
    model = replace(smooth_model, is_fitted=is_fitted)

    nodes = make_node_model(model, fov_alignment="RADEC")

    edges = BINNING.energy_edges
    np.testing.assert_array_equal(nodes.binning.energy_edges, edges[2:15])
    np.testing.assert_array_equal(nodes.fit_range, edges[[2, 14]])
    assert nodes.is_fitted.all()
    assert nodes.is_filled_3d.shape == nodes.bkg_3d.shape == (12, 10, 9)
    whole = make_node_model(smooth_model, fov_alignment="RADEC")
    np.testing.assert_allclose(nodes.bkg_3d[1:-1], whole.bkg_3d[3:13], rtol=0.02)


@pytest.mark.parametrize("n_fitted", [1, 8, 9, 10])
def test_readers_can_tell_the_axes_apart(smooth_model, n_fitted):
    is_fitted = np.zeros(15, dtype=bool)
    is_fitted[15 - n_fitted :] = True
    model = replace(smooth_model, is_fitted=is_fitted)

    nodes = make_node_model(model, fov_alignment="RADEC")

    n_energy = nodes.binning.n_energy
    assert n_energy not in {1, 8, 9, 10}
    assert nodes.is_fitted.sum() == n_fitted
    np.testing.assert_array_equal(nodes.is_fitted[-n_fitted:], True)


def test_the_model_of_a_stack_says_what_it_is(smooth_model):
    nodes = make_node_model(smooth_model, fov_alignment="ALTAZ")

    assert (nodes.stack_id, nodes.obs_id) == (12, -1)
    assert (nodes.fov_alignment, nodes.n_runs) == ("ALTAZ", 40)
    assert (nodes.livetime, nodes.conditions) == (SECONDS, CONDITIONS)
    assert nodes.binning is BINNING
    assert nodes.n_filled_3d == nodes.n_filled_2d == 0


def test_nodes_keep_the_relative_errors_of_their_bins(smooth_model, make_run):
    rng = np.random.default_rng(6)
    is_seen = np.ones(BINNING.shape_3d[1:])
    is_seen[4:6, 3] = 0.0
    model = replace(
        smooth_model,
        rate_3d=smooth_model.rate_3d * is_seen,
        exposure_3d=smooth_model.exposure_3d * is_seen,
        error_3d=rng.uniform(0.01, 0.5, BINNING.shape_3d),
        error_2d=rng.uniform(0.01, 0.5, BINNING.shape_2d),
        systematic=0.06,
    )

    nodes = make_node_model(model, fov_alignment="RADEC")
    of_run = node_model_for_run(nodes, make_run(77, deadc=0.9))

    for each in (nodes, of_run):
        seen = is_seen > 0
        np.testing.assert_array_equal(each.error_3d[:, seen], model.error_3d[:, seen])
        np.testing.assert_array_equal(each.error_3d[:, ~seen], np.sqrt(2))
        np.testing.assert_array_equal(each.error_2d, model.error_2d)
        assert each.systematic == 0.06


def test_unknown_errors_stay_unknown(smooth_model):
    nodes = make_node_model(smooth_model, fov_alignment="RADEC")

    assert nodes.error_3d.size == nodes.error_2d.size == 0
    assert np.isnan(nodes.systematic)


def test_the_model_of_a_run_has_its_dead_time(smooth_model, make_run):
    nodes = make_node_model(smooth_model, fov_alignment="RADEC")

    model = node_model_for_run(nodes, make_run(77, deadc=0.9))

    assert (model.obs_id, model.stack_id) == (77, 12)
    assert model.conditions == replace(CONDITIONS, deadc=0.9)
    np.testing.assert_allclose(model.bkg_3d, nodes.bkg_3d * 0.9 / 0.8, rtol=1e-12)
    np.testing.assert_allclose(model.bkg_2d, nodes.bkg_2d * 0.9 / 0.8, rtol=1e-12)


@pytest.mark.parametrize("deadc", [np.nan, 0.0, -0.5])
def test_unknown_dead_time_is_refused(smooth_model, make_run, deadc):
    nodes = make_node_model(smooth_model, fov_alignment="RADEC")
    unknown = replace(smooth_model, conditions=replace(CONDITIONS, deadc=deadc))

    with pytest.raises(InputError, match=r"run 77: .*Give DEADC"):
        node_model_for_run(nodes, make_run(77, deadc=deadc))
    with pytest.raises(InputError, match=r"stack 12: .*Give DEADC"):
        make_node_model(unknown, fov_alignment="RADEC")


def test_an_empty_model_is_refused(smooth_model):
    empty_3d = replace(smooth_model, rate_3d=np.zeros(BINNING.shape_3d))
    empty_2d = replace(smooth_model, rate_2d=np.zeros(BINNING.shape_2d))

    for model in (empty_3d, empty_2d):
        with pytest.raises(NoEventsError, match=r"stack 12: .*Stack more runs"):
            make_node_model(model, fov_alignment="RADEC")


def test_single_bins_on_every_axis():
    binning = Binning(
        energy_edges=np.array([1.0, 2.0]),
        fov_lon_edges=np.array([-1.0, 1.0]),
        fov_lat_edges=np.array([-1.0, 1.5]),
        offset_edges=np.array([0.0, 1.0]),
    )
    model = make_model(np.full((1, 1, 1), 3.0), np.full((1, 1), 4.0), binning=binning)

    nodes = make_node_model(model, fov_alignment="RADEC")

    np.testing.assert_allclose(nodes.bkg_3d, 3.0 * 0.8, rtol=1e-5)
    np.testing.assert_allclose(nodes.bkg_2d, 4.0 * 0.8, rtol=1e-5)
