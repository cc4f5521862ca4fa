from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.fit import design as design_module
from bkgpipe.stages.fit.data import FitPoints, RunConditions
from bkgpipe.stages.fit.design import (
    choose_terms,
    design_columns,
    find_excursions,
    find_scales,
    join_design,
)
from bkgpipe.stages.fit.terms import CONDITION_NAMES

CONDITIONS = RunConditions(
    cos_zenith=0.8,
    azimuth=60.0,
    position_angle=30.0,
    muon_efficiency=0.9,
    deadc=0.95,
    time=53000.0,
    control_outer=4.0,
    control_low=float("nan"),
)


@pytest.fixture(scope="module")
def runs():
    return [
        replace(CONDITIONS, cos_zenith=0.7, control_outer=3.9),
        replace(CONDITIONS, azimuth=70.0),
        replace(CONDITIONS, cos_zenith=0.9, deadc=0.9),
    ]


def test_missing_and_constant_conditions_drop_their_terms(runs):
    kept, dropped = choose_terms(
        ("zenith", "muon", "control_low", "gradient", "epoch"), find_scales(runs)
    )
    assert kept == ("zenith", "gradient")
    assert [reason.split(": ")[0] for reason in dropped] == [
        "muon",
        "control_low",
        "epoch",
    ]
    assert "same in all runs" in dropped[0]
    assert "missing in at least one run" in dropped[1]


def test_an_epoch_needs_a_jump(runs):
    slow = [
        replace(run, muon_efficiency=0.8 + 0.05 * step) for step, run in enumerate(runs)
    ]
    assert choose_terms(("epoch",), find_scales(slow))[1] == (
        "epoch: all runs are of one epoch",
    )


def test_columns_start_with_the_radial_splines(runs):
    design, columns = design_columns(
        runs, ("zenith", "gradient"), find_scales(runs), n_radial=5
    )
    assert design.shape == (3, 5 + 10 + 2, 9)
    assert columns == ("radial",) * 5 + ("zenith",) * 10 + ("gradient",) * 2
    np.testing.assert_array_equal(design[2, :5, :5], np.eye(5))
    np.testing.assert_allclose(design[:, 5, 0].mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(design[:, 5, 0].std(), 1.0)


def test_few_runs_do_not_tell_how_terms_go_on(runs):
    scales = find_scales(runs)
    far = replace(CONDITIONS, cos_zenith=0.3)
    near = replace(CONDITIONS, cos_zenith=0.7)
    terms = ("zenith", "gradient_zenith")
    ends = [design_columns([one], terms, scales, n_radial=5)[0] for one in (far, near)]
    np.testing.assert_array_equal(*ends)
    (excursion,) = find_excursions(far, terms, scales)
    assert str(excursion) == "cosine of the zenith angle 0.3 (fit: 0.7 to 0.9)"
    assert (excursion.value, excursion.low, excursion.high) == (0.3, 0.7, 0.9)
    assert find_excursions(near, terms, scales) == ()


@pytest.fixture(scope="module")
def forty():
    """Runs of evenly spread cosines of zenith, and of times."""
    return [
        replace(CONDITIONS, cos_zenith=cos_zenith, time=53000.0 + 10 * cos_zenith)
        for cos_zenith in np.linspace(0.5, 0.9, 40)
    ]


def test_terms_go_on_beyond_many_runs_by_part_of_their_spread(forty):
    scales = find_scales(forty)
    spread = scales.scale[CONDITION_NAMES.index("zenith")]
    places = np.array([0.9, 0.91, 0.9 + 0.75 * spread, 0.9 + spread, 1.0])
    some = [replace(CONDITIONS, cos_zenith=place) for place in places]
    design, _ = design_columns(some, ("zenith",), scales, n_radial=5)
    reached = design[:, 5, 0] * spread + 0.7
    expected = np.minimum(places, 0.9 + 0.75 * spread)
    np.testing.assert_allclose(reached, expected)
    np.testing.assert_allclose(design[:, 10, 0], design[:, 5, 0] ** 2)


def test_a_fit_goes_on_as_far_as_its_runs_say(forty):
    scales = find_scales(forty)
    assert scales.reach[CONDITION_NAMES.index("time")] == 0.0
    assert not np.nan_to_num(find_scales(forty[:10]).reach).any()


def test_only_conditions_in_use_can_be_outside(runs):
    scales = find_scales(runs)
    assert not find_excursions(CONDITIONS, ("zenith",), scales)
    other = replace(CONDITIONS, deadc=0.1, control_outer=float("nan"))
    assert not find_excursions(other, ("zenith",), scales)
    (excursion,) = find_excursions(other, ("zenith", "control_outer"), scales)
    assert str(excursion) == (
        "log rate of control events beyond the field missing (fit: 3.9 to 4)"
    )


def test_a_missing_condition_takes_the_mean(runs):
    scales = find_scales(runs)
    lost = replace(CONDITIONS, control_outer=float("nan"))
    design, _ = design_columns([lost], ("control_outer",), scales, n_radial=5)
    np.testing.assert_array_equal(design[0, 5:], 0.0)


def test_all_conditions_beyond_the_fit_are_named(runs):
    terms = ("zenith", "time", "deadtime", "azimuth")
    far = replace(CONDITIONS, cos_zenith=0.95, time=53010.0, deadc=0.5)
    found = find_excursions(far, terms, find_scales(runs))
    assert [one.name for one in found] == [
        "cosine of the zenith angle",
        "north component of the pointing",
        "log of the live-time fraction",
        "time",
    ]
    assert str(found[3]) == "time 53010.000 (fit: 53000.000 to 53000.000)"
    found_range = found[2].value, found[2].low, found[2].high
    np.testing.assert_allclose(found_range, np.log([0.5, 0.9, 0.95]))


@pytest.fixture(scope="module")
def dated():
    """Runs of three dates, the longest gap between which is 20 days."""
    return [replace(CONDITIONS, time=time) for time in (53010.0, 53030.0, 53015.0)]


@pytest.mark.parametrize(
    ("time", "near"), [(53044.0, 53030.0), (52996.0, 53010.0), (53022.0, 53022.0)]
)
def test_a_run_not_far_from_the_dates_has_the_trend_of_the_nearest(dated, time, near):
    scales = find_scales(dated)
    assert scales.time_gap == 15.0
    assert time_column(scales, time) == pytest.approx(time_column(scales, near))
    assert time_column(scales, time) != 0.0


@pytest.mark.parametrize("time", [53046.0, 52994.0, 60000.0])
def test_far_from_the_dates_the_trend_drops_out(dated, time):
    assert time_column(find_scales(dated), time) == 0.0


def time_column(scales, time):
    """Column of the trend in the design of a run of that date."""
    run = replace(CONDITIONS, time=time)
    design, _ = design_columns([run], ("time",), scales, n_radial=5)
    return design[0, 5, 0]


@pytest.mark.parametrize("block", [2, 4096])
def test_the_design_of_a_point_is_the_mean_of_its_runs(
    runs, make_binning, monkeypatch, block
):
    monkeypatch.setattr(design_module, "_BLOCK", block)
    scales, terms = find_scales(runs), ("zenith", "gradient_zenith")
    cubes = np.zeros((2, *make_binning().shape_3d))
    points = FitPoints(
        binning=make_binning(),
        counts=cubes,
        exposure=cubes,
        conditions=tuple(runs),
        point=np.array([1, 0, 1]),
        share=np.array([0.25, 1.0, 0.75]),
        livetime=np.ones(3),
    )
    single, names = design_columns(runs, terms, scales, n_radial=5)
    joined, columns = join_design(points, terms, scales, n_radial=5)
    assert columns == names
    np.testing.assert_array_equal(joined[0], single[1])
    np.testing.assert_allclose(joined[1], 0.25 * single[0] + 0.75 * single[2])
