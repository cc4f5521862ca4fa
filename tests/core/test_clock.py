from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.core.clock import GOOD_TIME_TOLERANCE, Clock, is_in_good_time

_START = 53343.9
_AGREED = {
    "ontime": 600.0,
    "livetime_over_deadc": 600.0,
    "good_time": 600.0,
    "start_to_stop": 700.0,
    "first_to_last": 700.0,
}


def _days(seconds) -> np.ndarray:
    return _START + np.asarray(seconds, dtype=float) / 86400.0


@pytest.mark.parametrize(
    "order",
    [[[0, 100], [200, 300]], [[200, 300], [0, 100]], [[50, 60], [0, 100], [200, 300]]],
)
def test_times_in_intervals_of_any_order_or_near_them(order):
    seconds = [-2.1, -1.9, 0, 50, 80, 101.9, 102.1, 197.9, 198.1, 301.9, 302.1, np.nan]
    found = is_in_good_time(_days(seconds), _days(order))
    assert found.tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("gti", [np.empty((0, 2)), _days([[50, 50]])])
def test_no_good_time_holds_nothing(gti):
    assert is_in_good_time(_days([0, 50, 50.5]), gti).tolist() == [False] * 3


def test_no_times():
    assert is_in_good_time(np.empty(0), _days([[0, 100]])).shape == (0,)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 200)), max_size=6),
    st.lists(st.integers(-50, 800), max_size=9),
)
def test_a_time_is_in_the_union_of_the_intervals(intervals, times):
    gti = np.array([[start, start + length] for start, length in intervals])
    # between whole seconds, so that rounding decides nothing
    seconds = np.array(times) + 0.5
    expected = [
        any(
            low - GOOD_TIME_TOLERANCE < time < high + GOOD_TIME_TOLERANCE
            for low, high in gti
        )
        for time in seconds
    ]
    found = is_in_good_time(_days(seconds), _days(gti.reshape(-1, 2)))
    assert found.tolist() == expected


def test_statements_that_agree():
    clock = Clock(**_AGREED)
    assert clock.difference == 0.0
    assert not clock.is_doubtful


@pytest.mark.parametrize("name", list(_AGREED))
@pytest.mark.parametrize(("factor", "is_doubtful"), [(1.009, False), (1.012, True)])
def test_one_statement_that_differs(name, factor, is_doubtful):
    clock = Clock(**(_AGREED | {name: _AGREED[name] * factor}))
    assert clock.difference == pytest.approx(factor - 1, rel=0.02)
    assert clock.is_doubtful == is_doubtful


def test_gaps_are_no_difference():
    assert not Clock(
        **(_AGREED | {"start_to_stop": 900.0, "first_to_last": 900.0})
    ).is_doubtful


def test_where_a_store_is_silent_nothing_differs():
    assert not Clock().is_doubtful
    assert not Clock(good_time=600.0, first_to_last=600.0).is_doubtful
    known = Clock(good_time=600.0, ontime=630.0, first_to_last=600.0)
    assert known.difference == pytest.approx(0.05)
