from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.criteria import MimicLimits
from bkgpipe.stages.count.data import ControlEvents, RunShape
from bkgpipe.stages.rank.mimic import control_scale, log_control_rates, mimic_excess


@pytest.fixture(scope="session")
def make_shape(make_run):
    def make(obs_id, *, n_control=500, lowest_energy=0.5, **changes):
        return RunShape(
            run=make_run(obs_id, **changes),
            counts_2d=np.ones((2, 3)),
            exposure_2d=np.ones((2, 3)),
            livetime=1800.0,
            kept_fraction=1.0,
            control=ControlEvents(
                counts_outer=n_control,
                exposure_outer=10.0,
                counts_low=0,
                exposure_low=0.0,
            ),
            lowest_energy=lowest_energy,
        )

    return make


@pytest.mark.parametrize(
    ("limit", "change", "passes"),
    [
        ({"zenith": 5.0}, {"zenith": 44.0}, True),
        ({"zenith": 5.0}, {"zenith": 52.0}, False),
        ({"zenith": 5.0}, {"zenith": np.nan}, True),
        ({"zenith": 0.0}, {"zenith": 46.9}, True),
        ({"zenith": 0.0}, {"zenith": 47.0}, False),
        ({"azimuth": 30.0}, {"azimuth": 355.0}, True),
        ({"azimuth": 30.0}, {"azimuth": 330.0}, False),
        ({"azimuth": 30.0}, {"azimuth": 22.6 - 720.0}, True),
        ({"time": 10.0}, {"time_start": 53350.0}, True),
        ({"time": 10.0}, {"time_start": 53400.0}, False),
        ({"muon_efficiency": 0.1}, {"muon_efficiency": 0.7}, False),
        ({"muon_efficiency": 0.1}, {"muon_efficiency": np.nan}, True),
        ({"nsb": 0.5}, {"nsb": 1.4}, True),
        ({"nsb": 0.5}, {"nsb": 1.6}, False),
        ({"rate": 0.2}, {"n_control": 590}, True),
        ({"rate": 0.2}, {"n_control": 700}, False),
        ({"rate": 0.2}, {"n_control": 7}, True),
        ({"rate": 0.2}, {"lowest_energy": 0.3}, False),
        ({"same_telescopes": True}, {"telescopes": "1,2,3"}, False),
        ({"same_telescopes": True}, {"telescopes": ""}, True),
        ({}, {"telescopes": "1,2,3", "zenith": 0.0, "azimuth": 180.0}, True),
    ],
)
def test_mimic_limits(make_shape, limit, change, passes):
    conditions = {"zenith": 46.9, "azimuth": 22.6, "time_start": 53344.0, "nsb": 1.0}
    one = make_shape(1, **conditions, muon_efficiency=0.9)
    other = make_shape(2, **conditions | {"muon_efficiency": 0.9} | change)
    limits = MimicLimits(**limit)

    found = mimic_excess([one], [other, one], limits=limits)
    swapped = mimic_excess([other], [one], limits=limits)

    assert len(found) == len(limit)
    for excess in found.values():
        np.testing.assert_array_equal(~(excess > 1), [[passes, True]])
    for excess in swapped.values():
        assert ~(excess[0, 0] > 1) == passes


def test_excess_is_in_units_of_the_limit(make_shape):
    one, other = make_shape(1, azimuth=350.0), make_shape(2, azimuth=20.0)

    found = mimic_excess([one], [other], limits=MimicLimits(azimuth=20.0))

    np.testing.assert_allclose(found["azimuth"], [[1.5]])


def test_control_rates_are_at_a_common_energy(make_shape):
    runs = [
        make_shape(1),
        make_shape(2, lowest_energy=1.0),
        make_shape(3, n_control=99),
        make_shape(4, lowest_energy=np.nan),
    ]

    rates = log_control_rates(runs)

    np.testing.assert_allclose(rates[1] - rates[0], 0.75 * np.log(2))
    assert np.isnan(rates[2:]).all()
    assert log_control_rates([]).shape == (0,)


def test_scale_of_unknown_rates_is_one():
    scale = control_scale(np.log(2.0), np.log([2.0, 3.0, np.nan]))

    np.testing.assert_allclose(scale, [1.0, 1.5, 1.0])
    assert control_scale(np.nan, np.array([3.0])) == [1.0]


def test_no_control_events_are_unknown(make_shape):
    nothing = ControlEvents(
        counts_outer=0, exposure_outer=0.0, counts_low=0, exposure_low=0.0
    )

    rates = log_control_rates([replace(make_shape(1), control=nothing)])

    assert np.isnan(rates).all()
