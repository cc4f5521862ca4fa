from __future__ import annotations

from dataclasses import replace

import pytest

from bkgpipe.core.run import Run, RunTable
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.report.data import Report


def _run(obs_id: int, *, livetime: float, selected: bool = True) -> Run:
    return Run(
        obs_id=obs_id,
        target="",
        ra=0.0,
        dec=0.0,
        zenith=20.0,
        azimuth=180.0,
        ontime=1800.0,
        livetime=livetime,
        deadc=0.9,
        time_start=53343.0,
        time_stop=53343.02,
        muon_efficiency=float("nan"),
        nsb=float("nan"),
        telescopes="",
        quality=-1,
        safe_energy_min=float("nan"),
        longitude=0.0,
        latitude=0.0,
        altitude=0.0,
        events_file="",
        events_hdu="EVENTS",
        file_size=0,
        file_time=0,
        selected=selected,
    )


@pytest.fixture
def report() -> Report:
    runs = (
        _run(1, livetime=1800.0),
        _run(2, livetime=3600.0),
        _run(3, livetime=900.0, selected=False),
    )
    return Report(
        title="",
        table=RunTable(runs=runs),
        conservation=Conservation(),
        refused={},
        timing={},
        groups=(),
        models=(),
        n_models=0,
    )


def test_runs_used_are_those_selected(report: Report):
    assert [run.obs_id for run in report.runs_used] == [1, 2]
    assert report.hours == pytest.approx(1.5)


def test_refused_runs_are_not_used(report: Report):
    refused = replace(report, refused={2: "truncated", 3: "not even selected"})
    assert [run.obs_id for run in refused.runs_used] == [1]
    assert refused.hours == pytest.approx(0.5)


def test_without_runs_there_are_no_hours(report: Report):
    empty = replace(report, table=RunTable(runs=()))
    assert empty.runs_used == ()
    assert empty.hours == 0.0
