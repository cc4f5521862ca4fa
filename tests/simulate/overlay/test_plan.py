from __future__ import annotations

import shutil

import numpy as np
import pytest

from bkgpipe.simulate.overlay.plan import OverlayPlan, make_plan

_FEW = "overlay.off_runs=101 103 105 106 108"


@pytest.fixture
def plan(make_overlay):
    def make(*words: str, workers: int = 1) -> OverlayPlan:
        return make_plan(make_overlay(_FEW, *words), workers=workers)

    return make


def test_each_target_gets_its_live_time(plan):
    found = plan("overlay.runs=901 902")

    assert [use.obs_id for use in found.uses] == [901, 902]
    for use, target in zip(found.uses, found.inputs.targets, strict=True):
        given = sum((end - start) * share for _, start, end, share in use.spans)
        assert use.livetime == target.livetime
        assert given == pytest.approx(target.livetime, rel=1e-3)
        assert use.output == found.output


def test_rates_go_into_the_live_time_that_is_taken(plan):
    found = plan("overlay.runs=901", "overlay.zenith_slope=-4")

    (use,) = found.uses
    factors = dict(zip(use.off_ids, use.factors, strict=True))
    given = sum((e - s) * share / factors[i] for i, s, e, share in use.spans)
    assert given == pytest.approx(use.livetime, rel=1e-3)
    assert len({round(factor, 6) for factor in use.factors}) > 1


def test_every_off_run_matches_or_has_a_reason_against_it(make_overlay):
    words = "overlay.max_cos_zenith_difference=0.01", "overlay.reuse=true"
    found = make_plan(make_overlay(*words, "overlay.runs=901"), workers=1)

    match = found.matches[901]
    matching, differ = set(match["matching"]), set(match["too different"]["cos zenith"])
    assert matching | differ == set(range(101, 111))
    assert matching
    assert not matching & differ
    zenith = {s.run.obs_id: s.run.zenith for s in found.inputs.sources}
    wanted = np.cos(np.radians(found.inputs.targets[0].run.zenith))
    for obs_id, angle in zenith.items():
        is_near = abs(np.cos(np.radians(angle)) - wanted) <= 0.01
        assert is_near == (obs_id in matching)


def test_the_order_is_that_asked_for(plan):
    nearest = plan("overlay.runs=901").uses[0].off_ids
    sequence = plan("overlay.runs=901", "overlay.order=sequence").uses[0].off_ids
    lots = [
        plan("overlay.runs=901", "overlay.order=random", f"overlay.seed={seed}")
        for seed in (1, 2, 3)
    ]

    assert sequence == (101, 103, 105, 106, 108)
    assert sorted(nearest) == list(sequence)
    assert len({found.uses[0].off_ids for found in lots}) > 1
    assert len({found.output for found in lots}) == 3
    assert len({found.frame for found in lots}) == 1


def test_the_digest_tells_what_changes_the_files_and_nothing_else(
    plan, overlay_stores, tmp_path
):
    shutil.copytree(overlay_stores / "targets", tmp_path / "elsewhere")
    words = "overlay.runs=901"
    found = plan(words)

    moved = plan(words, f"overlay.store={tmp_path / 'elsewhere'}", workers=2)
    other = plan(words, "overlay.keep_events=false")
    smaller = plan(words, "overlay.offset_max=2 deg")

    assert moved.output == found.output
    assert moved.frame == found.frame
    assert other.output != found.output
    assert other.frame == found.frame
    assert smaller.frame != found.frame
