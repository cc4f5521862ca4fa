from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.errors import InputError
from bkgpipe.stages.count.data import Conservation, ControlEvents, RunCounts
from bkgpipe.stages.fit.data import RunConditions
from bkgpipe.stages.fit.terms import (
    CONDITION_NAMES,
    DEFAULT_TERMS,
    TERMS,
    TermInputs,
    condition_table,
    find_epochs,
    make_conditions,
    require_pointing,
    sky_directions,
)

CONDITIONS = RunConditions(
    cos_zenith=0.8,
    azimuth=60.0,
    position_angle=30.0,
    muon_efficiency=0.9,
    deadc=0.95,
    time=53000.0,
    control_outer=4.0,
    control_low=6.0,
    control_rim=3.0,
    safe_energy=0.5,
)


@pytest.fixture
def run_counts(make_run, make_binning):
    binning = make_binning()
    return RunCounts(
        run=make_run(zenith=60.0),
        binning=binning,
        counts_3d=np.zeros(binning.shape_3d, dtype=int),
        counts_2d=np.zeros(binning.shape_2d, dtype=int),
        solid_angle_3d=binning.solid_angle_3d,
        solid_angle_2d=binning.solid_angle_2d,
        is_safe=np.ones(binning.n_energy, dtype=bool),
        safe_energy_min=0.1,
        safe_energy_origin="setting",
        ontime=1680.0,
        livetime=1512.0,
        position_angle=12.0,
        conservation=Conservation(),
        control=ControlEvents(
            counts_outer=700,
            exposure_outer=14.0,
            counts_low=0,
            exposure_low=9.0,
            counts_rim=40,
            exposure_rim=5.0,
        ),
        checksum="",
    )


def make_inputs(n_runs=3, n_radial=5):
    rng = np.random.default_rng(2)
    return TermInputs(
        conditions=rng.normal(size=(n_runs, len(CONDITION_NAMES))),
        upward=np.column_stack([np.full(n_runs, 0.6), np.full(n_runs, 0.8)]),
        tan_zenith=np.array([0.1, 0.5, 1.0])[:n_runs],
        epoch=np.array([0, 1, 1])[:n_runs],
        n_epochs=2,
        n_radial=n_radial,
    )


@pytest.mark.parametrize(
    ("name", "n_columns"),
    [
        ("zenith", 10),
        ("azimuth", 1),
        ("muon", 1),
        ("epoch", 1),
        ("gradient", 2),
        ("gradient_zenith", 3),
        ("time", 1),
        ("safe_energy", 1),
        ("control_outer", 1),
        ("control_low", 6),
        ("control_rim", 1),
        ("quadrupole", 2),
        ("deadtime", 1),
    ],
)
def test_each_term_gives_columns_for_each_run(name, n_columns):
    columns = TERMS[name].columns(make_inputs())
    assert columns.shape == (3, n_columns, 9)
    assert np.abs(columns).sum() > 0


def test_all_terms_are_tested():
    assert len(TERMS) == 13
    assert set(DEFAULT_TERMS) < set(TERMS)


def test_zenith_goes_with_each_spline():
    inputs = make_inputs()
    columns = TERMS["zenith"].columns(inputs)
    z = inputs.condition("zenith")
    np.testing.assert_array_equal(columns[1, :5, :5], np.eye(5) * z[1])
    np.testing.assert_array_equal(columns[2, 5:, :5], np.eye(5) * z[2] ** 2)


def test_the_low_control_rate_changes_the_radial_shape():
    name, inputs = "control_low", make_inputs()
    columns = TERMS[name].columns(inputs)
    np.testing.assert_array_equal(
        columns[1, :5, :5], np.eye(5) * inputs.condition(name)[1]
    )


def test_low_control_rate_changes_with_zenith_all_over_the_field():
    inputs = make_inputs()
    product = inputs.condition("control_low") * inputs.condition("zenith")
    found = TERMS["control_low"].columns(inputs)[:, 5, :5]
    np.testing.assert_array_equal(found, np.tile(product[:, None], 5))


def test_the_gradient_to_the_zenith_grows_with_its_tangent():
    columns = TERMS["gradient_zenith"].columns(make_inputs())
    np.testing.assert_allclose(columns[1, 2, 5:7], [0.15, 0.2])
    np.testing.assert_allclose(columns[:, 0, 5:7], [[0.6, 0.8]] * 3)


def test_conditions_become_a_table():
    table = condition_table(
        [CONDITIONS, replace(CONDITIONS, deadc=0.0, safe_energy=np.nan)]
    )
    assert table.shape == (2, len(CONDITION_NAMES))
    np.testing.assert_allclose(table[0, :3], [0.8, 0.5 * 0.6, 0.9])
    known = dict(zip(CONDITION_NAMES, table[0], strict=True))
    assert known["deadtime"] == pytest.approx(np.log(0.95))
    assert known["time"] == 53000.0
    control = [known[f"control_{name}"] for name in ("outer", "low", "rim")]
    assert control == [4.0, 6.0, 3.0]
    assert known["safe_energy"] == pytest.approx(np.log(0.5))
    is_unknown = dict(zip(CONDITION_NAMES, np.isnan(table[1]), strict=True))
    unknown = {name for name in CONDITION_NAMES if is_unknown[name]}
    assert unknown == {"deadtime", "safe_energy"}


def test_the_zenith_is_where_the_position_angle_says():
    east, north = sky_directions(
        [
            replace(CONDITIONS, position_angle=90.0),
            replace(CONDITIONS, position_angle=0),
        ]
    )
    np.testing.assert_allclose(east, [-1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(north, [0.0, 1.0], atol=1e-12)


def test_epochs_change_where_the_muon_efficiency_jumps():
    runs = [
        replace(CONDITIONS, time=time, muon_efficiency=muon)
        for time, muon in [(30.0, 0.8), (10.0, 1.2), (20.0, 1.15), (40.0, np.nan)]
    ]
    np.testing.assert_allclose(find_epochs(runs), [25.0])
    assert find_epochs([]).size == 0


def test_conditions_of_a_run(run_counts):
    conditions = make_conditions(run_counts, fov_alignment="RADEC")
    assert conditions.cos_zenith == pytest.approx(0.5)
    assert conditions.safe_energy == 0.1
    assert conditions.position_angle == 12.0
    rate = 700.5 / 14.0
    assert conditions.control_outer == pytest.approx(np.log(rate * 0.1**0.5))
    assert conditions.control_low == pytest.approx(np.log(0.5 / 9.0 * 0.1**-2))
    assert conditions.control_rim == pytest.approx(np.log(40.5 / 5.0 * 0.1**2))


def test_a_run_without_safe_energies_has_no_control_rates(run_counts):
    run = replace(run_counts, is_safe=np.zeros_like(run_counts.is_safe))
    assert np.isnan(make_conditions(run, fov_alignment="RADEC").control_outer)


def test_in_altaz_the_zenith_is_along_latitude(run_counts):
    assert make_conditions(run_counts, fov_alignment="ALTAZ").position_angle == 0.0


def test_without_a_safe_energy_the_lowest_bin_stands_for_it(run_counts):
    known = make_conditions(run_counts, fov_alignment="RADEC")
    run = replace(run_counts, safe_energy_min=0.0)
    assert make_conditions(run, fov_alignment="RADEC") == known


def test_control_events_without_exposure_are_unknown(run_counts):
    run = replace(run_counts, control=replace(run_counts.control, exposure_low=0.0))
    assert np.isnan(make_conditions(run, fov_alignment="RADEC").control_low)


@pytest.mark.parametrize(
    ("unknown", "what", "fix"),
    [
        ("zenith", "zenith angle is unknown", "ZEN_PNT"),
        ("latitude", "direction of the zenith is unknown", "gradient_zenith"),
    ],
)
def test_a_run_without_pointing_is_refused(unknown, what, fix, make_run):
    lost = make_run(7, **{unknown: float("nan")})
    with pytest.raises(InputError, match=what) as caught:
        require_pointing(lost, DEFAULT_TERMS, fov_alignment="RADEC")
    assert caught.value.where == "run 7"
    assert fix in caught.value.fix


def test_what_no_term_needs_may_be_unknown(make_run):
    lost = make_run(7, longitude=float("nan"), muon_efficiency=float("nan"))
    require_pointing(lost, ("zenith", "muon"), fov_alignment="RADEC")
    require_pointing(lost, DEFAULT_TERMS, fov_alignment="ALTAZ")
