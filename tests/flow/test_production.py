from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from gammapy.data import DataStore

from bkgpipe.chain.summary import read_states, read_summary
from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.stages.count.files import COUNTS, read_tallies
from bkgpipe.stages.export.files import ENTRIES
from bkgpipe.stages.fit.files import FIT
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import STACKS

_STAGES = ("select", "mask", "count", "stack", "smooth", "export", "report")


def _times(output: Path) -> dict[str, int]:
    """Time of the last change of each product."""
    return {
        str(path.relative_to(output)): path.stat().st_mtime_ns
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def _stages_made(before: dict[str, int], after: dict[str, int]) -> set[str]:
    made = {name for name, time in after.items() if before.get(name) != time}
    return {Path(name).parts[0].partition("-")[0] for name in made}


@pytest.mark.parametrize("strategy", ["groups", "ranked", "own"])
def test_chain_ends_in_a_store_that_gammapy_opens(finish, strategy):
    task = finish(stack__strategy=strategy)

    summary = read_summary(task.settings)
    assert summary.n_used == 8
    assert not summary.refused
    assert len(summary.models) == 16
    observations = DataStore.from_dir(summary.store).get_observations()
    assert len(observations) == 8
    for observation in observations:
        assert observation.bkg.fov_alignment.value == "RADEC"
        assert (observation.bkg.data > 0).all()
        assert len(observation.events.table) > 0


def test_events_and_exposure_are_conserved_through_the_chain(finish):
    task = finish()
    folder = task.settings.folder

    places = [
        found.conservation
        for path in sorted(folder("count").glob("count_*.h5"))
        for found in read_tallies(path).values()
    ]
    stacks = STACKS.read(folder("stack") / "stack_0.h5").records
    models = MODELS.read(folder("smooth") / "smooth_0.h5").records

    assert sum(place.n_lost for place in places) == 0
    n_kept = sum(place.n_kept for place in places)
    assert sum(stack.counts_3d.sum() for stack in stacks.values()) == n_kept
    assert sum(stack.counts_2d.sum() for stack in stacks.values()) == n_kept
    width = task.settings.binning.axes.energy_width
    for number, model in models.items():
        counts = (model.rate_3d * model.exposure_3d).sum(axis=(1, 2)) * width
        assert counts == pytest.approx(stacks[number].counts_3d.sum(axis=(1, 2)))


def test_michi_stacks_take_no_mask_into_account(production, build):
    exposures, rates = [], []
    for method in ("sum", "michi"):
        task = production(stack__method=method, smooth__method="none")
        assert build(task)
        folder = task.settings.folder
        stacks = STACKS.read(folder("stack") / "stack_0.h5").records
        models = MODELS.read(folder("smooth") / "smooth_0.h5").records
        exposures.append(stacks[1].exposure_2d)
        rates.append(models[1].rate_2d)

    # the disc around the source of each run is in the first of five annuli, out to
    # 1.12 deg: it takes a tenth of it
    ratio = exposures[1][-1] / exposures[0][-1]
    assert ratio[0] == pytest.approx(1.118**2 / (1.118**2 - 0.35**2), rel=0.02)
    np.testing.assert_allclose(ratio[1:], 1.0, rtol=0.01)
    assert rates[1][-1, 0] * ratio[0] == pytest.approx(rates[0][-1, 0])
    assert rates[1][2, 0] < 0.95 * rates[0][2, 0]


def test_report_compares_geometry_and_events(finish):
    task = finish()

    page = (task.settings.folder("report") / "index.html").read_text()

    assert "geometry beside events" in page
    assert "from the geometry" in page


def test_second_run_does_nothing(finish, build):
    task = finish()
    before = _times(task.settings.data.output)

    assert build(task)

    assert task.complete()
    assert _times(task.settings.data.output) == before


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"smooth__sigma": "2"}, "smooth"),
        ({"mask__radius": "0.5 deg"}, "mask"),
        ({"export__format": "bkg_2d, bkg_3d"}, "export"),
    ],
)
def test_a_changed_setting_repeats_only_what_it_touches(
    finish, production, build, change, *, first
):
    task = finish()
    before = _times(task.settings.data.output)

    changed = production(**change)
    assert build(changed)

    made = _stages_made(before, _times(task.settings.data.output))
    assert made == {*_STAGES[_STAGES.index(first) :], "production.json"}


def test_a_killed_writer_leaves_nothing_and_the_next_run_goes_on(
    production, build, monkeypatch
):
    task = production()

    class Dying(ChunkFile):
        def write(self, *_args: object, **_kwargs: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("bkgpipe.flow.count.Count.file", Dying(COUNTS.record_class))
    with pytest.raises(KeyboardInterrupt):
        build(task)
    monkeypatch.undo()

    assert not list(task.settings.folder("count").glob("*"))
    before = _times(task.settings.data.output)
    assert build(task)
    after = _times(task.settings.data.output)
    assert _stages_made(before, after).isdisjoint({"select"})
    masks = [name for name in before if "mask_" in name]
    assert masks
    assert all(before[name] == after[name] for name in masks)


def test_bad_runs_are_refused_and_the_others_finish(production, build, tmp_path):
    task = production(run__allow_refused="true")
    files = sorted((tmp_path / "store").rglob("*1*.fits.gz"))
    runs = [path for path in files if "index" not in path.name]
    runs[0].write_bytes(runs[0].read_bytes()[:20000])
    runs[1].unlink()

    assert build(task)

    summary = read_summary(task.settings)
    assert set(summary.refused) == {1001, 1002}
    assert summary.n_used == 6
    assert len(summary.models) == 12


def test_refused_runs_fail_the_production_unless_allowed(production, build, tmp_path):
    task = production()
    next(iter((tmp_path / "store" / "data").glob("*1001*"))).unlink()

    assert not build(task)
    assert not build(task)

    record = json.loads((task.settings.data.output / "production.json").read_text())
    assert list(record["summary"]["refused"]) == ["1001"]
    assert len(record["summary"]["models"]) == 14


def test_a_changed_events_file_repeats_its_chunk(finish, build, tmp_path):
    task = finish(stack__strategy="own")
    output = task.settings.data.output
    before = _times(output)
    path = next(iter((tmp_path / "store" / "data").glob("*1001*")))
    path.write_bytes(path.read_bytes() + b"\0")

    build(task)

    after = _times(output)
    remade = {name for name, time in after.items() if before.get(name) != time}
    counts = {name for name in remade if "/count_" in name}
    assert counts == {f"{task.settings.folder('count').name}/count_333.h5"}


def test_a_damaged_checkpoint_is_set_aside_and_made_again(finish, build):
    task = finish()
    path = task.settings.folder("count") / "count_334.h5"
    whole = COUNTS.read(path).records
    path.write_bytes(path.read_bytes()[:20000])
    (task.settings.data.output / "production.json").unlink()
    (task.settings.folder("report") / "index.html").unlink()
    (task.settings.folder("export") / "store.json").unlink()
    for stage in ("export", "smooth", "stack"):
        for product in task.settings.folder(stage).glob("*.h5"):
            product.unlink()

    assert build(task)

    again = COUNTS.read(path).records
    assert again.keys() == whole.keys()
    for obs_id, counts in again.items():
        assert (counts.counts_3d == whole[obs_id].counts_3d).all()
        assert counts.conservation == whole[obs_id].conservation
    assert path.with_name("count_334.h5.damaged").exists()


def test_no_run_selected_is_a_clear_failure(production, build):
    task = production(select__min_livetime="10 h")

    assert not build(task)


def test_states_count_chunks(production, finish):
    task = production(stack__strategy="ranked")
    assert {state.n_total for state in read_states(task.settings)} == {1, -1}

    finish(stack__strategy="ranked")

    done = {s.stage: (s.n_done, s.n_total) for s in read_states(task.settings)}
    assert done == {
        "select": (1, 1),
        "mask": (4, 4),
        "count": (4, 4),
        "rank": (4, 4),
        "stack": (4, 4),
        "smooth": (4, 4),
        "export": (4, 4),
    }


def test_entries_say_what_is_behind_each_model(finish):
    task = finish(stack__strategy="ranked")

    for path in task.settings.folder("export").glob("export_*.h5"):
        for entry in ENTRIES.read(path).records.values():
            assert entry.n_runs >= 1
            assert 0.05 < entry.hours < 2
            assert 0.5 < entry.deadc <= 1
            assert np.isfinite(entry.n_filled_3d)


def test_regression_predicts_each_run_from_all(finish):
    task = finish(smooth__method="regression", binning__per_decade="5")

    summary = read_summary(task.settings)
    assert len(summary.models) == 16
    fit = FIT.read_one(task.settings.folder("fit") / "fit.h5")
    assert fit.n_runs == 8
    counts, predicted = 0.0, 0.0
    for path in task.settings.folder("count").glob("count_*.h5"):
        runs = COUNTS.read(path).records
        name = path.name.replace("count", "smooth")
        models = MODELS.read(task.settings.folder("smooth") / name).records
        for obs_id, run in runs.items():
            rate = models[obs_id].rate_3d * run.safe_exposure_3d
            predicted += (rate.sum(axis=(1, 2)) * run.binning.energy_width).sum()
            counts += run.safe_counts_3d.sum()
    assert predicted == pytest.approx(counts, rel=0.01)
    observation = DataStore.from_dir(summary.store).get_observations([1003])[0]
    assert (observation.bkg.data > 0).all()


def test_regression_goes_on_without_a_refused_run(production, build, tmp_path):
    task = production(
        smooth__method="regression", binning__per_decade="5", run__allow_refused="true"
    )
    next(iter((tmp_path / "store" / "data").glob("*1001*"))).unlink()

    assert build(task)

    summary = read_summary(task.settings)
    assert list(summary.refused) == [1001]
    assert len(summary.models) == 14
    states = {state.stage: state for state in read_states(task.settings)}
    assert "stack" not in states
    assert states["smooth"].n_done == states["smooth"].n_total == 4


@pytest.mark.parametrize("norm", ["run", "run_energy", "rim"])
@pytest.mark.parametrize("method", ["gaussian", "regression"])
def test_norm_makes_the_prediction_that_of_the_run(
    finish, production, build, norm, *, method
):
    plain = finish(smooth__method=method, binning__per_decade="5")
    folder, smooth = plain.settings.folder("export"), plain.settings.folder("smooth")

    task = production(smooth__method=method, binning__per_decade="5", export__norm=norm)
    assert build(task)

    assert task.settings.folder("smooth") == smooth
    for obs_id in (1001, 1008):
        name = f"store/models/bkg_3d_{obs_id}.fits"
        scaled = task.settings.folder("export") / name
        factor = fits.getdata(scaled, "BKGNORM")["NORM"][0]
        ratio = fits.getdata(scaled, 1)["BKG"] / fits.getdata(folder / name, 1)["BKG"]
        np.testing.assert_allclose(ratio[0], np.broadcast_to(factor, (10, 10, 15)))
        assert factor != pytest.approx(1.0, abs=1e-6)
        header = fits.getheader(scaled, 1)
        assert ("BKGNORM" in header) == (np.ptp(factor) == 0)
