from __future__ import annotations

import numpy as np

from bkgpipe.stages.sky.bands import make_bands


def test_bands_end_at_powers_of_ten():
    edges = make_bands(np.geomspace(0.1, 100.0, 25))
    np.testing.assert_allclose(edges, [0.1, 1.0, 10.0, 100.0])


def test_an_axis_within_a_decade_is_one_band():
    np.testing.assert_allclose(make_bands(np.array([1.5, 2.0, 7.0])), [1.5, 7.0])
