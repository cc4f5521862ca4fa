from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import NoRunsError
from bkgpipe.stages.fit import penalties
from bkgpipe.stages.fit.data import FitPoints, RunConditions
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.penalties import (
    PenaltyTrial,
    choose_penalties,
    held_out_deviance,
    pick_strengths,
    trial_table,
)

AXES = Binning(
    energy_edges=np.geomspace(0.5, 8.0, 5),
    fov_lon_edges=np.linspace(-1.5, 1.5, 6),
    fov_lat_edges=np.linspace(-1.5, 1.5, 8),
    offset_edges=np.array([0.0, 1.0, 1.8, 2.3]),
)
# Two runs a night, three in the last one; not in order of time
DAYS = np.array([0.1, 0.2, 1.15, 1.1, 2.1, 2.3, 5.1, 5.2, 5.28])
N_RUNS = DAYS.size


def make_points(*, slope, time=DAYS, point=None, seed=1):
    """Runs whose norms follow the cosine of zenith with a slope."""
    n_runs = len(time)
    cos_zenith = np.linspace(0.5, 1.0, n_runs)
    exposure = np.full((n_runs, *AXES.shape_3d), 1500.0) * AXES.solid_angle_3d
    energy = np.sqrt(AXES.energy_edges[:-1] * AXES.energy_edges[1:])
    spectrum = 60.0 * energy**-2.5 * AXES.energy_width
    law = np.exp(slope * (cos_zenith - 0.75))
    mean = exposure * (law[:, None] * spectrum)[:, :, None, None]
    conditions = tuple(
        RunConditions(
            cos_zenith=float(z),
            azimuth=0.0,
            position_angle=0.0,
            muon_efficiency=0.9,
            deadc=0.9,
            time=53000.0 + float(day),
            control_outer=0.0,
            control_low=0.0,
            safe_energy=0.5,
        )
        for z, day in zip(cos_zenith, time, strict=True)
    )
    return FitPoints(
        binning=AXES,
        counts=np.random.default_rng(seed).poisson(mean).astype(float),
        exposure=exposure,
        conditions=conditions,
        point=np.arange(n_runs) if point is None else point,
        share=np.ones(n_runs),
        livetime=np.full(n_runs, 1500.0),
    )


def fit(points, strengths):
    penalty, term_penalty, ridge = strengths
    return fit_regression(
        points,
        fov_alignment="ALTAZ",
        terms=("zenith",),
        energy_splines=3,
        offset_splines=4,
        penalty=penalty,
        term_penalty=term_penalty,
        ridge=ridge,
    )


def trial(strengths, deviance):
    return PenaltyTrial(strengths=strengths, deviance=np.array(deviance))


@pytest.mark.parametrize(
    ("slope", "is_strong"), [(3.0, False), (0.0, True)], ids=["slope", "none"]
)
def test_the_ridge_follows_the_data(slope, is_strong):
    """A law in zenith asks for a weak ridge, its absence for a strong one."""
    trials = choose_penalties(make_points(slope=slope), fit, start=(1.0, 10.0, 100.0))
    ridge = pick_strengths(trials)[2]
    assert ridge >= 1000 if is_strong else ridge <= 10
    totals = [one.total for one in trials]
    assert totals == sorted(totals)
    assert (1.0, 10.0, 100.0) in [one.strengths for one in trials]


def test_whole_nights_are_left_out():
    points = make_points(slope=1.0)
    left_out = []

    def spy(kept, strengths):
        times = {conditions.time for conditions in kept.conditions}
        left_out.append({day for day in DAYS if 53000.0 + day not in times})
        return fit(kept, strengths)

    folds = penalties._make_folds(points, 2)
    held_out_deviance(points, spy, folds, strengths=(1.0, 10.0, 1.0))
    night = {0.1, 0.2}, {1.1, 1.15}, {2.1, 2.3}, {5.1, 5.2, 5.28}
    assert len(left_out) == 2
    assert left_out[0] | left_out[1] == set(DAYS)
    assert all(one <= left_out[0] or one <= left_out[1] for one in night)
    assert sorted(map(len, left_out)) == [4, 5]


@pytest.mark.parametrize(
    "points",
    [
        make_points(slope=0.0, time=np.linspace(0.1, 0.4, 7)),
        make_points(slope=0.0, point=np.arange(N_RUNS)).take(np.arange(7)),
    ],
    ids=["one night", "nights"],
)
def test_no_point_is_in_two_folds(points):
    folds = penalties._make_folds(points, 3)
    assert sorted(np.bincount(folds)) == [2, 2, 3]


def test_joined_runs_are_left_out_by_point():
    points = SimpleNamespace(n_points=4, n_runs=9)
    assert sorted(penalties._make_folds(points, 4)) == [0, 1, 2, 3]


def test_held_out_deviance_is_that_of_the_prediction():
    """With the law in the fit it is that of noise, about one for each rich bin."""
    points = make_points(slope=2.0)
    folds = np.arange(N_RUNS) % 3
    deviance = partial(held_out_deviance, points, fit, folds)
    good = deviance(strengths=(1.0, 10.0, 0.1))
    poor = deviance(strengths=(1.0, 10.0, 1e5))
    assert good.shape == (N_RUNS,)
    # The middle of the zenith angles is no extrapolation
    assert 0.5 < good[2:7].sum() / (points.counts[2:7].size) < 1.3
    assert poor.sum() > 1.2 * good.sum()


def test_the_strongest_within_one_error_is_picked():
    trials = (
        trial((1.0, 1.0, 1.0), [10.0, 10.0, 10.0, 10.0]),
        trial((1.0, 10.0, 1.0), [12.0, 9.0, 11.0, 9.0]),
        trial((1.0, 100.0, 1.0), [11.0, 11.1, 11.0, 11.0]),
    )
    table = trial_table(trials)
    np.testing.assert_allclose(table[:, 3], [40.0, 41.0, 44.1])
    np.testing.assert_allclose(table[1, 4], np.std([2, -1, 1, -1]) * 2)
    assert pick_strengths(trials) == (1.0, 10.0, 1.0)


def test_no_trials_make_an_empty_table():
    assert trial_table(()).shape == (0, 5)


def test_a_single_run_cannot_be_left_out():
    points = make_points(slope=0.0).take(np.array([3]))
    with pytest.raises(NoRunsError, match=r"1 run.*left out.*choose_penalties"):
        choose_penalties(points, fit, start=(1.0, 10.0, 10.0))


def test_the_walk_stays_in_range():
    """Where nothing matters it ends after one round, inside the limits."""
    tried = []

    def flat(points, strengths):
        tried.append(strengths)
        return fit(points, (1.0, 10.0, 10.0))

    points = make_points(slope=1.0)
    trials = choose_penalties(points, flat, start=(0.0, 1e9, 10.0), n_folds=2)
    assert len(trials) == 5
    assert set(tried) == {one.strengths for one in trials}
    assert min(map(min, tried)) == 1e-2
    assert max(map(max, tried)) == 1e5
