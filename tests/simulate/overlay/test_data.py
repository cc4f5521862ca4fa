from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BkgpipeError
from bkgpipe.simulate.overlay.data import FieldGrid, OffExposure, OverlayLimits

_EXPOSURE = OffExposure(
    obs_id=1,
    gti=np.array([[53000.0, 53000.01], [53000.02, 53000.03]]),
    deadc=0.9,
    step_edges=np.array([0.0, 10.0, 40.0]),
    kept=np.array([[True, False, True], [True, True, False]]),
)


def test_kept_live_time_is_the_sum_over_steps():
    assert _EXPOSURE.livetime == 40.0
    assert _EXPOSURE.kept_livetime.tolist() == [40.0, 30.0, 10.0]


def test_steps_and_edges_must_fit():
    with pytest.raises((BkgpipeError, ValueError), match="kept"):
        replace(_EXPOSURE, step_edges=np.array([0.0, 40.0]))
    with pytest.raises((BkgpipeError, ValueError), match="gti"):
        replace(_EXPOSURE, gti=np.zeros((2, 3)))


def test_cells_and_offsets_must_fit():
    with pytest.raises((BkgpipeError, ValueError), match="offset"):
        FieldGrid(nside=8, offset_max=2.0, cells=np.arange(3), offset=np.zeros(4))


def test_no_limit_is_set_by_default():
    limits = OverlayLimits()

    assert limits.zenith == limits.cos_zenith == limits.time == float("inf")
    assert (limits.same_side, limits.same_telescopes, limits.threshold) == (False,) * 3
