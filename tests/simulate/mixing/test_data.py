from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import BinningMismatchError
from bkgpipe.simulate.mixing.data import BKG_TYPES, MixedEvents, MixRecord, Provenance

RECORD = MixRecord(
    obs_id=7,
    component="hadrons",
    bkg_type=1,
    file="model.fits",
    rate=0.5,
    scale=2.0,
    expected=100.0,
    drawn=90,
    rejected=3,
    reused=2,
)


def _events(*times: float, bkg_type: int = 1) -> MixedEvents:
    time = np.array(times)
    return MixedEvents(
        ra=time + 1,
        dec=time + 2,
        energy=time + 3,
        time=time,
        bkg_type=np.full(time.size, bkg_type, dtype=np.int16),
    )


def _provenance(*records: MixRecord) -> Provenance:
    return Provenance(
        method="mixing", store="store", seed=1, settings={}, records=records
    )


def test_kinds_of_events_are_those_of_the_format():
    assert BKG_TYPES == {
        "signal": 0,
        "hadron": 1,
        "total": 1,
        "electron": 2,
        "muon": 3,
        "diffuse": 4,
        "overlay": 99,
    }


def test_events_are_put_together_and_sorted_with_all_their_columns():
    events = MixedEvents.concatenate([_events(5.0, 1.0), _events(3.0, bkg_type=4)])

    found = events.sorted_by_time()

    assert events.n_events == found.n_events == 3
    assert found.time.tolist() == [1.0, 3.0, 5.0]
    assert found.ra.tolist() == [2.0, 4.0, 6.0]
    assert found.dec.tolist() == [3.0, 5.0, 7.0]
    assert found.energy.tolist() == [4.0, 6.0, 8.0]
    assert found.bkg_type.tolist() == [1, 4, 1]
    assert found.bkg_type.dtype == np.int16


def test_no_events_are_events_too():
    assert MixedEvents.concatenate([]).n_events == 0
    assert MixedEvents.concatenate([]).bkg_type.dtype == np.int16
    assert _events().sorted_by_time().n_events == 0


def test_some_events_are_taken():
    found = _events(5.0, 1.0, 2.0).take(np.array([True, False, True]))

    assert found.time.tolist() == [5.0, 2.0]


def test_columns_of_other_lengths_are_refused():
    with pytest.raises(BinningMismatchError, match="ra"):
        replace(_events(1.0, 2.0), ra=np.zeros(3))


def test_totals_add_up_over_runs():
    other = replace(RECORD, obs_id=8, expected=400.0, drawn=440)
    electrons = replace(RECORD, component="electrons", bkg_type=2)

    hadrons, rest = _provenance(RECORD, electrons, other).totals

    assert (hadrons.component, rest.component) == ("hadrons", "electrons")
    assert (hadrons.n_runs, rest.n_runs) == (2, 1)
    assert hadrons.expected == 500.0
    assert (hadrons.drawn, hadrons.rejected, hadrons.reused) == (530, 6, 4)
    assert hadrons.chi_squared == pytest.approx(1.0 + 4.0)
    assert hadrons.dof == 2
    # the closed form for two degrees of freedom
    assert hadrons.p_value == pytest.approx(np.exp(-2.5))


def test_several_records_of_a_run_are_one_term():
    one = replace(RECORD, expected=60.0, drawn=70)
    other = replace(RECORD, file="other.fits", expected=40.0, drawn=20)

    (total,) = _provenance(one, other).totals

    assert (total.n_runs, total.dof) == (1, 1)
    assert total.chi_squared == pytest.approx(1.0)


def test_runs_with_few_events_are_joined():
    records = [
        replace(RECORD, obs_id=number, expected=2.0, drawn=number % 3)
        for number in range(7)
    ]

    (total,) = _provenance(*records).totals

    # 2 + 2 + 2 twice, and the last goes to the second
    assert total.dof == 2
    assert total.chi_squared == pytest.approx((3 - 6) ** 2 / 6 + (3 - 8) ** 2 / 8)
    assert total.n_runs == 7


def test_nothing_expected_has_no_probability():
    (total,) = _provenance(replace(RECORD, expected=0.0, drawn=0)).totals

    assert total.dof == 0
    assert np.isnan(total.p_value)
    assert _provenance().totals == ()


def test_numbers_of_poisson_have_uniform_probabilities():
    rng = np.random.default_rng(3)
    values = []
    for _ in range(300):
        drawn = rng.poisson(30.0, 12)
        records = [
            replace(RECORD, obs_id=i, expected=30.0, drawn=int(number))
            for i, number in enumerate(drawn)
        ]
        values.append(_provenance(*records).totals[0].p_value)

    # Kolmogorov's distance at a probability of 0.001
    steps = np.arange(1, 301) / 300
    assert np.abs(np.sort(values) - steps).max() < 1.95 / np.sqrt(300)
