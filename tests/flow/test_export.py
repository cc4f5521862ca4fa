from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from gammapy.data import DataStore
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker
from gammapy.maps import MapAxis, WcsGeom

from bkgpipe.chain.summary import read_export_entries, read_summary
from bkgpipe.errors import NoRunsError, OutputError
from bkgpipe.flow.export import WRITERS, find_origin
from bkgpipe.flow.store import MakeStore
from bkgpipe.stages.count.files import read_tallies
from bkgpipe.stages.export.gadf import Origin
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.store.store import read_runs


@pytest.mark.parametrize("word", ["bkg_3d", "bkg_2d"])
def test_only_the_format_asked_for_is_written(production, build, word):
    task = production(export__format=word)
    assert build(task.sibling(MakeStore))

    store = task.settings.folder("export") / "store"
    names = sorted(path.name for path in (store / "models").iterdir())
    assert names == [f"{word}_{number}.fits" for number in range(1001, 1009)]
    observations = DataStore.from_dir(store).get_observations()
    assert {each.bkg.tag for each in observations} == {word}


@pytest.mark.parametrize(("store", "n_files"), [("full", 8), ("index", 0)])
def test_events_are_copied_or_named(production, build, store, n_files):
    task = production(export__store=store)
    assert build(task.sibling(MakeStore))

    folder = task.settings.folder("export") / "store"
    assert len(list((folder / "data").glob("*"))) == n_files
    observations = DataStore.from_dir(folder).get_observations()
    assert len(observations) == 8
    assert all(len(each.events.table) > 0 for each in observations)


def _backgrounds(store):
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    observations = DataStore.from_dir(store).get_observations()
    found = []
    for each in observations:
        pointing = each.pointing.fixed_icrs
        geom = WcsGeom.create(skydir=pointing, width=3.0, binsz=0.1, axes=[axis])
        empty = MapDataset.create(geom, energy_axis_true=axis.copy(name="energy_true"))
        maker = MapDatasetMaker(selection=["counts", "background"])
        found.append(maker.run(empty, each).background.data)
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {"stack__strategy": "groups"},
        {"stack__strategy": "ranked", "smooth__method": "none", "export__norm": "run"},
        {"smooth__method": "regression", "binning__per_decade": "5"},
    ],
)
def test_errors_are_those_of_the_rates_and_gammapy_minds_none(
    production, build, settings
):
    task = production(**settings, export__obs_ids="1002, 1007")
    assert build(task.sibling(MakeStore))

    store = task.settings.folder("export") / "store"
    backgrounds = _backgrounds(store)
    rates = {}
    for path in task.settings.folder("smooth").glob("smooth_*.h5"):
        rates |= MODELS.read(path).records
    for path in (store / "models").glob("bkg_3d_*.fits"):
        with fits.open(path, mode="update") as hdus:
            header = hdus["BACKGROUND"].header
            model = rates[header["STACK_ID"]]
            rate = hdus["BACKGROUND"].data["BKG"][0].T
            error = hdus["BACKGROUND_ERROR"].data["BKG_ERR"][0].T
            kept = model.rate_3d > 0.1 * model.rate_3d.mean(axis=(1, 2), keepdims=True)
            np.testing.assert_allclose(
                (error / rate)[kept], model.error_3d[kept], rtol=1e-12
            )
            systematic = model.systematic
            if "export__norm" in settings:
                systematic = header["BKGNERR"] / header["BKGNORM"]
            assert header["SYSERR"] == pytest.approx(systematic)
            assert 0 <= header["SYSERR"] < 1
            del hdus["BACKGROUND_ERROR"]
    assert all(each.sum() > 0 for each in backgrounds)
    for one, other in zip(backgrounds, _backgrounds(store), strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_the_runs_asked_for_get_a_model(production, build):
    task = production(export__obs_ids="1002, 1007")
    assert build(task.sibling(MakeStore))

    entries = read_export_entries(task.settings)
    assert [entry.obs_id for entry in entries] == [1002, 1007]
    assert read_summary(task.settings).n_used == 8


def test_no_model_at_all_is_a_failure_in_words(production, build, tmp_path):
    for path in (tmp_path / "store" / "data").iterdir():
        path.write_bytes(b"words")
    task = production(stack__strategy="own")

    assert not build(task.sibling(MakeStore))

    assert len(read_summary(task.settings).refused) == 8
    with pytest.raises(NoRunsError, match=r"no run got a model.*bkgpipe status"):
        task.sibling(MakeStore).run()


def test_a_run_that_is_refused_leaves_no_model_behind(production, build, monkeypatch):
    def refuse(_path, *, model, **_others):
        raise OutputError(what="no rates", where=f"run {model.obs_id}", fix="None")

    monkeypatch.setitem(WRITERS, "bkg_2d", refuse)
    task = production()

    assert not build(task.sibling(MakeStore))

    assert len(read_summary(task.settings).refused) == 8
    assert not list(task.settings.folder("export").rglob("*.fits"))


def test_origin_is_that_of_the_first_run_that_can_be_read(production, build, tmp_path):
    next((tmp_path / "store" / "data").glob("*1001*")).unlink()
    task = production(run__allow_refused="true")
    build(task.sibling(MakeStore))

    assert find_origin(task.settings, task.table).telescope == "SIMTEL"


def test_origin_is_unknown_when_no_run_can_be_read(production, build, tmp_path):
    task = production()
    build(task.sibling(MakeStore))
    for path in (tmp_path / "store" / "data").iterdir():
        path.unlink()

    table = read_runs(tmp_path / "store")
    assert find_origin(task.settings, table) == Origin()


@pytest.mark.parametrize("store", ["full", "index"])
def test_events_outside_good_time_are_left_out_or_told(
    production, build, tmp_path, halve_good_time, *, caplog, store
):
    (path,) = (tmp_path / "store" / "data").glob("*1002*")
    halve_good_time(path)
    n_before = fits.getheader(path, "EVENTS")["NAXIS2"]
    task = production(export__store=store, export__obs_ids="1002, 1007")
    assert build(task.sibling(MakeStore))

    tallies = {}
    for chunk in task.settings.folder("count").glob("count_*.h5"):
        tallies |= read_tallies(chunk)
    n_cut = tallies[1002].conservation.n_outside_time
    observations = DataStore.from_dir(
        task.settings.folder("export") / "store"
    ).get_observations([1002, 1007])
    found = [len(each.events.table) for each in observations]
    told = f"Run 1002: {n_cut} event(s) outside good time"
    assert n_cut > 0.4 * n_before
    assert found[0] == n_before - n_cut * (store == "full")
    assert found[1] == tallies[1007].conservation.n_read
    assert (told in caplog.text) == (store == "index")
    assert "Run 1007" not in caplog.text
