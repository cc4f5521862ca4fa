from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.geometry.frames import lon_lat, offset_angle, unit_vectors
from bkgpipe.geometry.sampling import (
    field_solid_angles,
    find_bins,
    make_field_samples,
    ring_vectors,
    solid_angle_in_disc,
)


def disc(radius: float) -> float:
    return 4 * np.pi * np.sin(np.radians(radius) / 2) ** 2


def test_find_bins_of_single_directions(make_binning):
    binning = make_binning()
    bins = find_bins(binning, unit_vectors(np.array([-2.4]), np.array([0.3])))
    assert bins.is_inside[0]
    # Longitude bin 0 of 6, latitude bin 4 of 8, outermost of 5 annuli
    assert bins.index_3d[0] == 0 * 8 + 4
    assert bins.index_2d[0] == 4
    assert bins.offset[0] == pytest.approx(np.hypot(2.4, 0.3), abs=1e-3)


@pytest.mark.parametrize(
    ("lon", "lat", "is_inside"),
    [(0.0, 0.0, True), (2.49, 0.0, True), (2.5, 0.0, False), (2.0, 2.0, False)],
)
def test_the_field_is_a_disc(lon, lat, is_inside, make_binning):
    vectors = unit_vectors(np.array([lon]), np.array([lat]))
    assert find_bins(make_binning(), vectors).is_inside[0] == is_inside


def test_the_field_is_cut_by_a_smaller_square(make_binning):
    binning = make_binning(fov_lon_edges=np.linspace(-1.0, 2.5, 7))
    vectors = unit_vectors(np.array([-1.1, -0.9]), np.array([0.0, 0.0]))
    np.testing.assert_array_equal(find_bins(binning, vectors).is_inside, [False, True])


def test_lower_edges_belong_to_their_bin(make_binning):
    binning = make_binning()
    lon = binning.fov_lon_edges[3]
    bins = find_bins(binning, unit_vectors(np.array([lon]), np.array([0.01])))
    assert bins.index_3d[0] // 8 == 3


def test_solid_angle_of_whole_bins(make_binning):
    binning = make_binning()
    whole = solid_angle_in_disc(binning.fov_lon_edges, binning.fov_lat_edges, 20.0)
    np.testing.assert_allclose(whole, binning.solid_angle_3d, rtol=1e-12)


@pytest.mark.parametrize("radius", [0.05, 1.0, 2.5])
def test_solid_angle_of_the_disc(radius, make_binning):
    binning = make_binning()
    area = solid_angle_in_disc(binning.fov_lon_edges, binning.fov_lat_edges, radius)
    assert area.shape == (6, 8)
    assert area.sum() == pytest.approx(disc(radius), rel=1e-3)
    assert (area <= binning.solid_angle_3d * (1 + 1e-12)).all()


def test_solid_angle_of_a_corner_bin():
    # A quarter of the disc, whatever the edges beyond it
    edges = np.array([0.0, 7.0])
    area = solid_angle_in_disc(edges, edges, 3.0)
    assert area[0, 0] == pytest.approx(disc(3.0) / 4, rel=1e-4)


def test_solid_angle_beyond_the_disc_is_zero():
    edges = np.array([4.0, 5.0, 6.0])
    assert not solid_angle_in_disc(edges, edges, 5.0).any()


def test_samples_add_up_to_the_field(make_binning):
    binning = make_binning()
    samples = make_field_samples(binning)
    area_2d = np.bincount(samples.index_2d, samples.weight_2d, minlength=5)
    area_3d = np.bincount(samples.index_3d, samples.weight_3d, minlength=48)
    np.testing.assert_allclose(area_2d, binning.solid_angle_2d, rtol=1e-12)
    exact = solid_angle_in_disc(binning.fov_lon_edges, binning.fov_lat_edges, 2.5)
    np.testing.assert_allclose(area_3d.reshape(6, 8), exact, rtol=1e-12)
    assert area_3d.sum() == pytest.approx(area_2d.sum(), rel=1e-4)
    field_3d, field_2d = field_solid_angles(binning)
    np.testing.assert_array_equal(field_3d, exact)
    np.testing.assert_allclose(field_2d, binning.solid_angle_2d, rtol=1e-12)
    assert (field_3d <= binning.solid_angle_3d * (1 + 1e-9)).all()


@pytest.mark.parametrize(("n_bins", "radius"), [(50, 2.5), (28, 3.5), (20, 2.5)])
def test_no_bin_of_the_field_is_without_samples(n_bins, radius, make_binning):
    edges = np.linspace(-radius, radius, n_bins + 1)
    binning = make_binning(
        fov_lon_edges=edges,
        fov_lat_edges=edges,
        offset_edges=radius * np.sqrt(np.linspace(0.0, 1.0, 6)),
    )
    samples = make_field_samples(binning)
    area = np.bincount(samples.index_3d, samples.weight_3d, minlength=n_bins**2)
    exact = solid_angle_in_disc(edges, edges, radius).ravel()
    np.testing.assert_allclose(area, exact, rtol=1e-9, atol=1e-9 * exact.max())


def test_samples_are_in_their_bins(make_binning):
    binning = make_binning()
    samples = make_field_samples(binning)
    lon, lat = lon_lat(samples.vectors)
    i_lon, i_lat = np.divmod(samples.index_3d, 8)
    assert (lon >= binning.fov_lon_edges[i_lon]).all()
    assert (lon < binning.fov_lon_edges[i_lon + 1]).all()
    assert (lat >= binning.fov_lat_edges[i_lat]).all()
    assert (lat < binning.fov_lat_edges[i_lat + 1]).all()
    assert (offset_angle(samples.vectors) < 2.5).all()


def test_annuli_are_cut_by_a_smaller_square(make_binning):
    binning = make_binning(fov_lat_edges=np.linspace(0.0, 2.5, 9))
    samples = make_field_samples(binning)
    area = np.bincount(samples.index_2d, samples.weight_2d, minlength=5)
    np.testing.assert_allclose(area, binning.solid_angle_2d / 2, rtol=1e-3)


def test_a_hole_in_the_middle_is_left_out(make_binning):
    binning = make_binning(offset_edges=np.array([1.0, 1.5, 2.5]))
    samples = make_field_samples(binning)
    assert (offset_angle(samples.vectors) >= 1.0).all()
    assert samples.weight_3d.sum() == pytest.approx(disc(2.5) - disc(1.0), rel=1e-3)


def test_a_single_bin_still_fills_narrow_annuli(make_binning):
    edges = np.array([-2.5, 2.5])
    binning = make_binning(fov_lon_edges=edges, fov_lat_edges=edges)
    samples = make_field_samples(binning)
    assert np.bincount(samples.index_2d, minlength=5).min() >= 16
    assert set(samples.index_3d) == {0}


@pytest.mark.parametrize("n_bins", [2, 20, 50])
def test_number_of_samples_does_not_follow_the_bins(n_bins, make_binning):
    edges = np.linspace(-2.5, 2.5, n_bins + 1)
    binning = make_binning(fov_lon_edges=edges, fov_lat_edges=edges)
    assert 15_000 < make_field_samples(binning).index_2d.size < 25_000


def test_narrow_annuli_get_closer_samples(make_binning):
    binning = make_binning(offset_edges=np.array([0.0, 0.02, 1.0, 2.5]))
    samples = make_field_samples(binning)
    area = np.bincount(samples.index_2d, samples.weight_2d, minlength=3)
    np.testing.assert_allclose(area, binning.solid_angle_2d, rtol=1e-12)


def test_samples_are_made_once_for_equal_binnings(make_binning):
    assert make_field_samples(make_binning()) is make_field_samples(make_binning())


def test_ring_is_even():
    vectors = ring_vectors(2.5, 4.0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    offset = offset_angle(vectors)
    assert 2.5 < offset.min() < 2.6
    assert 3.9 < offset.max() < 4.0
    share = np.mean(offset < 3.0)
    assert share == pytest.approx(
        (disc(3) - disc(2.5)) / (disc(4) - disc(2.5)), abs=0.05
    )
    np.testing.assert_allclose(vectors[:, 1:].mean(axis=0), 0.0, atol=1e-12)
    assert ring_vectors(2.5, 4.0) is vectors


def test_a_disc_much_smaller_than_a_bin_has_its_own_area():
    edges = np.array([-4.59375, 4.59375])

    area = solid_angle_in_disc(edges, edges, 0.5)

    np.testing.assert_allclose(area, [[disc(0.5)]], rtol=1e-3)


@given(
    n_lon=st.integers(1, 7),
    n_lat=st.integers(1, 7),
    half_width=st.floats(0.5, 6.0),
    radius=st.floats(0.5, 6.0),
)
def test_every_bin_has_between_none_and_all_of_its_area(
    n_lon, n_lat, half_width, radius
):
    lon = np.linspace(-half_width, half_width, n_lon + 1)
    lat = np.linspace(-half_width, half_width, n_lat + 1)
    area = solid_angle_in_disc(lon, lat, radius)
    whole = solid_angle_in_disc(lon, lat, 90.0)
    assert area.shape == (n_lon, n_lat)
    assert (area >= 0).all()
    assert (area <= whole * (1 + 1e-9)).all()
    assert area.sum() <= disc(radius) * (1 + 1e-3)
