from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from gammapy.data import DataStore

from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.like import copied_responses, copied_runs
from bkgpipe.simulate.archive.make import simulate_archive, write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.settings import read_simulate_settings
from bkgpipe.store.aeff import read_safe_energy
from bkgpipe.store.store import read_events, read_runs

_COPIED = (
    "obs_id",
    "target",
    "ra",
    "dec",
    "zenith",
    "azimuth",
    "ontime",
    "livetime",
    "deadc",
    "muon_efficiency",
    "telescopes",
    "safe_energy_min",
    "longitude",
    "latitude",
)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Stand-in for a real store: four runs of a minute."""
    simulation = Simulation(n_runs=4, first_obs_id=71, duration=60, seed=2)
    write_simulated_store(tmp_path / "real", simulation=simulation, truth=Truth())
    return tmp_path / "real"


def _change(store: Path, name: str, values: list[float]) -> None:
    path = store / "obs-index.fits.gz"
    table = Table.read(path)
    table[name] = np.array(values) * table[name].unit if table[name].unit else values
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table.write(path, overwrite=True)


def _settings(store: Path, *more: str):
    return read_simulate_settings(None, [f"simulation.like={store}", *more])


def test_runs_are_those_of_the_real_store(real, tmp_path):
    folder = tmp_path / "new"
    runs = simulate_archive(folder, settings=_settings(real))
    found = read_runs(folder).runs
    originals = read_runs(real).runs
    assert len(runs) == len(found) == 4
    for run, original in zip(found, originals, strict=True):
        for name in _COPIED:
            assert getattr(run, name) == getattr(original, name), name
        assert abs(run.time_start - original.time_start) < 1e-9
        events, _ = read_events(folder, run)
        assert events.n_events > 0
        assert events.ontime == pytest.approx(60.0, abs=1e-3)


def test_responses_are_those_of_the_real_store(real, tmp_path):
    folder = tmp_path / "deep" / "new"
    simulate_archive(folder, settings=_settings(real))
    table = Table.read(folder / "hdu-index.fits.gz")
    row = table[table["HDU_TYPE"] == "aeff"][0]
    place = folder / row["FILE_DIR"] / row["FILE_NAME"]
    assert place.resolve() == (real / "irfs.fits.gz").resolve()
    assert not (folder / "irfs.fits.gz").exists()


def test_some_runs_alone_may_be_copied(real, tmp_path):
    settings = _settings(real, "simulation.obs_ids=72 74")
    runs = simulate_archive(tmp_path / "new", settings=settings)
    assert [run.obs_id for run in runs] == [72, 74]


def test_all_problems_of_the_table_are_told_at_once(real):
    _change(real, "TSTART", [float("nan"), 2.0, 3.0, 4.0])
    _change(real, "DEADC", [0.9, 1.2, 0.9, 0.9])
    with pytest.raises(InputError) as caught:
        copied_runs(real, (71, 72, 99), simulation=Simulation())
    what = caught.value.what
    assert "run 99 is not there" in what
    assert "run 71: time_start not known" in what
    assert "run 72: a dead-time fraction of 1.2" in what
    assert "obs_ids" in caught.value.fix


def test_more_ontime_than_time_is_refused(real):
    _change(real, "ONTIME", [60.0, 60.0, 75.0, 60.0])
    with pytest.raises(InputError, match=r"run 73: 75 s of on-time in 60 s"):
        copied_runs(real, (), simulation=Simulation())


def test_gaps_are_taken_from_the_ontime(real, tmp_path):
    given = ("simulation.gaps=2", "simulation.gap=10 s")
    (run, *_) = simulate_archive(tmp_path / "new", settings=_settings(real, *given))
    assert run.ontime == pytest.approx(40.0)
    assert run.livetime == pytest.approx(36.0)
    events, _ = read_events(tmp_path / "new", read_runs(tmp_path / "new").runs[0])
    assert len(events.gti) == 3
    assert events.ontime == pytest.approx(40.0, abs=1e-3)


def test_gaps_longer_than_a_run_are_refused(real):
    simulation = replace(Simulation(), n_gaps=2, gap=40.0)
    with pytest.raises(InputError, match=r"run 71: no time left of 60 s"):
        copied_runs(real, (71,), simulation=simulation)


def test_time_that_a_real_run_lost_is_a_gap(real, tmp_path):
    _change(real, "ONTIME", [60.0, 45.0, 60.0, 60.0])
    simulate_archive(tmp_path / "new", settings=_settings(real))
    intervals = [
        len(read_events(tmp_path / "new", run)[0].gti)
        for run in read_runs(tmp_path / "new").runs
    ]
    assert intervals == [1, 2, 1, 1]


def test_responses_of_one_run_may_serve_all(real, tmp_path):
    settings = _settings(real, f"simulation.irfs={real}/73").simulation
    runs = copied_runs(real, (), simulation=Simulation())
    rows = copied_responses(settings, runs, store=tmp_path / "new")
    assert rows.keys() == {71, 72, 73, 74}
    assert len({id(row) for row in rows.values()}) == 1
    assert rows[71][0].file == "../real/irfs.fits.gz"


def test_built_in_responses_may_stand_in(real, tmp_path):
    settings = _settings(real, "simulation.irfs=built-in").simulation
    assert copied_responses(settings, (), store=tmp_path) == {}


def test_responses_of_a_run_that_is_not_there(real, tmp_path):
    settings = _settings(real, f"simulation.irfs={real}/99").simulation
    with pytest.raises(InputError, match=r"\[99\]"):
        copied_responses(settings, (), store=tmp_path)


def test_the_safe_energy_may_come_from_responses_elsewhere(real, tmp_path):
    simulate_archive(tmp_path / "new", settings=_settings(real))
    found = [
        read_safe_energy(store, read_runs(store).runs[0], fraction=0.1, offset=1.0)
        for store in (tmp_path / "new", real)
    ]
    assert found[0] == found[1]
    assert found[0][0] > 0


def test_runs_of_hess_are_copied_with_their_responses(hess_store, tmp_path):
    settings = _settings(hess_store, "simulation.obs_ids=23523 20136")
    runs = simulate_archive(tmp_path / "new", settings=settings)
    assert [run.target for run in runs] == ["MSH15-52", "Crab Nebula"]
    for obs_id in (20136, 23523):
        new, real = (
            DataStore.from_dir(folder).obs(
                obs_id, required_irf=["aeff", "edisp", "psf"]
            )
            for folder in (tmp_path / "new", hess_store)
        )
        np.testing.assert_array_equal(new.aeff.data, real.aeff.data)
        assert len(new.events.table) > 1000
        assert new.observation_live_time_duration.to_value("s") == pytest.approx(
            real.observation_live_time_duration.to_value("s"), rel=1e-5
        )
