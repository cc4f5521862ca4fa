from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.geometry.frames import to_fov, zenith_angle, zenith_position_angle
from bkgpipe.simulate.archive.data import Distribution, Field, Simulation
from bkgpipe.simulate.archive.pointings import make_runs


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def _sky(low: float, high: float) -> Distribution:
    return Distribution(law="sky", values=(low, high))


def test_runs_are_pointed_where_they_say() -> None:
    simulation = Simulation(n_runs=5, zenith=_sky(20.0, 40.0))
    runs = make_runs(_rng(), simulation)
    assert [run.obs_id for run in runs] == [1001, 1002, 1003, 1004, 1005]
    for run in runs:
        assert 20.0 <= run.zenith <= 40.0
        middle = np.array([(run.time_start + run.time_stop) / 2])
        # The zenith is one zenith angle away, along its position angle
        angle = np.radians(zenith_position_angle(run, middle)[0])
        dec = np.radians(run.dec)
        z = np.radians(run.zenith)
        latitude = np.arcsin(
            np.sin(dec) * np.cos(z) + np.cos(dec) * np.sin(z) * np.cos(angle)
        )
        assert np.degrees(latitude) == pytest.approx(run.latitude, abs=0.2)


def test_runs_are_off_the_galactic_plane() -> None:
    runs = make_runs(_rng(), Simulation(n_runs=60))
    pole = np.radians([192.85948, 27.12825])
    ra, dec = np.radians([[run.ra, run.dec] for run in runs]).T
    sine = np.sin(dec) * np.sin(pole[1])
    sine += np.cos(dec) * np.cos(pole[1]) * np.cos(ra - pole[0])
    assert np.degrees(np.abs(np.arcsin(sine))).min() > 19.9


def test_runs_follow_each_other_and_stop_in_the_morning() -> None:
    simulation = Simulation(n_runs=50, duration=1680.0)
    runs = make_runs(_rng(), simulation)
    start = np.array([run.time_start for run in runs])
    stop = np.array([run.time_stop for run in runs])
    assert (start[1:] > stop[:-1]).all()
    assert ((start - simulation.time_start) % 1.0 < 8 / 24).all()
    assert runs[0].livetime == pytest.approx(1680.0 * 0.9)


def test_a_range_within_the_galactic_plane_is_still_observed() -> None:
    simulation = Simulation(n_runs=2, zenith=_sky(30.0, 30.0))
    assert [run.zenith for run in make_runs(_rng(), simulation)] == pytest.approx(
        [30, 30]
    )


def test_long_runs_take_a_night_each() -> None:
    runs = make_runs(_rng(), Simulation(n_runs=3, duration=9 * 3600.0))
    start = np.array([run.time_start for run in runs])
    np.testing.assert_allclose(np.diff(start), 1.0)


def test_equal_seeds_give_equal_runs() -> None:
    first, second = (make_runs(_rng(4), Simulation(n_runs=3)) for _ in range(2))
    assert [(run.ra, run.dec) for run in first] == [(r.ra, r.dec) for r in second]


_CRAB = Field(name="Crab", ra=83.63, dec=22.01)
_SOUTH = Field(name="South", ra=329.7, dec=-30.2)


def test_fields_are_pointed_at_in_turn_from_four_sides() -> None:
    simulation = Simulation(n_runs=10, fields=(_CRAB, _SOUTH), wobble=0.7)
    runs = make_runs(_rng(), simulation)
    assert [run.target for run in runs] == ["Crab", "South"] * 5
    sides = []
    for run in runs[::2]:
        place = np.array([run.ra]), np.array([run.dec])
        lon, lat = to_fov(*place, pointing=(_CRAB.ra, _CRAB.dec))
        sides.append((round(lon.item(), 6), round(lat.item(), 6)))
    assert sides[:4] == [(0.7, 0.0), (0.0, 0.7), (-0.7, 0.0), (0.0, -0.7)]
    assert sides[4] == sides[0]


def test_fields_are_observed_at_the_zenith_angle_drawn() -> None:
    zenith = Distribution(law="constant", values=(50.0,))
    simulation = Simulation(n_runs=6, fields=(_CRAB, _SOUTH), zenith=zenith)
    runs = make_runs(_rng(2), simulation)
    for run in runs:
        assert run.zenith == pytest.approx(50.0, abs=0.3)
        middle = np.array([(run.time_start + run.time_stop) / 2])
        assert zenith_angle(run, middle)[0] == pytest.approx(run.zenith, abs=0.05)
    # before and after culmination
    assert len({run.azimuth > 180.0 for run in runs}) == 2


def test_a_field_that_stays_low_is_taken_at_its_highest() -> None:
    zenith = Distribution(law="constant", values=(10.0,))
    run = make_runs(_rng(), Simulation(n_runs=1, fields=(_CRAB,), zenith=zenith))[0]
    assert run.zenith == pytest.approx(_CRAB.dec - run.latitude, abs=0.2)


def test_a_field_that_does_not_rise_is_refused() -> None:
    pole = Field(name="Polaris", ra=37.9, dec=89.3)
    with pytest.raises(SettingsError, match=r"Polaris comes .*Point at fields"):
        make_runs(_rng(), Simulation(n_runs=2, fields=(_CRAB, pole)))


def test_nights_are_drawn_up_to_the_last() -> None:
    simulation = Simulation(n_runs=300, time_start=53000.8, time_stop=53400.8)
    start = np.array([run.time_start for run in make_runs(_rng(), simulation)])
    assert (np.diff(start) > 599.0 / 86400.0).all()
    assert start.min() >= 53000.8
    assert start.max() < 53401.2
    assert np.mean(start) == pytest.approx(53200.8, abs=5 * 400 / np.sqrt(12 * 300))


def test_more_runs_than_nights_hold_are_refused() -> None:
    simulation = Simulation(n_runs=90, time_start=53000.8, time_stop=53002.8)
    with pytest.raises(SettingsError, match=r"time for 80 runs .*not for 90.* later"):
        make_runs(_rng(), simulation)


def test_conditions_are_those_asked_for() -> None:
    simulation = Simulation(
        n_runs=400,
        deadc=Distribution(law="uniform", values=(0.8, 0.9)),
        muon_efficiency=Distribution(law="normal", values=(0.7, 0.05)),
        azimuth=Distribution(law="uniform", values=(-20.0, 20.0)),
        safe_energy_power=2.0,
        n_gaps=2,
        gap=60.0,
    )
    runs = make_runs(_rng(), simulation)
    deadc = np.array([run.deadc for run in runs])
    assert 0.8 <= deadc.min() < 0.81
    assert 0.89 < deadc.max() <= 0.9
    assert np.mean([run.muon_efficiency for run in runs]) == pytest.approx(
        0.7, abs=0.02
    )
    for run in runs[:9]:
        assert run.ontime == 480.0
        assert run.livetime == pytest.approx(480.0 * run.deadc)
        slant = 1 / np.cos(np.radians(run.zenith))
        assert run.safe_energy_min == pytest.approx(0.1 * slant**2)
        assert run.azimuth <= 20.0 or 340.0 <= run.azimuth < 360.0
