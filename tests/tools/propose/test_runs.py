from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.core.run import Run
from bkgpipe.tools.propose.runs import (
    propose_groups,
    propose_livetime,
    propose_method,
    propose_safe_energy,
)

_EDGES = {
    "zenith_edges": (0.0, 20.0, 40.0, 90.0),
    "azimuth_edges": (-90.0, 90.0, 270.0),
}


@pytest.fixture
def make_runs(make_run):
    """Factory: runs that differ in one attribute."""

    def make(name: str, *values: float, **others: float) -> tuple[Run, ...]:
        numbered = enumerate(values)
        return tuple(make_run(obs_id=i, **{name: x}, **others) for i, x in numbered)

    return make


@pytest.mark.parametrize(
    ("livetimes", "value", "reason"),
    [
        ((1700, 1650, 1600), "", "none of 3 runs is shorter than 5 min"),
        ((290, 1650, 1600, 1500, 1400), "", "1 of 5 runs is shorter than 5 min"),
        (
            (280, 290, 294, 1600),
            "100 s",
            (
                "3 of 4 runs are shorter than 5 min, with 35% of the live time; "
                "half of the runs last 4.9 min or less"
            ),
        ),
        (
            (40, 50, np.nan),
            "20 s",
            (
                "2 of 2 runs are shorter than 5 min, with 100% of the live time; "
                "half of the runs last 45 s or less"
            ),
        ),
        ((np.nan, 0), "", "the live times are not known"),
    ],
)
def test_most_runs_pass_the_least_live_time(
    make_sample, make_runs, *, livetimes, value, reason
):
    sample = make_sample(runs=make_runs("livetime", *livetimes))

    found = propose_livetime(sample, min_livetime=300.0)

    assert (found.key, found.value) == ("select.min_livetime", value)
    assert found.reason == reason


@pytest.mark.parametrize(
    "livetimes",
    [
        np.full(40, 5.4),
        np.full(12, 0.3),
        np.geomspace(1.0, 250.0, 50),
        np.append(np.full(100, 20.0), np.full(30, 100.0)),
        np.append(np.full(30, 290.0), np.full(30, 310.0)),
    ],
)
def test_no_more_than_a_tenth_of_the_live_time_is_lost(
    make_sample, make_runs, livetimes
):
    sample = make_sample(runs=make_runs("livetime", *livetimes))

    found = propose_livetime(sample, min_livetime=300.0)

    limit = float(found.value.removesuffix(" s"))
    assert 0 < limit < 300
    assert livetimes[livetimes < limit].sum() <= 0.1 * livetimes.sum()


def test_safe_energies_of_the_table_are_taken(make_sample, make_runs):
    sample = make_sample(runs=make_runs("safe_energy_min", 0.2, 0.75))

    (found,) = propose_safe_energy(sample)

    assert found.is_kept
    assert found.key == "count.safe_energy"
    assert found.reason == "SAFE_ENERGY_LO of 2 of 2 runs, 0.2 to 0.75 TeV"


@pytest.mark.parametrize(
    ("safe", "rest"),
    [
        (
            {0: (0.2, "table"), 1: (0.3, "aeff")},
            "from the effective areas, 0.3 TeV in 1 of 2 runs looked at",
        ),
        (
            {0: (0.2, "table"), 1: (0.0, "none")},
            "nothing tells it, and all energies are taken",
        ),
    ],
)
def test_runs_without_a_safe_energy_are_told(make_sample, make_runs, safe, rest):
    runs = make_runs("safe_energy_min", 0.2, np.nan, 0.75)

    (found,) = propose_safe_energy(make_sample(runs=runs, safe=safe))

    assert found.reason == (
        f"SAFE_ENERGY_LO of 2 of 3 runs, 0.2 to 0.75 TeV; of the others: {rest}"
    )


def test_effective_areas_come_next(make_sample, make_runs):
    runs = make_runs("safe_energy_min", np.nan, np.nan)
    safe = {0: (0.071, "aeff"), 1: (0.0785, "aeff")}

    (found,) = propose_safe_energy(make_sample(runs=runs, safe=safe))

    assert found.is_kept
    assert found.reason == (
        "from the effective areas, 0.071 to 0.079 TeV in 2 of 2 runs looked at"
    )


def test_the_only_offset_of_effective_areas_is_told(make_sample, make_runs):
    runs = make_runs("safe_energy_min", np.nan)
    safe = {0: (0.071, "aeff at 0.4 deg")}

    (found,) = propose_safe_energy(make_sample(runs=runs, safe=safe))

    assert found.reason == (
        "from the effective areas at 0.4 deg, as they do not reach further, "
        "0.071 TeV in 1 of 2 runs looked at"
    )


def test_events_come_last(make_sample, make_runs):
    energy = np.concatenate([np.full(50, 0.1), np.full(90, 0.6), np.full(40, 2.0)])
    sample = make_sample(
        runs=make_runs("safe_energy_min", np.nan),
        energy=energy,
        offset=np.zeros(energy.size),
        safe={0: (0.0, "none")},
    )

    (found,) = propose_safe_energy(sample)

    assert (found.key, found.value) == ("count.safe_energy_min", "0.56 TeV")
    assert "no SAFE_ENERGY_LO and no effective area" in found.reason


def test_without_anything_all_energies_are_taken(make_sample, make_runs):
    sample = make_sample(
        runs=make_runs("safe_energy_min", np.nan),
        energy=np.empty(0),
        offset=np.empty(0),
        safe={0: (0.0, "none")},
    )

    (found,) = propose_safe_energy(sample)

    assert found.is_kept
    assert found.reason == "nothing tells it, and all energies are taken"


def test_the_method_stays_where_zenith_angles_are_known(make_sample, make_runs):
    sample = make_sample(runs=make_runs("zenith", 12.0, 48.0))

    (found,) = propose_method(sample, method="regression")

    assert found.is_kept
    assert "here 2, zenith angles 12 to 48 deg" in found.reason


def test_a_few_runs_without_zenith_angles_are_left_out(make_sample, make_runs):
    sample = make_sample(runs=make_runs("zenith", 12.0, 30.0, 31.0, 32.0, np.nan))

    limit, method = propose_method(sample, method="regression")

    assert (limit.key, limit.value) == ("select.max_zenith", "89 deg")
    assert limit.reason.endswith("any limit leaves out 1 without")
    assert (method.key, method.is_kept) == ("smooth.method", True)


def test_one_safe_energy_is_no_range(make_sample, make_runs):
    (found,) = propose_safe_energy(
        make_sample(runs=make_runs("safe_energy_min", 0.1, 0.1))
    )

    assert found.reason == "SAFE_ENERGY_LO of 2 of 2 runs, 0.1 TeV"


def test_a_store_without_runs_keeps_the_method(make_sample):
    (found,) = propose_method(make_sample(runs=()), method="regression")

    assert found.is_kept


def test_without_zenith_angles_runs_are_ranked(make_sample, make_runs):
    sample = make_sample(runs=make_runs("zenith", 12.0, np.nan, np.nan))

    found = propose_method(sample, method="regression")

    assert {each.key: each.value for each in found} == {
        "stack.strategy": "ranked",
        "smooth.method": "gaussian",
    }
    why = "regression and groups need zenith angles, 2 runs have none"
    assert {each.reason for each in found} == {why}


def _groups(sample, **changes):
    zenith, azimuth = propose_groups(sample, **(_EDGES | {"min_hours": 2.0} | changes))
    assert zenith.key == "stack.zenith_edges"
    assert azimuth.key == "stack.azimuth_edges"
    return zenith, azimuth


def test_poor_cells_are_told(make_sample, make_runs):
    runs = make_runs("zenith", 10.0, 30.0, 31.0, livetime=4000.0, azimuth=-20.0)

    zenith, azimuth = _groups(make_sample(runs=runs))

    assert zenith.is_kept
    assert azimuth.is_kept
    assert zenith.reason == (
        "2 of 6 cells in zenith and azimuth hold runs, 1 of them 2 h or more; "
        "the others are merged with their nearest"
    )


def test_no_more_is_told_when_all_cells_are_rich(make_sample, make_runs):
    runs = make_runs("zenith", 10.0, 30.0, livetime=8000.0, azimuth=350.0)

    zenith, _ = _groups(make_sample(runs=runs))

    assert zenith.reason.endswith("hold runs, 2 of them 2 h or more")


def test_azimuths_are_turned_into_the_range_of_the_edges(make_sample, make_runs):
    runs = make_runs("azimuth", -80.0, 280.0, 100.0, livetime=8000.0, zenith=10.0)

    zenith, _ = _groups(make_sample(runs=runs))

    assert zenith.reason.startswith("2 of 6 cells")


def test_a_large_archive_has_finer_groups(make_sample, make_runs):
    runs = make_runs("zenith", 10.0, 30.0, 60.0, livetime=41 * 3600.0, azimuth=10.0)

    zenith, azimuth = _groups(make_sample(runs=runs))

    assert zenith.value == "0, 10, 20, 30, 40, 65, 90 deg"
    assert azimuth.value == "-90, 0, 90, 180, 270 deg"
    assert zenith.reason.endswith("half of them 41 h: enough to split them")


def test_runs_of_unknown_pointing_are_in_no_cell(make_sample, make_runs):
    zenith, _ = _groups(make_sample(runs=make_runs("zenith", np.nan, np.nan)))

    assert zenith.is_kept
    assert zenith.reason.startswith("0 of 6 cells")
