from __future__ import annotations

import logging

import numpy as np
import pytest

from bkgpipe.chain.summary import find_chunks
from bkgpipe.flow import gather
from bkgpipe.flow.count import AllCounts
from bkgpipe.flow.gather import (
    axes_files,
    find_models,
    read_axes_test,
    read_clocks,
    read_dependence,
    read_excluded,
    read_kept_shares,
    read_validated,
    validation_files,
)
from bkgpipe.flow.smooth import AllSmooths
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import read_groups
from bkgpipe.stages.validate.axes_data import AxesSummary
from bkgpipe.stages.validate.axes_files import write_axes
from bkgpipe.stages.validate.data import ScoreSummary, ValidationSummary
from bkgpipe.stages.validate.files import write_validation

_SUMMARY = ValidationSummary(
    models=(
        ScoreSummary(
            name="this production",
            n_runs=3,
            n_events=1500,
            deviance=(1.1, 1.05, 1.0),
            noise=(0.99, 0.98, 0.97),
            ratio=1.01,
            ratio_spread=0.1,
            pull=float("nan"),
            pull_spread=float("nan"),
            n_unpredicted=0,
        ),
    ),
    n_folds=5,
    kept_together="night",
    energy_min=0.5,
    energy_max=30.0,
    n_left_out=2,
)


def _records(settings, stage, read):
    found = {}
    for path in find_chunks(settings, stage):
        found |= read(path).records
    return found


def test_nothing_made_gives_nothing(production):
    settings = production().settings
    assert find_models(settings) == {}
    assert read_dependence(settings).runs == ()
    assert read_excluded(settings) == ((), 0)
    assert read_kept_shares(settings) == ()
    assert read_validated(settings) is None


@pytest.mark.parametrize("strategy", ["groups", "own"])
def test_runs_stand_beside_their_models(production, build, strategy):
    task = production(stack__strategy=strategy)
    assert build(task.sibling(AllSmooths))
    settings = task.settings

    found = read_dependence(settings)

    models = _records(settings, "smooth", MODELS.read)
    assert list(find_models(settings)) == sorted(models)
    counts = _records(settings, "count", COUNTS.read)
    assert [run.obs_id for run in found.runs] == sorted(counts)
    groups = (
        read_groups(settings.folder("stack") / "groups.ecsv")
        if (strategy == "groups")
        else ()
    )
    members = {int(i): group.group_id for group in groups for i in group.obs_ids}
    for rate in found.runs:
        run = counts[rate.obs_id]
        assert rate.stack_id == members.get(rate.obs_id, rate.obs_id)
        above = run.binning.energy_edges[:-1] >= found.energy_min
        assert rate.counts == run.safe_counts_2d[above].sum()
        expected = models[rate.stack_id].rate_2d * run.safe_exposure_2d
        expected = expected * run.binning.energy_width[:, np.newaxis]
        assert rate.predicted == pytest.approx(expected[above].sum())
    assert found.curves == ()


def test_a_regression_has_curves_of_its_terms(production, build):
    task = production(
        smooth__method="regression",
        fit__terms="zenith, gradient",
        binning__per_decade="5",
    )
    assert build(task.sibling(AllSmooths))
    (curve,) = read_dependence(task.settings).curves
    assert curve.name == "zenith"
    assert (curve.rate > 0).all()
    zeniths = [run.zenith for run in task.table.runs]
    assert curve.values.max() == pytest.approx(max(zeniths))


def test_each_region_is_gathered_once(production, build, monkeypatch):
    task = production()
    assert build(task.sibling(AllSmooths))
    settings = task.settings

    regions, n_masks = read_excluded(settings)

    masks = _records(settings, "mask", MASKS.read)
    names = {name for mask in masks.values() for name in mask.region_names}
    assert names
    assert {region.name for region in regions} == names
    assert len({(region.ra, region.dec) for region in regions}) == len(regions)
    assert 0 < n_masks <= len(masks)
    monkeypatch.setattr(gather, "_MAX_MASKS", 1)
    assert read_excluded(settings)[1] == 1


def test_validation_is_that_of_the_same_settings(production):
    settings = production().settings
    numbers, picture = validation_files(settings)
    numbers.parent.mkdir(parents=True)
    write_validation(numbers, _SUMMARY)
    assert read_validated(settings) is None  # without its picture
    picture.write_bytes(b"")
    found = read_validated(settings)
    assert found is not None
    assert repr(found) == repr(_SUMMARY)
    other = production(smooth__sigma="3").settings
    assert read_validated(other) is None


@pytest.mark.parametrize("text", ["", "[]", '{"models": [{}]}', "{}"])
def test_damaged_validation_is_left_out(production, caplog, text: str):
    settings = production().settings
    numbers, picture = validation_files(settings)
    numbers.parent.mkdir(parents=True)
    numbers.write_text(text)
    picture.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert read_validated(settings) is None
    assert "Run bkgpipe validate again" in caplog.text


def test_clocks_that_differ_are_gathered(production, build, tmp_path, halve_good_time):
    (path,) = (tmp_path / "store" / "data").glob("*1003*")
    halve_good_time(path)
    task = production()
    assert read_clocks(task.settings) == {}
    assert build(task.sibling(AllCounts))

    found = read_clocks(task.settings)

    assert list(found) == [1003]
    assert found[1003].good_time == pytest.approx(150.0)
    assert found[1003].ontime == pytest.approx(300.0)


def test_axes_are_those_of_the_same_settings(production, caplog):
    settings = production().settings
    assert read_axes_test(settings) is None
    numbers, picture = axes_files(settings)
    numbers.parent.mkdir(parents=True)
    picture.write_bytes(b"")
    summary = AxesSummary(rows=(), offset_max=2.0, inside_offset=1.25)
    write_axes(numbers, summary)
    assert read_axes_test(settings) == summary
    numbers.write_text("[]")
    with caplog.at_level(logging.WARNING):
        assert read_axes_test(settings) is None
    assert "Run bkgpipe validate --axes again" in caplog.text
