from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.simulate.overlay.clock import in_order, livetime_at, time_at

_DAY = 86400.0
_GTI = np.array([[53000.0, 53000.002], [53000.003, 53000.006]])


def test_gaps_do_not_count_and_times_outside_have_no_live_time():
    time = np.array([53000.0, 53000.001, 53000.0025, 53000.004, 53000.006, 52999.0])

    livetime = livetime_at(_GTI, time, deadc=0.5)

    expected = 0.5 * _DAY * np.array([0.0, 0.001, np.nan, 0.003, 0.005, np.nan])
    np.testing.assert_allclose(livetime, expected, atol=1e-5)


@given(st.floats(0.0, 0.5 * _DAY * 0.005))
def test_the_clock_can_be_read_both_ways(livetime):
    values = np.array([livetime])

    time = time_at(_GTI, values, deadc=0.5)

    inside = (time >= _GTI[:, 0]) & (time <= _GTI[:, 1])
    assert inside.any()
    np.testing.assert_allclose(livetime_at(_GTI, time, deadc=0.5), values, atol=1e-5)


def test_rounding_stays_in_the_last_interval():
    time = time_at(_GTI, np.array([1e9]), deadc=0.5)

    assert time[0] == _GTI[-1, 1]


def test_no_interval_has_no_live_time():
    assert np.isnan(livetime_at(np.empty((0, 2)), np.array([1.0]), deadc=0.9)).all()


def test_intervals_are_put_in_order_and_empty_ones_left_out():
    shuffled = np.array([[3.0, 4.0], [2.0, 2.0], [0.0, 1.0]])

    assert in_order(shuffled).tolist() == [[0.0, 1.0], [3.0, 4.0]]
    assert in_order(np.empty((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("deadc", [0.8, 1.0])
def test_live_time_of_all_is_dead_time_times_ontime(deadc):
    end = livetime_at(_GTI, _GTI[-1:, 1], deadc=deadc)

    assert end[0] == pytest.approx(deadc * 0.005 * _DAY)


_LENGTHS = st.lists(st.floats(1e-3, 0.5), min_size=2, max_size=6)


@given(_LENGTHS, _LENGTHS, st.floats(0.1, 1.0))
def test_the_clock_stands_still_in_gaps_and_never_goes_back(lengths, gaps, deadc):
    pairs = np.array(list(zip(lengths, gaps, strict=False)))
    starts = 53000.0 + np.cumsum(pairs.sum(axis=1))
    gti = np.column_stack([starts, starts + pairs[:, 0]])
    gti = gti[np.append(gti[:-1, 1] < gti[1:, 0], True)]

    livetime = np.linspace(0.0, deadc * _DAY * np.diff(gti, axis=1).sum(), 50)
    time = time_at(gti, livetime, deadc=deadc)

    assert (np.diff(time) >= 0).all()
    inside = (time[:, np.newaxis] >= gti[:, 0]) & (time[:, np.newaxis] <= gti[:, 1])
    assert inside.any(axis=1).all()
    np.testing.assert_allclose(livetime_at(gti, time, deadc=deadc), livetime, atol=1e-4)
