from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.tools.propose.bins import event_peak, propose_field
from bkgpipe.tools.propose.data import Proposal, StoreSample

_FIELD = {
    "offset_max": 2.5,
    "fov_bins": 20,
    "control_offset": 4.0,
    "search_radius": 4.0,
}


def _found(proposals: list[Proposal]) -> dict[str, str]:
    return {each.key: each.value for each in proposals}


def _field(sample: StoreSample, **changes: float) -> dict[str, str]:
    return _found(propose_field(sample, **_FIELD | changes))


def test_the_peak_is_in_the_logarithm_of_energy():
    energy = np.concatenate([np.linspace(0.21, 0.23, 50), np.linspace(1, 9, 70)])

    assert event_peak(energy) == pytest.approx(10 ** (-6 / 8))
    assert np.isnan(event_peak(np.empty(0)))


def test_defaults_stay_where_they_fit(make_sample):
    sample = make_sample()

    assert set(_field(sample).values()) == {""}


def test_every_proposal_has_a_reason(make_sample):
    sample = make_sample()
    found = propose_field(sample, **_FIELD)

    assert all(each.reason and each.is_kept for each in found)
    assert not any(each.reason.endswith(".") for each in found)
    assert found[0].reason == "the effective areas end at 2.5 deg"


def test_a_store_without_readable_events_keeps_the_defaults(make_sample):
    nothing = make_sample(energy=np.empty(0), offset=np.empty(0), fov_limit=np.nan)

    assert set(_field(nothing).values()) == {""}


def test_a_wide_field_has_more_bins_and_a_wider_ring(make_sample, make_offsets):
    offset = make_offsets(6.0)
    sample = make_sample(fov_limit=6.1, offset=offset, energy=np.ones(offset.size))

    assert _field(sample) == {
        "binning.offset_max": "6 deg",
        "binning.fov_bins": "48",
        "count.control_offset": "10 deg",
        "mask.search_radius": "10 deg",
    }


def test_a_very_wide_field_has_not_too_many_bins(make_sample, make_offsets):
    offset = make_offsets(12.0)
    sample = make_sample(fov_limit=12.0, offset=offset, energy=np.ones(offset.size))

    assert _field(sample)["binning.fov_bins"] == "60"


def test_a_narrow_field_keeps_its_ring(make_sample, make_offsets):
    offset = make_offsets(0.9)
    sample = make_sample(fov_limit=np.nan, offset=offset, energy=np.ones(offset.size))

    assert _field(sample) == {"binning.offset_max": "1 deg", "binning.fov_bins": "10"}


def test_events_count_more_than_areas_that_reach_too_far(make_sample, make_offsets):
    offset = make_offsets(1.5)
    sample = make_sample(fov_limit=5.0, offset=offset, energy=np.ones(offset.size))
    found = propose_field(sample, **_FIELD)

    assert found[0].value == "1.5 deg"
    assert found[0].reason == (
        "the effective areas end at 5 deg, but a tenth of the highest density of "
        "events is at 1.5 deg"
    )


def test_events_far_from_the_pointing_do_not_widen_the_field(make_sample, make_offsets):
    offset = np.concatenate([make_offsets(2.5), np.linspace(3, 89, 2000)])
    sample = make_sample(fov_limit=np.nan, offset=offset, energy=np.ones(offset.size))

    assert _field(sample)["binning.offset_max"] == ""


def test_a_sample_needs_an_offset_for_each_energy(make_sample):
    with pytest.raises(BinningMismatchError):
        make_sample(energy=np.ones(3), offset=np.ones(4))


def test_hours_are_those_of_all_runs(make_sample, make_run):
    runs = (make_run(livetime=1800.0), make_run(livetime=np.nan))

    assert make_sample(runs=runs).hours == 0.5
