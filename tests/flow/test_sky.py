from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker
from gammapy.maps import Map, MapAxis, WcsGeom

from bkgpipe.stages.export.files import ENTRIES
from bkgpipe.stages.sky.files import RUN_SKIES, read_fields, read_hot_spots

NO_NORM = ("--set", "sky.norm=none")


def _folder(word: str) -> Path:
    (folder,) = Path("out").glob(f"{word}-*")
    return folder


@pytest.fixture
def made(folder, bkgpipe):
    result = bkgpipe("run", "sky", "--set", "stack.strategy=own")
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.usefixtures("made")
def test_every_run_with_a_model_is_on_the_sky(bkgpipe):
    entries = [
        run
        for path in _folder("export").glob("export_*.h5")
        for run in ENTRIES.read(path).records
    ]
    runs = {
        key: run
        for path in _folder("sky").glob("sky_*.h5")
        for key, run in RUN_SKIES.read(path).records.items()
    }
    fields = read_fields(_folder("sky") / "fields.ecsv")

    assert sorted(runs) == sorted(entries)
    assert sum(field.n_runs for field in fields) == len(runs)
    counted = sum(run.event_pixels.size for run in runs.values())
    assert sum(field.counts for field in fields) == counted
    assert all(0.8 < run.norm < 1.2 for run in runs.values())
    again = bkgpipe("run", "sky", "--set", "stack.strategy=own")
    assert "Nothing to do" in again.stdout


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("name", ["fields.ecsv", "field_1.fits.gz", "sky_333.h5"])
def test_what_is_lost_is_made_again(bkgpipe, name):
    path = _folder("sky") / name
    before = path.read_bytes()
    path.unlink()

    assert bkgpipe("run", "sky", "--set", "stack.strategy=own").exit_code == 0

    assert path.stat().st_size == pytest.approx(len(before), rel=0.01)


@pytest.mark.parametrize("word", ["bkg_3d", "bkg_2d"])
@pytest.mark.usefixtures("folder")
def test_background_is_what_gammapy_makes_of_the_models(bkgpipe, word):
    given = ("--set", f"export.format={word}", "--set", "stack.strategy=own", *NO_NORM)
    assert bkgpipe("run", "sky", *given).exit_code == 0
    path = next(_folder("sky").glob("sky_*.h5"))
    run = next(iter(RUN_SKIES.read(path).records.values()))

    theirs = _predict(run)

    ours = run.background.sum(axis=1)
    is_seen = ours > 0
    assert is_seen.any()
    np.testing.assert_allclose(ours[is_seen], theirs[is_seen], rtol=0.01)


def _predict(run) -> np.ndarray:
    """Background of a run in its energy bands, by gammapy on an axis of its own."""
    observation = DataStore.from_dir(_folder("export") / "store").obs(
        run.obs_id, required_irf=[]
    )
    edges = np.unique(np.clip(run.band_edges, *run.energy_range))
    found = np.zeros(run.band_edges.size - 1)
    centre = observation.pointing.fixed_icrs
    for low, high in pairwise(edges):
        axis = MapAxis.from_energy_bounds(low * u.TeV, high * u.TeV, nbin=30)
        geom = WcsGeom.create(skydir=centre, width=5.2 * u.deg, binsz=0.05, axes=[axis])
        dataset = MapDatasetMaker(selection=["background"]).run(
            MapDataset.create(geom), observation
        )
        # our field is the pixels within the largest offset
        is_in = geom.to_image().separation(centre) < 2.5 * u.deg
        band = np.searchsorted(run.band_edges, low * 1.001) - 1
        found[band] = float((dataset.background.data * is_in).sum())
    return found


def test_the_crab_is_found_where_it_is(bkgpipe, hess_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bkgpipe("init", "--data", hess_store, "--output", "out").exit_code == 0
    runs = "23523, 23526, 23559, 23592, 20136, 20137, 20151, 20282, 20301, 20303"
    given = (
        *("--set", f"select.obs_ids={runs}", "--set", "mask.catalogs="),
        *("--set", "mask.circles=Crab: 83.633 22.014 0.5"),
    )
    assert bkgpipe("run", "sky", *given).exit_code == 0

    spots = read_hot_spots(_folder("sky") / "hot_spots.ecsv")
    crab = SkyCoord(83.633, 22.014, unit="deg")
    found = SkyCoord(spots[0].ra, spots[0].dec, unit="deg")
    assert [spot.field for spot in spots].count(spots[0].field) == 1
    assert spots[0].significance > 30
    assert found.separation(crab).deg < 0.02
    assert spots[0].source == "Crab"
    field = next(f for f in read_fields(_folder("sky") / "fields.ecsv") if f.peak > 30)
    excess = Map.read(_folder("sky") / field.file, hdu="EXCESS")
    assert (
        excess.sum_over_axes(keepdims=False).cutout(crab, 0.4 * u.deg).data.sum() > 300
    )
