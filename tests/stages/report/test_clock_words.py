from __future__ import annotations

import pytest

from bkgpipe.core.clock import Clock
from bkgpipe.stages.report.clock_words import clock_words, outside_words


def test_every_statement_is_told():
    clock = Clock(
        ontime=600.0,
        livetime_over_deadc=610.0,
        good_time=300.0,
        start_to_stop=620.0,
        first_to_last=310.0,
    )
    text = clock_words(clock)
    assert text.startswith("its times differ by up to 103.3%")
    for words in (
        "300.0 s in the good time intervals (used)",
        "600.0 s by ONTIME",
        "610.0 s by LIVETIME / DEADC",
        "310.0 s from the first interval to the last",
        "620.0 s from TSTART to TSTOP",
    ):
        assert words in text
    assert "unknown by ONTIME" in clock_words(Clock(good_time=300.0))


@pytest.mark.parametrize(
    ("n_outside", "n_read", "is_told"), [(30, 100, 0), (31, 100, 1), (0, 0, 0)]
)
def test_many_events_outside_are_told(n_outside, n_read, is_told):
    text = outside_words(n_outside, n_read)
    assert bool(text) == is_told
    assert ("31 of 100 events (31%) are outside good time" in text) == is_told
