from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from gammapy.data import DataStore, EventList
from gammapy.datasets import Datasets, SpectrumDataset
from gammapy.makers import SpectrumDatasetMaker
from gammapy.maps import MapAxis, RegionGeom
from gammapy.modeling import Fit
from gammapy.modeling.models import (
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)
from regions import CircleSkyRegion

from bkgpipe.core.binning import Binning
from bkgpipe.errors import InputError, OutputError
from bkgpipe.simulate.archive.data import PointSource, Simulation
from bkgpipe.simulate.archive.files import read_truth
from bkgpipe.simulate.archive.make import simulate_archive, write_simulated_store
from bkgpipe.simulate.archive.truth import expected_counts_2d
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.settings import read_simulate_settings
from bkgpipe.stages.mask.catalogs import read_catalog
from bkgpipe.store.store import read_events, read_runs

_IRFS = ["aeff", "edisp", "psf"]

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
    assert len(_contents(tmp_path / "a")) == 3 + 2 + 2 + 2


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

    with pytest.raises(OutputError, match=r"simulation\.json.*cannot be written"):
        write_simulated_store(
            tmp_path / "file" / "store", simulation=_SIMULATION, truth=Truth()
        )


# All laws at once; runs of two fields, each with two gaps
_GIVEN = (
    "simulation.runs=14",
    "simulation.duration=4 min",
    "simulation.gaps=2",
    "simulation.gap=15 s",
    "simulation.fields=Crab: 83.63 22.01, Other: 329.7 -30.2",
    "simulation.deadc=uniform 0.8, 0.95",
    "simulation.muon_efficiency=normal 0.8, 0.05",
    "simulation.time_start=2004-10-01",
    "simulation.time_stop=2006-10-01",
    "truth.epoch_steps=2005-06-01: 0.8",
    "truth.epoch_slope=-0.05 yr-1",
    "truth.azimuth_amplitude=0.1",
    "truth.zenith_slope=1.0",
    "truth.muon_power=1",
    "truth.run_scatter=0.1",
    "truth.norm=900 s-1 TeV-1 sr-1",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archive with all laws, gaps and a source, by two workers."""
    folder = tmp_path_factory.mktemp("full")
    models = Models([_crab()])
    models.write(folder / "models.yaml")
    given = [*_GIVEN, f"source:sky.model={folder / 'models.yaml'}"]
    settings = read_simulate_settings(None, given)
    simulate_archive(folder / "store", settings=settings, workers=2)
    return folder / "store"


def _crab() -> SkyModel:
    return SkyModel(
        spectral_model=PowerLawSpectralModel(
            index=2.4, amplitude=2e-10 * u.Unit("cm-2 s-1 TeV-1")
        ),
        spatial_model=PointSpatialModel(
            lon_0=83.63 * u.deg, lat_0=22.01 * u.deg, frame="icrs"
        ),
        name="crab",
    )


def test_counts_are_those_that_the_truth_expects(archive):
    known = read_truth(archive / "truth.ecsv")
    binning = Binning(
        energy_edges=np.geomspace(0.05, 100.0, 34),
        fov_lon_edges=np.array([-4.0, 0.0, 4.0]),
        fov_lat_edges=np.array([-4.0, 4.0]),
        offset_edges=np.array([0.0, 4.0]),
    )
    per_second = expected_counts_2d(known.truth, binning, livetime=1.0).sum()
    pulls = []
    store = DataStore.from_dir(archive)
    for run, factor in zip(read_runs(archive).runs, known.factor, strict=True):
        events = store.obs(run.obs_id, required_irf=_IRFS).events.table
        expected = per_second * run.livetime * factor
        found = (events["BKG_TYPE"] == 1).sum()
        pulls.append((found - expected) / np.sqrt(expected))
    assert abs(np.mean(pulls)) < 4 / np.sqrt(len(pulls))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.75)
    assert np.ptp(known.factor) > 0.1


def test_no_event_is_outside_its_intervals(archive):
    for run in read_runs(archive).runs:
        events, _ = read_events(archive, run)
        assert events.gti.shape == (3, 2)
        assert run.livetime == pytest.approx(run.deadc * events.ontime, rel=1e-6)
        start, stop = events.gti.T
        which = np.searchsorted(start, events.time + 1e-10, side="right") - 1
        assert (which >= 0).all()
        assert (events.time <= stop[which] + 1e-10).all()
        assert np.unique(which).size == 3


def test_gammapy_agrees_on_the_live_time(archive):
    for observation in DataStore.from_dir(archive).get_observations(required_irf=_IRFS):
        events = observation.events.table.meta
        found = observation.observation_live_time_duration.to_value("s")
        assert found == pytest.approx(events["LIVETIME"], rel=1e-6)
        assert len(observation.gti.table) == 3


def test_gammapy_finds_the_flux_of_the_source(archive):
    """Fit the events of the source alone, above a threshold, in a wide circle."""
    position = _crab().position
    region = CircleSkyRegion(position, 0.4 * u.deg)
    energy = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", nbin=8)
    true = MapAxis.from_energy_bounds("0.1 TeV", "90 TeV", nbin=40, name="energy_true")
    empty = SpectrumDataset.create(
        RegionGeom.create(region, axes=[energy]), energy_axis_true=true
    )
    maker = SpectrumDatasetMaker(
        selection=["counts", "exposure", "edisp"], containment_correction=True
    )
    datasets = Datasets()
    for observation in DataStore.from_dir(archive).get_observations(required_irf=_IRFS):
        if observation.events.table.meta["OBJECT"] != "Crab":
            continue
        made = maker.run(empty.copy(name=str(observation.obs_id)), observation)
        events = observation.events.table
        made.counts.data[...] = 0
        made.counts.fill_events(EventList(events[events["BKG_TYPE"] == 0]))
        datasets.append(made)
    stacked = datasets.stack_reduce(name="all")
    model = SkyModel(spectral_model=_crab().spectral_model.copy())
    stacked.models = [model]
    Fit().run([stacked])
    index, amplitude = model.spectral_model.index, model.spectral_model.amplitude
    assert stacked.counts.data.sum() > 500
    assert amplitude.value / 2e-10 == pytest.approx(
        1.0, abs=4 * amplitude.error / 2e-10
    )
    assert amplitude.error / amplitude.value < 0.08
    assert index.value == pytest.approx(2.4, abs=4 * index.error)


def test_sources_of_models_are_listed_once(archive):
    (region,) = read_catalog(str(archive / "sources.ecsv"), gammapy_data=None)
    assert region.name == "crab"


def test_a_killed_simulation_goes_on(tmp_path):
    settings = _small()
    runs = simulate_archive(tmp_path / "a", settings=settings)
    before = _contents(tmp_path / "a")
    lost, kept = (tmp_path / "a" / run.events_file for run in runs[:2])
    lost.unlink()
    (tmp_path / "a" / "obs-index.fits.gz").unlink()
    stamp = kept.stat().st_mtime_ns

    simulate_archive(tmp_path / "a", settings=settings, workers=2)

    assert _contents(tmp_path / "a") == before
    assert kept.stat().st_mtime_ns == stamp


def _small(*more: str):
    given = ["simulation.runs=5", "simulation.duration=20 s", *more]
    return read_simulate_settings(None, given)


def test_workers_do_not_change_the_files(tmp_path):
    settings = _small("truth.run_scatter=0.1", "source:dot.rate=1 s-1")
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        simulate_archive(folder, settings=settings, workers=workers)
    assert _contents(tmp_path / "1") == _contents(tmp_path / "3")


def test_other_settings_are_refused_and_nothing_is_changed(tmp_path):
    simulate_archive(tmp_path / "a", settings=_small())
    before = _contents(tmp_path / "a")
    with pytest.raises(OutputError, match=r"made from other settings.*another folder"):
        simulate_archive(tmp_path / "a", settings=_small("truth.norm=1 s-1 TeV-1 sr-1"))
    assert _contents(tmp_path / "a") == before


def test_a_bad_model_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "bad.yaml").write_text("components: []")
    settings = _small(f"source:sky.model={tmp_path / 'bad.yaml'}")
    with pytest.raises(InputError, match=r"bad\.yaml: 0 of 0 models"):
        simulate_archive(tmp_path / "a", settings=settings)
    assert not (tmp_path / "a").exists()
