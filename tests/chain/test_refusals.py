from __future__ import annotations

import math

import pytest

from bkgpipe.chain.refusals import (
    CHECKS,
    find_doubts,
    find_refusals,
    require,
    require_selected,
)
from bkgpipe.core.run import RunTable
from bkgpipe.errors import InputError, NoRunsError
from bkgpipe.stages.table import STAGES

_NAN = math.nan


@pytest.fixture
def settings(production):
    return production(export__alignment="ALTAZ").settings


def test_the_list_is_in_the_order_of_the_chain():
    stages = [STAGES.index(check.stage) for check in CHECKS]
    assert stages == sorted(stages)
    assert len({check.kind for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("stage", "changes", "told"),
    [
        ("mask", {"ra": _NAN}, "run 7: the pointing is not known.*Add RA_PNT"),
        ("count", {"deadc": _NAN}, "run 7: dead-time fraction is nan.*Add DEADC"),
        ("count", {"latitude": _NAN}, "run 7: the place of.*Add GEOLON"),
        ("export", {"azimuth": _NAN}, "run 7: zenith is.*Give ZEN_PNT"),
    ],
)
def test_a_stage_refuses_what_it_needs(settings, make_run, *, stage, changes, told):
    run = make_run(7, **changes)
    for other in {"mask", "count", "smooth", "export"} - {stage}:
        require(settings, run, stage=other)
    with pytest.raises(InputError, match=told):
        require(settings, run, stage=stage)


def test_a_safe_energy_must_be_where_the_settings_say(production, make_run):
    run = make_run(7, safe_energy_min=_NAN)
    for word in ("auto", "none"):
        require(production(count__safe_energy=word).settings, run, stage="count")
    for word in ("table", "aeff"):
        settings = production(count__safe_energy=word).settings
        with pytest.raises(InputError, match=f"run 7: .* safe_energy = {word}.*Set"):
            require(settings, run, stage="count")
        settings = production(
            count__safe_energy=word, count__safe_energy_min="1 TeV"
        ).settings
        require(settings, run, stage="count")


def test_the_first_thing_that_a_run_lacks_is_told(settings, make_run):
    runs = (
        make_run(7, ra=_NAN, deadc=_NAN),
        make_run(8),
        make_run(9, ra=_NAN, selected=False, exported=False),
    )

    refusals = find_refusals(settings, RunTable(runs=runs))

    # there is no file of either
    assert [each.obs_id for each in refusals] == [7, 8]
    assert [each.check.kind for each in refusals] == ["pointing", "events"]
    assert all(each.is_of_events for each in refusals)
    assert str(refusals[0].error).startswith("run 7: the pointing is not known")


def test_a_run_without_a_model_may_lack_what_models_need(settings, make_run):
    lost = make_run(7, zenith=_NAN, exported=False)

    (doubt,) = find_doubts(settings, RunTable(runs=(lost, make_run(8, zenith=_NAN))))

    assert (doubt.obs_id, doubt.check.stage) == (7, "export")
    assert not doubt.is_of_events


def test_a_run_must_be_selected(make_run):
    require_selected(RunTable(runs=(make_run(7), make_run(8, selected=False))))
    none = RunTable(runs=(make_run(8, selected=False),))
    with pytest.raises(NoRunsError, match=r"\[select\]: none of 1 runs.*Widen"):
        require_selected(none)
