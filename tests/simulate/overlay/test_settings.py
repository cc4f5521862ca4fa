from __future__ import annotations

import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.simulate.overlay.data import OverlayLimits
from bkgpipe.simulate.settings import read_simulate_settings


def _read(*overrides: str):
    given = [f"overlay.{override}" for override in overrides]
    return read_simulate_settings(None, given).overlay


def test_each_limit_reaches_the_numerics():
    limits = _read(
        "max_zenith_difference=1 deg",
        "max_cos_zenith_difference=0.2",
        "max_azimuth_difference=3 deg",
        "max_time_difference=4 d",
        "max_muon_efficiency_difference=0.5",
        "max_nsb_difference=6",
        "same_side=true",
        "same_telescopes=true",
        "check_threshold=false",
    ).limits

    found = (limits.zenith, limits.cos_zenith, limits.azimuth, limits.time)
    assert found == (1.0, 0.2, 3.0, 4.0)
    assert (limits.muon_efficiency, limits.nsb) == (0.5, 6.0)
    assert (limits.same_side, limits.same_telescopes) == (True, True)
    assert not limits.threshold


def test_nothing_is_limited_when_nothing_is_checked():
    limits = _read("check=false", "max_time_difference=4 d", "same_side=true").limits

    for name in OverlayLimits.__dataclass_fields__:
        assert getattr(limits, name) == getattr(OverlayLimits(), name)


def test_wrong_values_are_told_together():
    with pytest.raises(SettingsError) as caught:
        _read("alignment=GALACTIC", "order=best", "offset_max=-1 deg", "stroe=x")

    for word in ("alignment: expected one of ALTAZ, RADEC", "order", "offset_max"):
        assert word in caught.value.what
    assert "did you mean store?" in caught.value.what
