from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError
from bkgpipe.stages.fit.data import Excursion, FitPoints, RegressionFit, RunConditions


@pytest.fixture
def fit():
    return RegressionFit(
        fov_alignment="RADEC",
        terms=("zenith",),
        columns=("radial", "radial", "zenith"),
        dropped=("muon: muon is missing in at least one run",),
        energy_knots=np.arange(9.0),
        offset_knots=np.arange(6.0),
        low_knots=np.arange(9.0),
        lowest_distance=-0.5,
        reference=np.zeros(4),
        reference_range=np.array([0.0, 1.0]),
        energy_range=np.array([0.0, 1.0]),
        energy_edges=np.array([1.0, 2.0, 4.0, 8.0]),
        condition_names=("zenith", "muon"),
        condition_mean=np.zeros(2),
        condition_scale=np.ones(2),
        condition_low=np.zeros(2),
        condition_high=np.ones(2),
        time_gap=3.0,
        epoch_edges=np.zeros(0),
        coefficients=np.zeros((5, 3)),
        low_coefficients=np.zeros((2, 4)),
        covariance=np.eye(23),
        deviance=1.0,
        edf=2.0,
        scatter=0.1,
        low_scatter=0.3,
        residual=np.zeros((2, 3)),
        n_steps=5,
        n_runs=7,
        livetime=100.0,
        penalty=1.0,
        term_penalty=10.0,
        ridge=0.01,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coefficients", np.zeros((3, 5))),
        ("covariance", np.eye(15)),
        ("low_coefficients", np.zeros((3, 4))),
        ("residual", np.zeros((3, 2))),
        ("condition_mean", np.zeros(3)),
        ("condition_high", np.zeros(1)),
    ],
)
def test_shapes_are_checked(fit, name, value):
    with pytest.raises(BinningMismatchError, match=rf"{name}.*Make the product again"):
        replace(fit, **{name: value})


def test_pulls_are_in_units_of_the_poisson_error(fit):
    residual = np.array([[110.0, 0.0, 0.0], [100.0, 4.0, 0.0]])
    pulls = replace(fit, residual=residual).pulls
    np.testing.assert_allclose(pulls, [1.0, -2.0, np.nan])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.31234, "zenith 0.3123 (fit: 0.5 to 0.9)"),
        (float("nan"), "zenith missing (fit: 0.5 to 0.9)"),
    ],
)
def test_an_excursion_in_words(value, words):
    assert str(Excursion(name="zenith", value=value, low=0.5, high=0.9)) == words


def test_an_excursion_in_time_keeps_its_last_digits():
    found = Excursion(name="time", value=53012.25, low=53000.5, high=53011.0)
    assert str(found) == "time 53012.250 (fit: 53000.500 to 53011.000)"


@pytest.fixture
def points():
    """Five runs in three points."""
    binning = Binning(
        energy_edges=np.array([1.0, 2.0, 4.0]),
        fov_lon_edges=np.linspace(-1.0, 1.0, 4),
        fov_lat_edges=np.linspace(-1.0, 1.0, 5),
        offset_edges=np.linspace(0.0, 1.0, 3),
    )
    cubes = np.arange(3 * 2 * 3 * 4.0).reshape(3, 2, 3, 4)
    unknown = dict.fromkeys(RunConditions.__dataclass_fields__, float("nan"))
    return FitPoints(
        binning=binning,
        counts=cubes,
        exposure=cubes + 0.5,
        conditions=tuple(
            RunConditions(**(unknown | {"time": float(run)})) for run in range(5)
        ),
        point=np.array([2, 0, 0, 1, 2]),
        share=np.array([0.25, 0.5, 0.5, 1.0, 0.75]),
        livetime=np.arange(5.0),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("counts", np.zeros((3, 2, 4, 3))),
        ("exposure", np.zeros((2, 2, 3, 4))),
        ("point", np.zeros(4, dtype=int)),
        ("share", np.zeros(3)),
        ("livetime", np.zeros(6)),
    ],
)
def test_shapes_of_points_are_checked(points, name, value):
    with pytest.raises(BinningMismatchError, match=rf"{name}.*Make the product again"):
        replace(points, **{name: value})


def test_points_know_their_numbers(points):
    assert (points.n_points, points.n_runs) == (3, 5)


def test_points_are_taken_with_their_runs(points):
    some = points.take(np.array([2, 0]))
    assert (some.n_points, some.n_runs) == (2, 4)
    np.testing.assert_array_equal(some.counts, points.counts[[2, 0]])
    np.testing.assert_array_equal(some.exposure, points.exposure[[2, 0]])
    assert [one.time for one in some.conditions] == [0.0, 1.0, 2.0, 4.0]
    assert some.point.tolist() == [0, 1, 1, 0]
    assert some.share.tolist() == [0.25, 0.5, 0.5, 0.75]
    assert some.livetime.tolist() == [0.0, 1.0, 2.0, 4.0]
