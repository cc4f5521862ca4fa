from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb

from bkgpipe.plot.axes import COLORS


def test_line_colors_differ_in_lightness():
    lightness = sorted(np.dot([0.3, 0.59, 0.11], to_rgb(color)) for color in COLORS)
    assert np.diff(lightness).min() > 0.02
