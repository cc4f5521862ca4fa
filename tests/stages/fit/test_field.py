from __future__ import annotations

import numpy as np

from bkgpipe.stages.fit.field import annulus_points, field_functions, mean_functions
from bkgpipe.stages.fit.splines import spline_knots

KNOTS = spline_knots(0.0, 6.25, n_splines=5)


def test_functions_are_splines_then_gradients_then_quadrupoles():
    values = field_functions(
        np.array([0.5, -1.0]), np.array([2.0, 0.0]), offset_knots=KNOTS
    )
    assert values.shape == (2, 9)
    np.testing.assert_allclose(values[:, :5].sum(axis=1), 1.0)
    np.testing.assert_allclose(values[0, 5:], [0.5, 2.0, 0.25 - 4.0, 2.0])


def test_means_lie_inside_the_field(make_binning):
    binning = make_binning()
    values = mean_functions(binning, offset_knots=KNOTS)
    assert values.shape == (6 * 8, 9)
    np.testing.assert_allclose(values[:, :5].sum(axis=1), 1.0)
    lat = values[:, 6].reshape(6, 8)
    centers = (binning.fov_lat_edges[:-1] + binning.fov_lat_edges[1:]) / 2
    np.testing.assert_allclose(lat[2, 2:6], centers[2:6], atol=1e-4)
    assert abs(lat[0, 1]) < abs(centers[1])


def test_points_stay_in_their_annulus(make_binning):
    binning = make_binning()
    lon, lat = annulus_points(binning)
    assert lon.shape == lat.shape
    chord = np.cos(np.radians(lon)) * np.cos(np.radians(lat))
    offset = np.degrees(np.arccos(chord))
    assert np.all(offset >= binning.offset_edges[:-1, None])
    assert np.all(offset <= binning.offset_edges[1:, None])
    np.testing.assert_allclose(lon.mean(axis=1), 0.0, atol=1e-12)
