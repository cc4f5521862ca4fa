from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bkgpipe.tools.monitor import words as monitor_words
from bkgpipe.tools.monitor.data import Monitor, RunRates
from bkgpipe.tools.monitor.words import describe_monitor

MakeMonitor = Callable[..., Monitor]


def _line(text: str, *words: str) -> str:
    (line,) = (line for line in text.splitlines() if all(w in line for w in words))
    return line


def test_what_was_looked_at_is_told(make_monitor: MakeMonitor) -> None:
    first, second, *_ = describe_monitor(make_monitor()).splitlines()
    assert first == (
        "Rate of 2 runs, 16800 events, time bins of about 2 min, "
        "0.01 to 200 TeV in 2 bins, 0 to 2.5 deg in 3 bins"
    )
    assert "power of 0.00 at 20 deg and 0.00 at 45 deg, from 20 quiet runs" in second


def test_changes_are_told_in_rows(make_monitor: MakeMonitor) -> None:
    text = describe_monitor(make_monitor())
    drop = _line(text, "7", "-40 +- 3 %")
    assert "2004-12-04 21:34:55 - 21:38:55" in drop  # TT is 64.184 s ahead of UTC
    assert "0.0 - 4.0" in drop
    assert drop.endswith("0 to 1 deg: -70 +- 5 %")
    assert _line(text, "+50 +- 3 %").endswith("all bins alike")
    assert _line(text, "no event").endswith("< 1e-99")


def test_low_runs_are_told_in_rows(make_monitor: MakeMonitor) -> None:
    text = describe_monitor(make_monitor())
    assert "against 2 runs near in time" in text
    assert "power of 1.40, scatter 10.0 %" in text
    row = _line(text, "-50 +- 5 %")
    assert row.startswith("8 ")
    assert "20.0 deg" in row
    assert "2.5 /s" in row
    assert row.endswith("-6.9")


def test_the_summary_counts_runs(make_monitor: MakeMonitor) -> None:
    text = describe_monitor(make_monitor())
    assert _line(text, "Summary") == (
        "Summary: 1 run with drops, 1 run with bursts, 1 run with gaps; 1 too low and "
        "0 too high as a whole"
    )
    assert "in 0.02 quiet runs" in text
    assert text.endswith("Left out: 1 run\n  9: its file is gone")


def test_a_quiet_store_has_no_rows(make_monitor: MakeMonitor) -> None:
    level = make_monitor().levels[0]
    levels = (level, replace(level, obs_id=8))
    text = describe_monitor(make_monitor(curves=(), levels=levels, left_out={}))
    assert "No run changes inside" in text
    assert "No run is off by 3.5 times the scatter or more" in text
    assert "Left out" not in text


def test_few_runs_are_not_compared(make_monitor: MakeMonitor) -> None:
    text = describe_monitor(make_monitor(levels=()))
    assert "Whole runs are not compared: fewer than 5" in text


def test_a_long_burst_may_be_a_drop_of_the_rest(make_monitor: MakeMonitor) -> None:
    assert "drop of the rest" not in describe_monitor(make_monitor())
    (curve,) = make_monitor().curves
    burst = replace(curve.changes[1], stop_minute=10.0)
    text = describe_monitor(make_monitor(curves=(replace(curve, changes=(burst,)),)))
    assert "is more often a drop of the rest" in text


def test_what_is_doubtful_is_told(
    make_monitor: MakeMonitor, make_run_rates: Callable[..., RunRates]
) -> None:
    rates = make_run_rates(is_tracked=False, n_outside_gti=3)
    law = replace(make_monitor().law, n_runs=1)
    text = describe_monitor(make_monitor(rates=(rates,), law=law))
    assert "The zenith law comes from 1 quiet run alone" in text
    assert "1 run without a zenith angle from place and time" in text
    assert "3 events are outside the good time intervals" in text


def test_long_tables_are_cut(
    make_monitor: MakeMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor_words, "_MAX_ROWS", 1)
    low = make_monitor().outliers
    text = describe_monitor(make_monitor(levels=low * 3))
    assert text.count("and 2 more: ask for --table") == 2
