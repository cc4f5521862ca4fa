from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.core.run import Run
from bkgpipe.errors import NoRunsError, SettingsError
from bkgpipe.stages.validate.folds import make_folds

MakeRun = Callable[..., Run]


def _rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("by", ["run", "random", "night", "field"])
def test_folds_are_disjoint_and_complete(make_run: MakeRun, by: str) -> None:
    runs = [
        make_run(obs_id=i, time_start=53000.9 + i // 3, ra=10.0 * (i % 6))
        for i in range(20, 43)
    ]
    folds = make_folds(runs, n_folds=4, by=by, rng=_rng())
    assert len(folds) == 4
    assert sorted(sum(folds, ())) == list(range(20, 43))


def test_folds_by_run_take_every_nth(make_run: MakeRun) -> None:
    runs = [make_run(obs_id=i) for i in (9, 3, 5, 7, 1)]
    assert make_folds(runs, n_folds=2, by="run", rng=_rng()) == ((1, 5, 9), (3, 7))


def test_random_folds_follow_the_seed(make_run: MakeRun) -> None:
    runs = [make_run(obs_id=i) for i in range(20)]
    folds = make_folds(runs, n_folds=3, by="random", rng=_rng())
    assert folds == make_folds(runs, n_folds=3, by="random", rng=_rng())
    assert folds != make_folds(runs, n_folds=3, by="run", rng=_rng())


def test_a_night_lasts_from_noon_to_noon_at_the_site(make_run: MakeRun) -> None:
    # at 105 deg west midnight is 7 h UTC, noon 19 h UTC
    times = {1: 20.0, 2: 24.0, 3: 30.9, 4: 43.5, 5: 54.0}
    runs = [
        make_run(obs_id=i, longitude=-105.0, time_start=53000.0 + hour / 24.0)
        for i, hour in times.items()
    ]
    folds = make_folds(runs, n_folds=2, by="night", rng=_rng())
    assert folds == ((1, 2, 3), (4, 5))


def test_a_field_joins_pointings_that_are_near(make_run: MakeRun) -> None:
    # the ends of a chain of wobbles belong together, and so do both sides of RA = 0
    places = {1: (83.0, 22.0), 2: (83.8, 22.0), 3: (84.6, 22.0)}
    places |= {4: (359.7, -30.0), 5: (0.3, -30.0)}
    runs = [make_run(obs_id=i, ra=ra, dec=dec) for i, (ra, dec) in places.items()]
    folds = make_folds(runs, n_folds=2, by="field", rng=_rng())
    assert folds == ((1, 2, 3), (4, 5))


def test_one_fold_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(SettingsError, match=r"--folds: .*Ask for two"):
        make_folds([make_run()], n_folds=1, by="run", rng=_rng())


def test_there_are_no_more_folds_than_runs(make_run: MakeRun) -> None:
    runs = [make_run(obs_id=i) for i in (1, 2, 4)]
    assert make_folds(runs, n_folds=5, by="run", rng=_rng()) == ((1,), (2,), (4,))


@pytest.mark.parametrize("by", ["run", "night", "field"])
def test_too_few_blocks_are_refused(make_run: MakeRun, by: str) -> None:
    runs = [make_run(obs_id=1)]
    with pytest.raises(NoRunsError, match=f"folds by {by}: .*Select more runs"):
        make_folds(runs, n_folds=2, by=by, rng=_rng())


def test_no_runs_are_refused() -> None:
    with pytest.raises(NoRunsError, match=r"0 run\(s\)"):
        make_folds([], n_folds=2, by="run", rng=_rng())
