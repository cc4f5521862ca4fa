"""The chain on the public runs of H.E.S.S.; needs the data, see the README."""

from __future__ import annotations

from pathlib import Path

import luigi
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from gammapy.data import DataStore
from gammapy.datasets import MapDataset
from gammapy.irf import Background2D
from gammapy.makers import MapDatasetMaker
from gammapy.makers.utils import make_map_background_irf
from gammapy.maps import MapAxis, WcsGeom

from bkgpipe.chain.inputs import forget
from bkgpipe.chain.summary import read_summary
from bkgpipe.flow import AllCounts, MakeStore
from bkgpipe.flow.gather import read_clocks
from bkgpipe.settings import settings_template
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.mask.pixels import is_kept

# Two OFF runs, the Crab nebula, and MSH 15-52 with half of its field excluded.
_RUNS = (20275, 20734, 23523, 20136)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, gammapy_data: Path) -> Path:
    folder = tmp_path_factory.mktemp("hess")
    given = {
        "data.store": str(gammapy_data / "hess-dl3-dr1"),
        "data.output": "out",
        "data.gammapy_data": str(gammapy_data),
        "data.chunk_size": "10000",
        "stack.strategy": "own",
        "smooth.method": "gaussian",
        "export.obs_ids": ", ".join(map(str, _RUNS)),
    }
    path = folder / "luigi.cfg"
    path.write_text(settings_template(given), encoding="utf-8")
    forget()
    return path


def _build(task: luigi.Task) -> bool:
    return bool(luigi.build([task], local_scheduler=True, log_level="CRITICAL"))


def test_every_event_of_the_archive_is_accounted_for(config, hess_store):
    task = AllCounts(config=str(config))

    assert _build(task)

    summary = read_summary(task.settings)
    n_events = sum(
        fits.getheader(path, "EVENTS")["NAXIS2"]
        for path in (hess_store / "data").glob("*.fits.gz")
    )
    assert summary.n_used == 105
    assert summary.conservation.n_read == n_events
    assert summary.conservation.n_lost == 0
    assert summary.conservation.n_kept > 300_000
    assert summary.conservation.n_below_safe > 300_000
    # 320 are outside the intervals, which are in whole seconds, by less than a second
    assert summary.conservation.n_outside_time == 0
    assert read_clocks(task.settings) == {}


@pytest.mark.parametrize("obs_id", _RUNS)
def test_own_models_give_back_the_counts_of_their_run(config, obs_id):
    task = MakeStore(config=str(config))
    assert _build(task)
    store = task.settings.folder("export") / "store"
    observation = DataStore.from_dir(str(store)).get_observations([obs_id])[0]
    run = next(run for run in task.table.runs if run.obs_id == obs_id)
    masks = {}
    for path in task.settings.folder("mask").glob("mask_*.h5"):
        masks |= MASKS.read(path).records
    edges = task.settings.binning.axes.energy_edges
    safe = edges[(edges >= run.safe_energy_min) & (edges < 80)]
    energy = MapAxis.from_energy_edges(safe, unit="TeV", name="energy")
    pointing = observation.get_pointing_icrs(observation.tmid)
    geometry = WcsGeom.create(
        skydir=pointing, width=5.1, binsz=0.05, axes=[energy], proj="TAN"
    )
    energy_true = MapAxis.from_energy_bounds("0.1 TeV", "99 TeV", 4, name="energy_true")

    maker = MapDatasetMaker(selection=["counts", "background"])
    dataset = maker.run(
        MapDataset.create(geometry, energy_axis_true=energy_true), observation
    )
    model_2d = Background2D.read(str(store / f"models/bkg_2d_{obs_id}.fits"))
    background_2d = make_map_background_irf(
        pointing,
        observation.observation_time_duration,
        model_2d,
        geometry,
        Time(observation.tstart),
    )

    sky = geometry.to_image().get_coord().skycoord
    kept = is_kept(masks[obs_id], sky.ra.deg.ravel(), sky.dec.deg.ravel())
    inside = kept.reshape(sky.shape) & (sky.separation(pointing).deg < 2.4)
    counted = dataset.counts.data[:, inside].sum()
    predicted = dataset.background.data[:, inside].sum()
    predicted_2d = background_2d.data[:, inside].sum()
    assert abs(predicted - counted) < 2.5 * np.sqrt(counted)
    assert predicted_2d == pytest.approx(predicted, rel=0.02)
