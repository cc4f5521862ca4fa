from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bkgpipe.datamodel import PointSource, Simulation, Truth
from bkgpipe.errors import OutputError
from bkgpipe.io.catalogs import read_catalog
from bkgpipe.io.simulate import read_truth
from bkgpipe.io.store import read_events, read_runs
from bkgpipe.simulation.store import write_simulated_store

_SIMULATION = Simulation(
    n_runs=3,
    first_obs_id=51,
    duration=60,
    seed=9,
    sources=(PointSource(fov_lon=0.5, fov_lat=0.2, rate=0.2),),
)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_equal_seeds_give_equal_files(tmp_path):
    truth = Truth(run_scatter=0.1)
    write_simulated_store(tmp_path / "a", simulation=_SIMULATION, truth=truth)
    write_simulated_store(tmp_path / "b", simulation=_SIMULATION, truth=truth)
    other = replace(_SIMULATION, seed=10)
    write_simulated_store(tmp_path / "c", simulation=other, truth=truth)

    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    assert _contents(tmp_path / "a") != _contents(tmp_path / "c")
    assert len(_contents(tmp_path / "a")) == 3 + 2 + 2


def test_the_store_reads_back_as_it_was_simulated(tmp_path):
    truth = Truth(run_scatter=0.1)

    runs = write_simulated_store(tmp_path, simulation=_SIMULATION, truth=truth)

    found = read_runs(tmp_path).runs
    assert [run.obs_id for run in found] == [51, 52, 53]
    for run, back in zip(runs, found, strict=True):
        assert back.livetime == pytest.approx(run.livetime)
        assert (back.ra, back.dec) == pytest.approx((run.ra, run.dec))
        events, _ = read_events(tmp_path, back)
        assert events.n_events > 0
        assert events.ontime == pytest.approx(60)
    known = read_truth(tmp_path / "truth.ecsv")
    assert known.truth == truth
    assert np.unique(known.factor).size == 3


def test_sources_are_a_catalogue(tmp_path):
    write_simulated_store(tmp_path, simulation=_SIMULATION, truth=Truth())

    regions = read_catalog(str(tmp_path / "sources.ecsv"), gammapy_data=None)

    assert len(regions) == 3


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match=r"run_51.*cannot be written"):
        write_simulated_store(
            tmp_path / "file" / "store", simulation=_SIMULATION, truth=Truth()
        )
