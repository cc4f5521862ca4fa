from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.chain.cost import (
    COEFFICIENTS,
    Cost,
    count_cells,
    find_costs,
    find_sizes,
    job_cost,
)
from bkgpipe.core.run import RunTable
from bkgpipe.settings import Settings, read_settings
from bkgpipe.store.store import read_runs

_GAUSSIAN = "smooth.method=gaussian"
_RANKED = "stack.strategy=ranked"


@pytest.fixture
def table(_archive: Path) -> RunTable:
    """Eight runs; each has a zenith angle of ten times its last digit."""
    table = read_runs(_archive)
    runs = (replace(run, zenith=10.0 * (run.obs_id % 10)) for run in table.runs)
    return replace(table, runs=tuple(runs))


@pytest.fixture
def settings_with(_archive: Path, tmp_path: Path):
    def read(*overrides: str) -> Settings:
        path = tmp_path / "luigi.cfg"
        path.write_text(f"[data]\nstore = {_archive}\n[mask]\ncatalogs =\n")
        return read_settings(path, overrides)

    return read


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [
        ((), {"fit"}),
        ((_GAUSSIAN,), {"stack"}),
        ((_GAUSSIAN, "stack.strategy=own"), {"stack"}),
        ((_GAUSSIAN, _RANKED), {"rank", "stack"}),
    ],
)
def test_stages_are_those_of_the_method(settings_with, table, overrides, stages):
    costs = find_costs(settings_with(*overrides), table)

    always = {"start", "mask", "count", "smooth", "export", "report"}
    assert costs.keys() == always | stages
    assert all(cost.seconds > 0 for cost in costs.values())
    assert all(1e8 < cost.memory < 1e9 for cost in costs.values())


def test_stages_end_with_the_last_one_that_is_asked_for(settings_with, table):
    costs = find_costs(settings_with(), table, stage="count")

    assert list(costs) == ["start", "mask", "count"]


def test_all_sizes_of_the_coefficients_are_known(settings_with, table):
    named = {
        name
        for whats in COEFFICIENTS.values()
        for factors in whats.values()
        for name in factors
    }

    assert named <= find_sizes(settings_with(), table).keys()


def test_sizes_of_a_small_archive(settings_with, table):
    settings = settings_with(
        "binning.fov_bins=7",
        "binning.offset_bins=5",
        "binning.energy_edges=1, 2, 4, 8 TeV",
        "data.chunk_size=3",
        "fit.max_points=6",
    )
    runs = tuple(replace(run, exported=run.obs_id > 1006) for run in table.runs)

    sizes = find_sizes(settings, replace(table, runs=runs))

    assert (sizes["run"], sizes["model"], sizes["stored"]) == (8, 2, 8)
    assert sizes["model_bin"] == 2 * 3 * (7 * 7 + 5)
    assert sizes["chunk_run_bin"] == 3 * 3 * (7 * 7 + 5)
    assert sizes["point_bin"] == 6 * 3 * (7 * 7 + 5)
    assert sizes["event"] > sizes["largest"] > sizes["event"] / 8


def test_groups_share_their_sums(settings_with, table):
    edges = ("stack.zenith_edges=0, 25, 90 deg", "stack.azimuth_edges=0, 360 deg")
    settings = settings_with(_GAUSSIAN, *edges)

    sizes = find_sizes(settings, table)

    assert count_cells(settings, table) == 2
    assert sizes["sum_bin"] == 2 * sizes["run_bin"] / 8
    assert sizes["summed_bin"] == sizes["run_bin"]


def test_ranked_runs_are_read_as_often_as_they_are_taken(settings_with, table):
    hours = sum(run.livetime for run in table.runs) / 3600
    few = settings_with(_GAUSSIAN, _RANKED, f"rank.hours={hours / 4} h")
    all_runs = settings_with(_GAUSSIAN, _RANKED, f"rank.hours={9 * hours} h")

    sizes = find_sizes(few, table)

    assert sizes["summed_bin"] == 2 * sizes["run_bin"]
    assert find_sizes(all_runs, table)["summed_bin"] == 8 * sizes["run_bin"]


def test_only_copied_events_take_disk(settings_with, table):
    copied = find_sizes(settings_with("export.store=full"), table)
    indexed = find_sizes(settings_with("export.store=index"), table)

    assert copied["copied_byte"] > copied["copied_largest"] > 0
    assert indexed["copied_byte"] == indexed["copied_largest"] == 0


def test_no_runs_cost_no_more_than_the_start(settings_with):
    costs = find_costs(settings_with(), RunTable(runs=()))

    assert costs["mask"].seconds == costs["count"].seconds == 0


def test_finer_bins_take_more_of_all(settings_with, table):
    coarse = find_costs(settings_with(), table)
    fine = find_costs(
        settings_with("binning.fov_bins=200", "binning.per_decade=40"), table
    )

    for stage in ("fit", "smooth", "export"):
        assert fine[stage].seconds > 10 * coarse[stage].seconds
        assert fine[stage].memory > 1.5 * coarse[stage].memory


def test_a_job_takes_its_share_of_all_that_it_makes():
    costs = {
        "start": Cost(seconds=2.0, memory=1e8, disk=0, n_tasks=1),
        "mask": Cost(seconds=40.0, memory=2e8, disk=4, n_tasks=4),
        "count": Cost(seconds=80.0, memory=3e8, disk=8, n_tasks=4),
    }

    one = job_cost(costs, "count")
    many = job_cost(costs, "count", n_chunks=9)

    assert (one.seconds, one.memory, one.disk) == (32.0, 3e8, 3)
    assert (many.seconds, many.disk) == (122.0, 12)


def test_a_part_of_a_stage_has_fewer_tasks():
    cost = Cost(seconds=80.0, memory=3e8, disk=8, n_tasks=4)

    half = cost.part(0.5)

    assert (half.seconds, half.memory, half.disk, half.n_tasks) == (40.0, 3e8, 4, 2)
