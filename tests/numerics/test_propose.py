from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.datamodel import Proposal, StoreSample
from bkgpipe.errors import BinningMismatchError
from bkgpipe.numerics.propose import event_peak, propose_energies, propose_field

_ENERGY = {"energy_min": 0.1, "energy_max": 100.0, "per_decade": 8}
_FIELD = {
    "offset_max": 2.5,
    "fov_bins": 20,
    "control_offset": 4.0,
    "search_radius": 4.0,
}


def _found(proposals: list[Proposal]) -> dict[str, str]:
    return {each.key: each.value for each in proposals}


def _energies(sample: StoreSample, **changes: object) -> dict[str, str]:
    given = _ENERGY | {"field_bins": (20, 20)} | changes
    return _found(propose_energies(sample, **given))


def _field(sample: StoreSample, **changes: float) -> dict[str, str]:
    return _found(propose_field(sample, **_FIELD | changes))


@pytest.fixture
def thresholds(make_sample, make_run):
    """Factory: a store of which the runs have these safe energies [TeV]."""

    def make(*values: float, **changes: object) -> StoreSample:
        runs = (make_run(obs_id=i, safe_energy_min=x) for i, x in enumerate(values))
        return make_sample(runs=tuple(runs), **changes)

    return make


def test_the_peak_is_in_the_logarithm_of_energy():
    energy = np.concatenate([np.linspace(0.21, 0.23, 50), np.linspace(1, 9, 70)])

    assert event_peak(energy) == pytest.approx(10 ** (-6 / 8))
    assert np.isnan(event_peak(np.empty(0)))


def test_defaults_stay_where_they_fit(make_sample):
    sample = make_sample()

    assert set(_energies(sample).values()) == {""}
    assert set(_field(sample).values()) == {""}


def test_every_proposal_has_a_reason(make_sample):
    sample = make_sample()
    found = propose_energies(sample, **_ENERGY, field_bins=(20, 20))
    found += propose_field(sample, **_FIELD)

    assert all(each.reason and each.is_kept for each in found)
    assert not any(each.reason.endswith(".") for each in found)
    assert found[0].reason == "the lowest safe energy of a run is 0.3 TeV"


@pytest.mark.parametrize(
    ("safe", "value"),
    [
        ((0.1, 0.7), ""),
        ((0.99, 2.0), ""),
        ((1.2, 4.0), "0.5 TeV"),
        ((0.03, 0.7), "0.02 TeV"),
        ((0.015,), "0.01 TeV"),
        ((np.nan, 0.0, 0.03), "0.02 TeV"),
    ],
)
def test_the_lowest_energy_is_below_the_lowest_safe_energy(thresholds, safe, value):
    assert _energies(thresholds(*safe))["binning.energy_min"] == value


def test_without_safe_energies_events_tell_the_lowest_energy(thresholds):
    energy = np.geomspace(0.031, 0.033, 20_000)
    sample = thresholds(np.nan, energy=energy, offset=np.zeros(energy.size))

    low, *_ = propose_energies(sample, **_ENERGY, field_bins=())

    assert low.value == "0.02 TeV"
    assert low.reason == "events peak at 0.032 TeV"


@pytest.mark.parametrize(
    ("highest", "value"), [(11.0, ""), (99.0, ""), (130.0, "200 TeV"), (1.3, "2 TeV")]
)
def test_the_highest_energy_holds_nearly_all_events(make_sample, highest, value):
    energy = np.geomspace(0.05, highest, 30_000)
    sample = make_sample(energy=energy, offset=np.zeros(energy.size))

    assert _energies(sample)["binning.energy_max"] == value


@pytest.mark.parametrize("last", [30.0, 3000.0])
def test_a_few_events_of_high_energy_keep_the_range(make_sample, last):
    energy = np.concatenate([np.geomspace(0.05, 1, 30_000), [last, last]])
    sample = make_sample(energy=energy, offset=np.zeros(energy.size))

    assert _energies(sample)["binning.energy_max"] == ""


def test_the_range_is_at_least_a_decade(thresholds):
    energy = np.full(30_000, 1.5)
    sample = thresholds(1.2, energy=energy, offset=np.zeros(energy.size))

    assert _energies(sample)["binning.energy_min"] == "0.5 TeV"
    assert _energies(sample)["binning.energy_max"] == "5 TeV"


def test_few_events_take_wide_bins(make_sample):
    energy = np.geomspace(0.2, 60, 300)
    sample = make_sample(energy=energy, offset=np.zeros(energy.size))
    found = propose_energies(sample, **_ENERGY, field_bins=())

    assert found[2].value == "4"
    assert found[2].reason == "only about 1,200 events in the whole store"
    assert _energies(sample, per_decade=3)["binning.per_decade"] == ""


@pytest.mark.parametrize("taken", [(24, 20), (20, 24)])
def test_axes_never_have_equal_lengths(make_sample, taken):
    assert _energies(make_sample(), field_bins=taken)["binning.per_decade"] == "9"


def test_a_store_without_readable_events_keeps_the_defaults(make_sample):
    nothing = make_sample(energy=np.empty(0), offset=np.empty(0), fov_limit=np.nan)

    assert set(_energies(nothing).values()) == {""}
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
