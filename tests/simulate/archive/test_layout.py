from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from bkgpipe.simulate.archive.layout import (
    OBS_COLUMNS,
    Clock,
    EventsLayout,
    IndexLayout,
    Layout,
    ResponseLayout,
)


def test_a_layout_is_that_of_hess_but_for_what_is_said() -> None:
    layout = Layout(about="test")

    assert layout.clock == Clock()
    assert (layout.clock.mjdrefi, layout.clock.timesys) == (51910, "TT")
    assert layout.index.columns == OBS_COLUMNS
    assert layout.events.file.format(obs_id=7) == "data/run_7.fits.gz"
    assert list(layout.responses.hdus) == ["aeff", "edisp", "psf"]


def test_parts_do_not_share_what_they_hold() -> None:
    one, other = EventsLayout(), EventsLayout()

    assert one.units == other.units
    assert one.units is not other.units


def test_clocks_are_equal_by_value() -> None:
    assert Clock(mjdrefi=1) == Clock(mjdrefi=1) != Clock(mjdrefi=2)
    assert len({Clock(), Clock(), Clock(timesys="UTC")}) == 2


@pytest.mark.parametrize(
    "part", [Clock(), EventsLayout(), IndexLayout(), ResponseLayout(), Layout(about="")]
)
def test_nothing_can_be_changed(part: object) -> None:
    (name, *_) = part.__dataclass_fields__  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        setattr(part, name, "other")
