from __future__ import annotations

import pickle

import pytest
from astropy.time import Time

from bkgpipe.simulate.archive.layout import Layout
from bkgpipe.simulate.archive.layouts import DEFAULT_LAYOUT, LAYOUTS

_ALL = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
_RESPONSES = {"aeff", "edisp", "psf", "rad_max"}


@_ALL
def test_each_has_a_place_a_range_and_a_clock(layout: Layout) -> None:
    assert -180 <= layout.longitude <= 180
    assert -90 <= layout.latitude <= 90
    assert 0 < layout.altitude < 5000
    assert 0 < layout.energy_min < layout.energy_max
    assert 1 <= layout.offset_max <= 5
    assert layout.clock.timesys.lower() in Time.SCALES


@_ALL
def test_each_names_runs_apart_and_what_is_mandatory(layout: Layout) -> None:
    names = {
        layout.events.file.format(obs_id=number) for number in (1, 23, 20131103093)
    }
    assert len(names) == 3
    mandatory = {"OBS_ID", "RA_PNT", "DEC_PNT", "TSTART", "TSTOP"}
    assert mandatory <= set(layout.index.columns)
    assert {"aeff", "edisp"} <= set(layout.responses.hdus) <= _RESPONSES
    assert ("rad_max" in layout.responses.hdus) <= (layout.responses.rad_max > 0)
    assert not (layout.events.gti_file and not layout.events.gti_hdu)


@_ALL
def test_each_can_be_handed_to_a_worker(layout: Layout) -> None:
    copy = pickle.loads(pickle.dumps(layout))  # noqa: S301
    assert copy.about == layout.about
    assert copy.events.units == layout.events.units


def test_the_default_is_one_of_them() -> None:
    assert next(iter(LAYOUTS)) == DEFAULT_LAYOUT == "hess"
    assert len({layout.about for layout in LAYOUTS.values()}) == len(LAYOUTS)


def test_nobody_can_add_one() -> None:
    with pytest.raises(TypeError):
        LAYOUTS["mine"] = Layout(about="")  # type: ignore[index]
