from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.clock import Clock
from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.core.run import RunTable
from bkgpipe.stages.count.data import Conservation, RunCounts
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.rank.data import Candidates
from bkgpipe.stages.report.words import describe
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.stack.data import Group, Stack


def test_header_names_stage_and_fingerprint():
    header = ProductHeader(
        stage="count", fingerprint="3fa9c1", inputs="x", seconds=1.25, version="0.1.0"
    )
    assert describe(header) == (
        "Product of stage count, settings 3fa9c1, made by bkgpipe 0.1.0 in 1.2 s"
    )


def test_run_table_counts_hours_and_says_why_not(make_crab):
    table = RunTable(
        runs=(
            make_crab(obs_id=1, livetime=1800.0, zenith=20.0),
            make_crab(obs_id=2, livetime=3600.0, zenith=50.0),
            make_crab(obs_id=3, selected=False, exported=False, reason="quality 3 > 2"),
        )
    )
    text = describe(table)
    assert "3 runs: 2 selected (1.50 h live time), 2 get a model" in text
    assert "zenith: 20 to 50 deg" in text
    assert "run 3: quality 3 > 2" in text


def test_run_table_without_runs():
    assert describe(RunTable(runs=())) == (
        "0 runs: 0 selected (0.00 h live time), 0 get a model"
    )


def test_run_table_leaves_out_what_no_run_knows(make_crab):
    text = describe(RunTable(runs=(make_crab(muon_efficiency=float("nan")),)))
    assert "muon efficiency" not in text
    assert "deadc: 0.9376 to 0.9376" in text


def test_mask_gives_area_and_regions(exclusion_mask: ExclusionMask):
    text = describe(exclusion_mask)
    # the sky has 41253 square degrees and 12 nside^2 pixels
    n_pixels = exclusion_mask.excluded_pixels.size
    area = n_pixels * 41252.96125 / (12 * 256**2)
    assert f"{n_pixels} pixels, {area:.3f} deg2, by 2 regions" in text
    assert "Crab Nebula (gammacat): RA 83.629 deg, Dec 22.012 deg" in text
    assert text.endswith("extension 0.900 deg, cut by the upper limit")


def test_counts_hold_every_conservation_counter(run_counts: RunCounts):
    text = describe(run_counts)
    kept = run_counts.conservation.n_kept
    low = run_counts.conservation.n_below_safe
    for line in (
        f"Events read: {kept + low + 720}",
        "Events invalid: 1",
        "Events outside good time: 9",
        "Events outside the field: 10",
        "Events outside the energy axis: 100",
        "Events excluded: 600",
        f"Events kept below the safe energy: {low}",
        f"Events kept: {kept}",
    ):
        assert line in text.splitlines()
    assert "LOST" not in text


def test_counts_give_units_and_origins(run_counts: RunCounts):
    text = describe(run_counts)
    assert "run 23523 (Crab Nebula) at RA 83.633 deg" in text
    assert "Axis energy: 7 bins, 0.1 to 50 TeV" in text
    assert "Axis fov_lat: 4 bins, -2.5 to 2.5 deg" in text
    assert "Safe from 0.871 TeV on (from: table)" in text
    assert "321 beyond the field in 6.5 s sr, 543 at its rim in 3.125 s sr" in text
    assert "654 below the safe energy in 9.25 s sr" in text
    assert "Kept solid angle: 90.0% of the field" in text


def test_lost_events_are_shouted(run_counts: RunCounts):
    conservation = replace(run_counts.conservation, n_kept=0)
    text = describe(replace(run_counts, conservation=conservation))
    assert f"Events LOST: {run_counts.conservation.n_kept}" in text


def test_group_names_cell_and_what_joined(group: Group):
    text = describe(group)
    assert "Group 2: 3 runs, 1.33 h live time, 23456 events" in text
    assert "Cell: zenith 20 to 30 deg, azimuth -90 to 90 deg" in text
    assert "Joined by the cell zenith 0-20 azimuth -90-90" in text


def test_stack_lists_first_runs_and_sums(stack: Stack):
    text = describe(stack)
    assert "Stack 3: 12 runs" in text
    assert "23510 and 2 more" in text
    assert "live time: 5.00 h" in text
    assert f"Counts: {int(stack.counts_3d.sum())} on (energy, fov_lon" in text
    assert "dead-time fraction (DEADC) 0.9321" in text


def test_rate_counts_filled_bins(rate_model: RateModel):
    text = describe(rate_model)
    n_filled = int((rate_model.rate_2d > 0).sum())
    assert f"Rate 2D: {n_filled} of 21 bins hold a rate" in text
    assert f"{rate_model.rate_2d.max():.4g} s-1 TeV-1 sr-1" in text
    assert "Made from 12 runs, 5.00 h live time" in text


def test_rate_without_any_count(rate_model: RateModel):
    empty = replace(rate_model, rate_2d=np.zeros_like(rate_model.rate_2d))
    assert "Rate 2D: 0 of 21 bins hold a rate" in describe(empty).splitlines()


def test_rate_tells_its_errors(rate_model: RateModel):
    assert describe(rate_model).endswith("Systematic error of the norm: unknown")
    error_2d = np.linspace(0.01, 0.25, rate_model.rate_2d.size)
    model = replace(
        rate_model,
        error_2d=error_2d.reshape(rate_model.rate_2d.shape),
        systematic=0.0693,
    )
    lines = describe(model).splitlines()
    assert lines[-2:] == [
        "Statistical error 2D: 1.00% to 25.00%, median 13.00%",
        "Systematic error of the norm: 6.93%",
    ]
    assert not any("Statistical error 3D" in line for line in lines)


@pytest.mark.parametrize(("obs_id", "owner"), [(-1, "the group"), (23523, "run 23523")])
def test_node_model_says_whose_it_is(rate_model: RateModel, obs_id: int, owner: str):
    model = NodeModel(
        stack_id=3,
        obs_id=obs_id,
        binning=rate_model.binning,
        bkg_3d=np.full(rate_model.rate_3d.shape, 0.5),
        bkg_2d=np.full(rate_model.rate_2d.shape, 0.25),
        n_filled_3d=11,
        n_filled_2d=2,
        fov_alignment="RADEC",
        n_runs=12,
        livetime=18000.0,
        conditions=rate_model.conditions,
    )
    text = describe(model)
    assert f"stack 3 for {owner}, per on-time, FOVALIGN RADEC" in text
    assert "bkg_3d: 140 of 140 bins hold a rate, 0.5 to 0.5 s-1 TeV-1 sr-1" in text
    assert "11 of bkg_3d, 2 of bkg_2d" in text
    error_3d = np.full(model.bkg_3d.shape, 0.5)
    assert "error 3D: 50.00% to 50.00%" in describe(replace(model, error_3d=error_3d))


def test_chunk_adds_up_its_runs(run_counts: RunCounts):
    chunk = Chunk(
        records={23523: run_counts, 23526: run_counts},
        refused={23527: "truncated file", 23525: "no events"},
    )
    lines = describe(chunk).splitlines()
    assert lines[0] == "2 products, 2 refused"
    assert f"Events kept: {2 * run_counts.conservation.n_kept}" in lines
    assert lines[-3:] == ["Refused:", "  23525: no events", "  23527: truncated file"]
    assert sum("Counts of run 23523" in line for line in lines) == 2


def test_chunk_of_one_shows_it_in_full(stack: Stack):
    text = describe(Chunk(records={3: stack}))
    assert text.startswith("1 product, 0 refused")
    assert text.endswith(describe(stack))


def test_chunk_of_nothing():
    assert describe(Chunk()) == "0 products, 0 refused"


def test_unknown_object_is_refused():
    with pytest.raises(TypeError, match="no words for a Conservation"):
        describe(Conservation())


def test_candidates_in_words():
    names = [name for name in Candidates.__dataclass_fields__ if name[-3:] != "_2d"]
    bins = {name: np.zeros((4, 3, 2)) for name in ("counts_2d", "exposure_2d")}
    values = {name: np.full(4, 1800.0) for name in names}
    values["is_unfit"] = np.array([True, False, True, False])

    words = describe(Candidates(**bins, **values))

    assert words.startswith("4 candidates, 2.00 h live time, 2 unfit")
    assert words.endswith("in 3 x 2 bins of energy and offset")


def test_counts_tell_of_times_that_differ(run_counts: RunCounts):
    assert "its times differ" not in describe(run_counts)
    clock = Clock(ontime=1700.0, good_time=1500.0)
    text = describe(replace(run_counts, clock=clock))
    assert "Warning: its times differ by up to 13.3%: on-time is 1500.0 s" in text
