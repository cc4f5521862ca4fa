from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.simulate.overlay.data import OverlayLimits
from bkgpipe.simulate.overlay.match import find_mismatches, order_runs, rate_factors


def _found(target, off_runs, *, energies=None, **limits):
    safe = {run.obs_id: run.safe_energy_min for run in off_runs}
    return {
        name: np.flatnonzero(differs).tolist()
        for name, differs in find_mismatches(
            target,
            off_runs,
            limits=OverlayLimits(**limits),
            safe_energy=(target.safe_energy_min, energies or safe),
        ).items()
    }


@pytest.mark.parametrize(
    ("change", "limits", "reason"),
    [
        ({"zenith": 60.0}, {"zenith": 5.0}, "zenith"),
        ({"zenith": 60.0}, {"cos_zenith": 0.1}, "cos zenith"),
        ({"azimuth": 100.0}, {"azimuth": 30.0}, "azimuth"),
        ({"azimuth": 203.0}, {"same_side": True}, "north or south"),
        ({"time_start": 54000.0}, {"time": 100.0}, "time"),
        ({"muon_efficiency": 0.6}, {"muon_efficiency": 0.2}, "muon efficiency"),
        ({"nsb": 3.0}, {"nsb": 1.0}, "night-sky background"),
        ({"telescopes": "1,2,3"}, {"same_telescopes": True}, "telescopes"),
        ({"safe_energy_min": 0.7}, {"threshold": True}, "threshold"),
    ],
)
def test_each_limit_has_its_reason(make_run, change, limits, reason):
    target = make_run(1)
    off_runs = [make_run(2), make_run(3, **change)]

    assert _found(target, off_runs, **limits)[reason] == [1]
    assert "zenith" not in _found(target, off_runs)


def test_unknown_values_pass_and_azimuth_is_on_a_circle(make_run):
    target = make_run(1, azimuth=355.0)
    unknown = make_run(2, zenith=np.nan, nsb=np.nan, telescopes="", azimuth=5.0)

    found = _found(
        target,
        [unknown],
        zenith=1.0,
        cos_zenith=0.01,
        nsb=0.1,
        azimuth=15.0,
        same_telescopes=True,
    )

    assert not {"zenith", "cos zenith", "night-sky background", "telescopes"} & set(
        found
    )
    assert "azimuth" not in found


def test_telescopes_may_be_written_in_any_order(make_run):
    target, off = make_run(1), make_run(2, telescopes="4, 3 2;1")

    assert "telescopes" not in _found(target, [off], same_telescopes=True)


def test_a_run_never_matches_itself(make_run):
    target = make_run(1)

    assert _found(target, [make_run(1), make_run(1, time_start=50000.0)]) == {
        "the target itself": [0]
    }


def test_runs_are_read_in_the_order_asked_for(make_run):
    target = make_run(1, zenith=40.0)
    off_runs = [make_run(i, zenith=z) for i, z in ((5, 42.0), (3, 20.0), (4, 39.0))]

    def numbers(order, seed=1):
        runs = order_runs(target, off_runs, order=order, seed=seed)
        return [run.obs_id for run in runs]

    assert numbers("sequence") == [3, 4, 5]
    assert numbers("nearest") == [4, 5, 3]
    assert sorted(numbers("random")) == [3, 4, 5]
    assert numbers("random") == numbers("random")
    assert len({tuple(numbers("random", seed)) for seed in range(9)}) > 1


def test_factors_follow_the_zenith_law(make_run):
    target = make_run(1, zenith=60.0)
    off_runs = [make_run(2, zenith=0.0), replace(make_run(3), zenith=np.nan)]

    factors = rate_factors(target, off_runs, zenith_slope=2.0)

    assert factors == (pytest.approx(np.exp(-1.0)), 1.0)
    assert rate_factors(target, off_runs, zenith_slope=0.0) == (1.0, 1.0)


_ANGLES = st.floats(0.0, 75.0)


@given(zenith=st.tuples(_ANGLES, _ANGLES, _ANGLES), slope=st.floats(-6.0, 6.0))
def test_factors_of_two_steps_are_that_of_both(make_run, zenith, slope):
    low, middle, high = (make_run(1, zenith=value) for value in zenith)

    def factor(target, off):
        return rate_factors(target, [off], zenith_slope=slope)[0]

    assert factor(high, low) == pytest.approx(
        factor(high, middle) * factor(middle, low)
    )
    assert factor(low, high) == pytest.approx(1.0 / factor(high, low))
    assert factor(low, low) == 1.0


@given(
    zenith=st.tuples(_ANGLES, _ANGLES),
    azimuth=st.tuples(st.floats(0.0, 360.0), st.floats(0.0, 360.0)),
    limit=st.floats(0.0, 90.0),
)
def test_who_is_like_whom_does_not_depend_on_who_asks(make_run, zenith, azimuth, limit):
    left, right = (make_run(i, zenith=zenith[i], azimuth=azimuth[i]) for i in (0, 1))
    limits = {"zenith": limit, "azimuth": limit, "same_side": True}

    assert _found(left, [right], **limits) == _found(right, [left], **limits)


@given(st.lists(_ANGLES, min_size=1, max_size=9), st.integers(0, 2**31))
def test_no_order_loses_a_run(make_run, zeniths, seed):
    runs = [make_run(i, zenith=z) for i, z in enumerate(zeniths, start=2)]

    for order in ("sequence", "nearest", "random"):
        found = order_runs(make_run(1), runs[::-1], order=order, seed=seed)
        assert sorted(run.obs_id for run in found) == [run.obs_id for run in runs]
        again = order_runs(make_run(1), runs, order=order, seed=seed)
        assert [run.obs_id for run in again] == [run.obs_id for run in found]


def test_an_order_at_random_is_the_same_for_all_targets(make_run):
    off_runs = [make_run(i) for i in range(2, 9)]

    first, other = (
        order_runs(target, off_runs, order="random", seed=4)
        for target in (make_run(1), make_run(20, zenith=60.0))
    )

    assert first == other


def test_a_threshold_may_be_equal_but_not_higher(make_run):
    target = make_run(1)
    off_runs = [make_run(2), make_run(3), make_run(4)]

    found = _found(
        target, off_runs, energies={2: 0.5, 3: 0.4, 4: 0.5001}, threshold=True
    )

    assert found == {"threshold": [2]}
