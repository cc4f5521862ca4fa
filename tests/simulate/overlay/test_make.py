from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from gammapy.data import DataStore

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import InputError, OutputError, SettingsError
from bkgpipe.settings import read_settings
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.overlay import make as overlay
from bkgpipe.simulate.overlay.make import overlay_runs
from bkgpipe.simulate.overlay.plan import make_plan
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.store.store import read_events, read_runs


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _kinds(path: Path) -> np.ndarray:
    with fits.open(path) as hdus:
        return np.array(hdus["EVENTS"].data["BKG_TYPE"])


def test_targets_get_background_and_keep_their_signal(
    overlay_stores, make_overlay, tmp_path
):
    provenance = overlay_runs(tmp_path / "new", make_overlay())

    (total,) = provenance.totals
    assert total.drawn == pytest.approx(total.expected, abs=5 * total.expected**0.5)
    assert total.n_runs == 3
    assert total.reused == 0
    for run in read_runs(overlay_stores / "targets").runs:
        own, _ = read_events(overlay_stores / "targets", run)
        kinds = _kinds(tmp_path / "new" / "data" / f"run_{run.obs_id}.fits.gz")
        given = sum(r.drawn for r in provenance.records if r.obs_id == run.obs_id)
        assert np.count_nonzero(kinds == 0) == own.n_events
        assert np.count_nonzero(kinds == 99) == given > 300


def test_gammapy_and_we_open_the_new_store(make_overlay, tmp_path):
    overlay_runs(tmp_path / "new", make_overlay("overlay.keep_events=false"))

    runs = read_runs(tmp_path / "new").runs
    observation = DataStore.from_dir(tmp_path / "new").obs(
        901, ["aeff", "edisp", "psf"]
    )
    table = observation.events.table
    gti = observation.gti
    assert [run.obs_id for run in runs] == [901, 902, 903]
    assert len(table) == read_events(tmp_path / "new", runs[0])[0].n_events
    assert set(table["BKG_TYPE"].tolist()) == {99}
    assert gti.time_sum.to_value("s") == pytest.approx(200.0)
    assert observation.events.time.max() <= gti.time_stop[-1]
    assert observation.events.offset.max().to_value("deg") < 2.5
    assert table["ENERGY"].quantity.min().to_value("TeV") >= 0.1


def test_files_depend_neither_on_workers_nor_on_when_they_are_made(
    make_overlay, tmp_path
):
    overlay_runs(tmp_path / "a", make_overlay())
    overlay_runs(tmp_path / "b", make_overlay(), workers=2)

    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    assert "overlay_pool.json" in _contents(tmp_path / "a")


def test_a_stopped_overlay_goes_on(make_overlay, tmp_path, monkeypatch):
    overlay_runs(tmp_path / "whole", make_overlay())
    written = []

    def stop(path: Path, *arguments: object, **options: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *arguments, **options)

    write = overlay.write_mixed_run
    monkeypatch.setattr(overlay, "write_mixed_run", stop)
    with pytest.raises(KeyboardInterrupt):
        overlay_runs(tmp_path / "new", make_overlay())
    assert not (tmp_path / "new" / "overlay.json").exists()
    monkeypatch.setattr(overlay, "write_mixed_run", write)
    before = (tmp_path / "new" / "data" / "run_901.fits.gz").stat().st_mtime_ns

    overlay_runs(tmp_path / "new", make_overlay())

    after = (tmp_path / "new" / "data" / "run_901.fits.gz").stat().st_mtime_ns
    assert before == after
    assert _contents(tmp_path / "new") == _contents(tmp_path / "whole")
    again = overlay_runs(tmp_path / "new", make_overlay())
    assert len(again.records) >= 3


def test_a_folder_of_something_else_is_refused(make_overlay, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    overlay_runs(tmp_path / "other", make_overlay())

    with pytest.raises(OutputError, match=r"new: holds something else.*remove this"):
        overlay_runs(tmp_path / "new", make_overlay())
    with pytest.raises(OutputError, match="overlay of other settings"):
        overlay_runs(tmp_path / "other", make_overlay("overlay.keep_events=false"))
    with pytest.raises(OutputError, match="is no folder"):
        overlay_runs(tmp_path / "file", make_overlay())


def test_a_pool_that_is_used_up_is_refused_before_anything_is_written(
    make_overlay, tmp_path
):
    with pytest.raises(
        SettingsError, match=r"run 90\d: matching OFF runs lack .* s of"
    ):
        overlay_runs(tmp_path / "new", make_overlay("overlay.off_runs=101 102"))

    assert not (tmp_path / "new").exists()


def test_what_all_off_runs_exclude_cannot_be_filled(make_overlay, tmp_path):
    """In RADEC the source of each OFF run is at the same place of the field."""
    words = ("overlay.alignment=RADEC", "overlay.runs=901")

    with pytest.raises(SettingsError, match="regions of all of them cover"):
        overlay_runs(tmp_path / "new", make_overlay(*words))


def test_reuse_is_counted(make_overlay, tmp_path):
    provenance = overlay_runs(
        tmp_path / "new",
        make_overlay(
            "overlay.off_runs=101 102 103 104",
            "overlay.check=false",
            "overlay.reuse=true",
        ),
    )

    (total,) = provenance.totals
    assert 0 < total.reused < total.drawn


def test_what_another_output_used_is_not_used_again(make_overlay, tmp_path):
    overlay_runs(tmp_path / "a", make_overlay("overlay.runs=901"))
    pool = f"overlay.pool={tmp_path / 'a' / 'overlay_pool.json'}"

    overlay_runs(tmp_path / "b", make_overlay("overlay.runs=902 903", pool))
    overlay_runs(tmp_path / "whole", make_overlay())

    for run in ("902", "903"):
        files = [
            fits.getdata(tmp_path / name / "data" / f"run_{run}.fits.gz", "EVENTS")
            for name in ("b", "whole")
        ]
        np.testing.assert_array_equal(files[0]["TIME"], files[1]["TIME"])
    uses = json.loads((tmp_path / "b" / "overlay_pool.json").read_text())["uses"]
    assert [use["obs_id"] for use in uses] == [901, 902, 903]


def test_all_problems_are_told_at_once(make_overlay, tmp_path, overlay_stores):
    pool = tmp_path / "pool.json"
    pool.write_text('{"output": "a", "frame": "b", "uses": []}')

    with pytest.raises(SettingsError) as caught:
        overlay_runs(
            tmp_path / "new", make_overlay("overlay.runs=901 7", "overlay.off_runs=8")
        )
    assert "[overlay] runs: run 7 is not in the store" in caught.value.what
    assert "[overlay] off_runs: run 8 is not in the store" in caught.value.what
    with pytest.raises(SettingsError, match="pool: it is about other OFF runs"):
        overlay_runs(tmp_path / "new", make_overlay(f"overlay.pool={pool}"))
    with pytest.raises(SettingsError, match="no record of used OFF runs"):
        overlay_runs(tmp_path / "new", make_overlay(f"overlay.pool={overlay_stores}"))
    with pytest.raises(SettingsError, match=r"no OFF run matches it; .*time \(10\)"):
        overlay_runs(tmp_path / "new", make_overlay("overlay.max_time_difference=1 d"))
    with pytest.raises(SettingsError, match=r"masks reach 4.0 deg, events 5.0 deg"):
        overlay_runs(tmp_path / "new", make_overlay("overlay.offset_max=5 deg"))
    with pytest.raises(SettingsError, match="is a production of"):
        overlay_runs(
            tmp_path / "new",
            make_overlay(f"overlay.off_store={overlay_stores / 'targets'}"),
        )
    assert not (tmp_path / "new").exists()


def test_stores_must_be_named_and_read(make_overlay, tmp_path, overlay_stores):
    settings = replace(make_overlay(), store=None, off_store=None, production=None)

    with pytest.raises(SettingsError) as caught:
        overlay_runs(tmp_path / "new", settings)

    assert "[overlay] store names no data store" in caught.value.what
    assert "[overlay] off_store: names no data store" in caught.value.what
    with pytest.raises(SettingsError, match="obs-index"):
        overlay_runs(tmp_path / "new", make_overlay(f"overlay.store={tmp_path}"))
    with pytest.raises(SettingsError, match="no output folder of a production"):
        overlay_runs(
            tmp_path / "new",
            make_overlay(f"overlay.production={overlay_stores / 'off'}"),
        )


def test_damaged_runs_are_all_named(make_overlay, tmp_path, overlay_stores):
    for name in ("off", "targets"):
        (tmp_path / name).mkdir()
        for path in (overlay_stores / name).rglob("*.*"):
            copy = tmp_path / name / path.relative_to(overlay_stores / name)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (tmp_path / "off" / "data" / "run_102.fits.gz").write_bytes(b"x")
    (tmp_path / "off" / "data" / "run_104.fits.gz").unlink()
    (tmp_path / "targets" / "data" / "run_903.fits.gz").unlink()
    (tmp_path / "luigi.cfg").write_bytes((overlay_stores / "luigi.cfg").read_bytes())
    settings = make_overlay(
        f"overlay.store={tmp_path / 'targets'}",
        "overlay.off_store=",
        f"overlay.production={tmp_path / 'luigi.cfg'}",
    )

    with pytest.raises(SettingsError) as caught:
        overlay_runs(tmp_path / "new", settings)

    for number in ("102", "104", "903"):
        assert f"run {number} " in caught.value.what


def test_thresholds_that_an_off_run_raises_are_told(
    make_overlay, tmp_path, overlay_stores, off_simulation
):
    hot = replace(off_simulation, safe_energy_min=0.4)
    write_simulated_store(tmp_path / "off", simulation=hot, truth=Truth())
    (tmp_path / "luigi.cfg").write_bytes((overlay_stores / "luigi.cfg").read_bytes())
    place = (
        "overlay.off_store=",
        f"overlay.production={tmp_path / 'luigi.cfg'}",
        "overlay.keep_events=false",
    )

    with pytest.raises(SettingsError, match=r"too different in: threshold \(10\)"):
        overlay_runs(tmp_path / "new", make_overlay(*place))
    provenance = overlay_runs(
        tmp_path / "new", make_overlay(*place, "overlay.check_threshold=false")
    )

    raised = provenance.settings["raised_thresholds"]
    assert raised == {"901": 0.4, "902": 0.4, "903": 0.4}
    runs = read_runs(tmp_path / "new").runs
    assert [run.safe_energy_min for run in runs] == [0.4, 0.4, 0.4]
    events, _ = read_events(tmp_path / "new", runs[0])
    assert events.energy.min() >= 0.4 * (1 - 1e-6)


def test_masks_are_made_where_the_production_has_none(make_overlay, overlay_stores):
    plan = make_plan(make_overlay(), workers=1)
    production = read_settings(overlay_stores / "luigi.cfg")

    assert not production.folder("mask").exists()
    for source in plan.inputs.sources:
        assert len(source.mask.region_names) >= 1
        assert not source.exposure.kept.all()


def test_masks_that_the_production_has_made_are_taken(
    make_overlay, overlay_stores, tmp_path
):
    text = (
        (overlay_stores / "luigi.cfg")
        .read_text()
        .replace("= off", f"= {overlay_stores / 'off'}")
    )
    config = tmp_path / "luigi.cfg"
    config.write_text(text, encoding="utf-8")
    production = read_settings(config)
    nothing = {}
    for source in make_plan(make_overlay(), workers=1).inputs.sources[:3]:
        nothing[source.run.obs_id] = replace(
            source.mask, excluded_pixels=np.empty(0, dtype=np.int64)
        )
    header = ProductHeader(
        stage="mask",
        fingerprint=production.fingerprint("mask"),
        inputs="",
        seconds=0.0,
        version="0",
    )
    path = production.folder("mask") / "mask_1.h5"
    path.parent.mkdir(parents=True)
    MASKS.write(path, header, Chunk(records=nothing, refused={}))

    plan = make_plan(make_overlay(f"overlay.production={config}"), workers=1)

    is_whole = [source.exposure.kept.all() for source in plan.inputs.sources]
    assert is_whole == [True] * 3 + [False] * 7
    path.write_bytes(b"x")
    with pytest.raises(SettingsError, match=r"mask_1\.h5"):
        make_plan(make_overlay(f"overlay.production={config}"), workers=1)


def test_an_output_folder_stands_for_its_settings(
    make_overlay, overlay_stores, tmp_path
):
    kept = tmp_path / "out" / "settings"
    kept.mkdir(parents=True)
    text = (
        (overlay_stores / "luigi.cfg")
        .read_text()
        .replace("= off", f"= {overlay_stores / 'off'}")
    )
    (kept / "settings-1.cfg").write_text(text, encoding="utf-8")

    plan = make_plan(make_overlay(f"overlay.production={tmp_path / 'out'}"), workers=1)

    assert len(plan.inputs.sources) == 10


def test_nothing_is_checked_unless_told(make_overlay):
    plan = make_plan(
        make_overlay("overlay.check=false", "overlay.max_time_difference=1 d"),
        workers=1,
    )

    assert all(len(use.off_ids) == 10 for use in plan.uses)


def test_a_target_store_without_runs_is_refused(make_overlay, tmp_path, monkeypatch):
    monkeypatch.setattr("bkgpipe.simulate.overlay.inputs._target_runs", lambda *_: [])

    with pytest.raises(InputError, match="there is nothing to do"):
        overlay_runs(tmp_path / "new", make_overlay())
