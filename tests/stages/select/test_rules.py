from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from bkgpipe.core.criteria import RunCuts
from bkgpipe.core.run import RunTable
from bkgpipe.errors import InputError, SettingsError
from bkgpipe.stages.select.rules import find_chunk_size, select_runs

INF = float("inf")


@pytest.fixture
def table(make_run) -> RunTable:
    runs = (
        make_run(10, zenith=20.0, livetime=1600.0, time_start=53000.5),
        make_run(11, zenith=61.2, livetime=1700.0, time_start=53100.5, quality=-1),
        make_run(12, zenith=40.0, livetime=500.0, time_start=53200.5, quality=1),
    )
    observations = Table(
        {
            "OBS_ID": [10, 11, 12],
            "MUONEFF": np.array([0.75, 1.15, np.nan], dtype=np.float32),
            "OBJECT": ["Crab ", "MSH 15-52", "Crab"],
            "N_TELS": MaskedColumn([4, 3, 4], mask=[False, False, True]),
            "HAS_LIDAR": [True, False, True],
        }
    )
    return RunTable(runs=runs, observations=observations)


def selected(table: RunTable, **cuts) -> list[int]:
    return [run.obs_id for run in select_runs(table, RunCuts(**cuts)).selected]


def reasons(table: RunTable, **cuts) -> list[str]:
    return [run.reason for run in select_runs(table, RunCuts(**cuts)).runs]


def test_no_cuts_take_and_export_all(table):
    found = select_runs(table, RunCuts())
    assert found.selected == found.exported == found.used == found.runs
    assert {run.reason for run in found.runs} == {""}
    assert found.observations is table.observations


def test_input_is_not_changed(table):
    select_runs(table, RunCuts(max_zenith=1.0))
    assert all(run.selected for run in table.runs)


def test_no_runs():
    assert select_runs(RunTable(runs=()), RunCuts(max_zenith=60.0)).runs == ()


def test_each_rejected_run_keeps_its_reason(table):
    assert reasons(table, max_zenith=60.0) == [
        "",
        "zenith 61.2 deg is above max_zenith 60 deg",
        "",
    ]


@pytest.mark.parametrize(
    ("cuts", "reason"),
    [
        ({"min_livetime": 600.0}, "livetime 500 s is below min_livetime 600 s"),
        ({"max_quality": 0}, "quality 1 is above max_quality 0"),
        (
            {"time_max": 53150.0},
            "time_start 53200.5 MJD is above time_max 53150 MJD",
        ),
        (
            {"time_min": 60000.0},
            "time_start 53200.5 MJD is below time_min 60000 MJD",
        ),
        ({"obs_ids": (10, 11)}, "is not among obs_ids"),
        ({"exclude_obs_ids": (12,)}, "is among exclude_obs_ids"),
        ({"telescopes": "1,2"}, "telescopes are 1,2,3,4, not 1,2"),
        ({"conditions": ("OBS_ID < 12",)}, "OBS_ID is 12, not < 12"),
        ({"conditions": ("OBJECT != Crab",)}, "OBJECT is Crab, not != Crab"),
    ],
)
def test_reason_of_each_cut(table, cuts, reason):
    assert reasons(table, **cuts)[2] == reason


@pytest.mark.parametrize(
    ("cuts", "obs_ids"),
    [
        ({"obs_ids": (12, 10)}, [10, 12]),
        ({"obs_ids": ((1, 11),)}, [10, 11]),
        ({"exclude_obs_ids": ((11, 99),)}, [10]),
        ({"obs_ids": (12, 10), "exclude_obs_ids": (10,)}, [12]),
        ({"max_zenith": 61.2}, [10, 11, 12]),
        ({"min_livetime": 1600.0}, [10, 11]),
        ({"max_quality": 0}, [10, 11]),
        ({"time_min": 53100.5, "time_max": 53100.5}, [11]),
        ({"telescopes": "4 3; 2,1"}, [10, 11, 12]),
    ],
)
def test_limits_include_their_value(table, cuts, obs_ids):
    assert selected(table, **cuts) == obs_ids


def test_all_reasons_are_given(table):
    reason = reasons(table, min_livetime=600.0, max_quality=0)[2]
    assert reason == (
        "livetime 500 s is below min_livetime 600 s; quality 1 is above max_quality 0"
    )


@pytest.mark.parametrize(
    ("changes", "cuts", "reason"),
    [
        ({"zenith": np.nan}, {}, ""),
        ({"zenith": np.nan}, {"max_zenith": 60.0}, "zenith is unknown"),
        ({"livetime": np.nan}, {}, ""),
        ({"livetime": np.nan}, {"min_livetime": 1.0}, "livetime is unknown"),
        ({"time_start": np.nan}, {"time_max": INF}, ""),
        ({"time_start": np.nan}, {"time_max": 6e4}, "time_start is unknown"),
        ({"telescopes": ""}, {}, ""),
        ({"telescopes": ""}, {"telescopes": "1"}, "telescopes are unknown, not 1"),
    ],
)
def test_unknown_values_fail_only_limits_that_are_set(make_run, changes, cuts, reason):
    found = reasons(RunTable(runs=(make_run(**changes),)), **cuts)[0]
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_run_without_events_file_is_selected(make_run):
    # It is refused by name when it is read
    assert selected(RunTable(runs=(make_run(3, file_size=-1),))) == [3]


@pytest.mark.parametrize(
    ("condition", "obs_ids"),
    [
        ("MUONEFF > 0.8", [11]),
        ("muoneff<=0.75", [10]),
        ("MUONEFF >= 0.75", [10, 11]),
        ("MUONEFF < 1", [10]),
        ("N_TELS == 4", [10]),
        ("N_TELS != 4", [11]),
        ("OBJECT == Crab", [10, 12]),
        ("OBJECT == 'MSH 15-52'", [11]),
        ("OBJECT != Crab", [11]),
        ("OBJECT < D", [10, 12]),
        ("HAS_LIDAR == True", [10, 12]),
    ],
)
def test_conditions_on_columns(table, condition, obs_ids):
    assert selected(table, conditions=(condition,)) == obs_ids


def test_unknown_values_fail_conditions(table):
    assert reasons(table, conditions=("MUONEFF > 0.1", "N_TELS > 0")) == [
        "",
        "",
        "MUONEFF is unknown, not > 0.1; N_TELS is unknown, not > 0",
    ]


def test_conditions_compare_words_of_byte_columns(make_run):
    runs = (make_run(1), make_run(2))
    observations = Table({"TELLIST": np.array([b"1,2,3", b"1,2,3,4"])})
    table = RunTable(runs=runs, observations=observations)
    assert selected(table, conditions=("TELLIST == 1,2,3,4",)) == [2]


def test_exported_runs_need_not_be_selected(table):
    found = select_runs(table, RunCuts(max_zenith=50.0), export_obs_ids=(11, 12))
    assert [run.obs_id for run in found.selected] == [10, 12]
    assert [run.obs_id for run in found.exported] == [11, 12]
    assert found.runs[1].reason


def test_all_selected_runs_are_exported_by_default(table):
    found = select_runs(table, RunCuts(max_zenith=50.0), export_obs_ids=())
    assert found.exported == found.selected


@pytest.mark.parametrize(
    ("cuts", "export", "where"),
    [
        ({"obs_ids": (10, 99)}, (), r"\[select\] obs_ids"),
        ({"exclude_obs_ids": (99,)}, (), r"\[select\] exclude_obs_ids"),
        ({}, (99,), r"\[export\] obs_ids"),
    ],
)
def test_runs_that_are_not_in_the_store(table, cuts, export, where):
    with pytest.raises(InputError, match=rf"{where}: .*store: 99. Take them out"):
        select_runs(table, RunCuts(**cuts), export_obs_ids=export)


def test_unknown_column_names_the_nearest(table):
    match = r"\[select\] conditions: .*no column MUON_EFF. Use MUONEFF"
    with pytest.raises(InputError, match=match):
        select_runs(table, RunCuts(conditions=("MUON_EFF > 0.8",)))


def test_conditions_need_the_observation_table(make_run):
    table = RunTable(runs=(make_run(),))
    with pytest.raises(InputError, match=r"conditions: .*Read the data store again"):
        select_runs(table, RunCuts(conditions=("MUONEFF > 0.8",)))


@pytest.mark.parametrize(
    "condition", ["MUONEFF", "MUONEFF = 1", "> 0.8", "MUONEFF >", "A B > 1", ""]
)
def test_condition_that_cannot_be_understood(table, condition):
    with pytest.raises(SettingsError, match=r"conditions: .*NAME OPERATOR VALUE"):
        select_runs(table, RunCuts(conditions=(condition,)))


def test_condition_of_a_number_on_a_word(table):
    with pytest.raises(SettingsError, match=r"conditions: .*Compare it with a number"):
        select_runs(table, RunCuts(conditions=("MUONEFF > high",)))


@pytest.mark.parametrize(
    ("obs_ids", "expected"),
    [
        (range(100_000), 100),
        (range(20_000, 48_000, 270), 1000),
        (range(1, 31), 1),
        (range(800), 100),
        (range(799), 100),
        (range(700), 10),
        ([7, 10**11], 1),
        ([], 1),
    ],
)
def test_chunks_are_large_but_many(obs_ids, expected):
    assert find_chunk_size(obs_ids) == expected
