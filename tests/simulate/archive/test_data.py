from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bkgpipe.core.run import Events
from bkgpipe.errors import BinningMismatchError, SettingsError
from bkgpipe.simulate.archive.data import (
    Distribution,
    PointSource,
    SimulatedEvents,
    Simulation,
)


def _constant(value: float) -> Distribution:
    return Distribution(law="constant", values=(value,))


def _uniform(low: float, high: float) -> Distribution:
    return Distribution(law="uniform", values=(low, high))


@pytest.mark.parametrize(
    ("values", "where", "fix"),
    [
        ({"n_runs": 0}, "n_runs", "one run or more"),
        ({"duration": 0.0}, "duration", "positive"),
        ({"n_gaps": 3, "gap": 250.0}, "gap", "Leave time"),
        ({"n_gaps": -1, "gap": 1.0}, "gap", "Leave time"),
        ({"deadc": _constant(1.1)}, "deadc", r"\(0, 1\]"),
        ({"zenith": _constant(89.0)}, "zenith", "below 85 deg"),
        ({"zenith": _uniform(-5.0, 9.0)}, "zenith", "0 deg or more"),
        ({"time_stop": 55000.0}, "time_stop", "later than time_start"),
    ],
)
def test_simulation_refuses_what_cannot_be_observed(
    values: dict[str, Any], where: str, fix: str
) -> None:
    with pytest.raises(SettingsError, match=f"simulation, {where}: .*{fix}"):
        Simulation(**values)


@pytest.mark.parametrize(
    ("law", "values"),
    [
        ("constant", (1.0, 2.0)),
        ("uniform", (2.0, 1.0)),
        ("sky", (1.0,)),
        ("normal", (1.0, -0.1)),
        ("uniform", (1.0, math.nan)),
        ("poisson", (1.0,)),
    ],
)
def test_distribution_refuses_what_cannot_be_drawn(
    law: str, values: tuple[float, ...]
) -> None:
    with pytest.raises(SettingsError, match=r"distribution: .*two that increase"):
        Distribution(law=law, values=values)


def test_a_normal_law_may_be_wide() -> None:
    assert Distribution(law="normal", values=(5.0, 0.5)).values == (5.0, 0.5)


def test_ontime_is_what_the_gaps_leave() -> None:
    assert Simulation(duration=600.0, n_gaps=2, gap=30.0).ontime == 540.0


def test_each_event_has_a_type() -> None:
    nothing = np.empty(0)
    columns = dict.fromkeys(("ra", "dec", "energy", "time"), nothing)
    events = Events(obs_id=1, gti=np.array([[1.0, 2.0]]), **columns)
    with pytest.raises(BinningMismatchError, match="bkg_type"):
        SimulatedEvents(events=events, bkg_type=np.zeros(3, dtype=np.int16))


@pytest.mark.parametrize("name", ["rate", "width"])
def test_source_refuses_negative_numbers(name: str) -> None:
    values = {"fov_lon": 0.0, "fov_lat": 0.5, "rate": 1.0} | {name: -1.0}
    with pytest.raises(SettingsError, match=f"simulation, {name}: .*zero or more"):
        PointSource(**values)
