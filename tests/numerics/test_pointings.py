from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.datamodel import Simulation
from bkgpipe.numerics.geometry import zenith_position_angle
from bkgpipe.numerics.pointings import make_runs


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_runs_are_pointed_where_they_say() -> None:
    simulation = Simulation(n_runs=5, zenith_min=20.0, zenith_max=40.0)
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
    assert runs[0].livetime == pytest.approx(1680.0 * simulation.deadc)


def test_a_range_within_the_galactic_plane_is_still_observed() -> None:
    simulation = Simulation(n_runs=2, zenith_min=30.0, zenith_max=30.0)
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
