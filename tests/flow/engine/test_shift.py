"""How long a worker stays."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bkgpipe.flow.engine.shift import Leaving, Limits, Shift


class Clock:
    """Stands in for the clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("bkgpipe.flow.engine.shift.time.monotonic", found)
    return found


def _shift(**limits: float) -> tuple[Shift, list[str]]:
    beats: list[str] = []
    shift = Shift(
        limits=Limits(started=1000.0, **limits), beat=lambda: beats.append("")
    )
    return shift, beats


def test_without_limits_it_stays(clock):
    shift, beats = _shift()
    for _ in range(5):
        clock.now += 61
        shift.check(n_running=0)

    assert shift.takes_work
    assert shift.seconds == 305
    assert len(beats) == 5


def test_signs_of_life_are_given_every_minute(clock):
    shift, beats = _shift()
    for _ in range(130):
        clock.now += 1
        shift.check(n_running=1)

    assert len(beats) == 2


def test_near_the_limit_it_finishes_what_it_has(clock):
    shift, _ = _shift(no_new=100, stop=170)
    clock.now += 101
    assert not shift.takes_work
    shift.check(n_running=2)

    with pytest.raises(Leaving, match="near the time limit"):
        shift.check(n_running=0)


def test_at_the_limit_it_stops(clock):
    shift, _ = _shift(no_new=100, stop=170)
    clock.now += 171

    with pytest.raises(Leaving, match="at the time limit"):
        shift.check(n_running=2)


def test_it_leaves_when_it_was_idle(clock):
    shift, _ = _shift(idle=30)
    clock.now += 50
    shift.check(n_running=1)
    clock.now += 29
    shift.check(n_running=0)
    clock.now += 2

    with pytest.raises(Leaving, match="without work for 31 s"):
        shift.check(n_running=0)


def test_last_call_keeps_its_first_reason(clock):
    shift, _ = _shift(no_new=100)
    shift.call_last("as told by the scheduler")
    clock.now += 101

    with pytest.raises(Leaving, match="as told by the scheduler"):
        shift.check(n_running=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_the_next_look(number):
    shift = Shift(limits=Limits(), beat=lambda: None)
    before = signal.getsignal(number)

    with shift.obey_signals():
        shift.check(n_running=1)
        os.kill(os.getpid(), number)
        with pytest.raises(Leaving, match=f"after {signal.Signals(number).name}"):
            shift.check(n_running=1)

    assert signal.getsignal(number) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_last_call_by_signal():
    shift = Shift(limits=Limits(), beat=lambda: None)

    with shift.obey_signals():
        os.kill(os.getpid(), signal.SIGUSR1)
        shift.check(n_running=1)
        assert not shift.takes_work
        with pytest.raises(Leaving, match="after SIGUSR1"):
            shift.check(n_running=0)


def test_a_signal_ends_what_takes_too_long(monkeypatch):
    monkeypatch.setattr("bkgpipe.flow.engine.shift._PATIENCE", 0.1)
    shift = Shift(limits=Limits(), beat=lambda: None)

    with shift.obey_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Leaving, match="after SIGTERM"):
            time.sleep(100)


def test_a_signal_does_not_disturb_the_leaving(monkeypatch):
    monkeypatch.setattr("bkgpipe.flow.engine.shift._PATIENCE", 0.1)
    shift = Shift(limits=Limits(), beat=lambda: None)

    with shift.obey_signals():
        shift.leave()
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        with pytest.raises(Leaving, match="no answer"), shift.hurry():
            time.sleep(100)
