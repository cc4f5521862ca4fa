from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.data import Distribution, Simulation
from bkgpipe.simulate.archive.draw import make_runs
from bkgpipe.simulate.archive.view import describe_archive, summarize_archive


@pytest.fixture(scope="module")
def runs() -> tuple[Run, ...]:
    deadc = Distribution(law="uniform", values=(0.8, 0.9))
    simulation = Simulation(n_runs=7, duration=1800.0, deadc=deadc)
    return make_runs(np.random.default_rng(1), simulation)


def test_the_summary_has_least_and_largest_values(runs: tuple[Run, ...]) -> None:
    summary = summarize_archive(runs)
    assert summary["runs"] == summary["targets"] == 7
    assert summary["ontime_hours"] == pytest.approx(3.5)
    assert summary["muon_efficiency"] == [1.0, 1.0]
    assert summary["zenith"] == [
        min(run.zenith for run in runs),
        max(run.zenith for run in runs),
    ]
    assert summary["dates"][0] == "2009-06-18"  # type: ignore[index]


def test_the_words_name_each_condition(runs: tuple[Run, ...]) -> None:
    lines = describe_archive(runs).splitlines()
    assert lines[0].startswith("7 runs of 7 targets, 3.5 h on-time, ")
    assert lines[0].endswith("2009-06-18 to 2009-06-18")
    assert any("live time over on-time: 0.8" in line for line in lines)
    assert "  muon efficiency: 1" in lines


def test_what_is_not_known_is_said(runs: tuple[Run, ...]) -> None:
    unknown = tuple(replace(run, muon_efficiency=float("nan")) for run in runs)
    assert "  muon efficiency: not known" in describe_archive(unknown)
    assert summarize_archive(unknown)["muon_efficiency"] is None
