from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from bkgpipe.errors import SettingsError
from bkgpipe.geometry.frames import from_fov
from bkgpipe.settings import settings_template
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.overlay import inputs as overlay_inputs
from bkgpipe.simulate.overlay.inputs import OverlayInputs, read_overlay_inputs
from bkgpipe.simulate.overlay.plan import make_plan
from bkgpipe.stages.mask.pixels import is_kept
from bkgpipe.store.aeff import read_safe_energy
from bkgpipe.store.store import read_events, read_runs

# OFF runs are what takes time
_FEW = "overlay.off_runs=101 105"


def _read(settings, *, workers=1) -> OverlayInputs:
    problems: list[str] = []
    inputs = read_overlay_inputs(settings, workers=workers, problems=problems)
    assert problems == []
    assert inputs is not None
    return inputs


def _problems(settings) -> list[str]:
    problems: list[str] = []
    read_overlay_inputs(settings, workers=1, problems=problems)
    return problems


def _config(folder: Path, off: Path, **given: str) -> Path:
    values = {"data.store": str(off), "data.output": str(folder / "out")}
    values |= {"mask.catalogs": str(off / "sources.ecsv")}
    values |= {"select.min_livetime": "0 s"}
    values |= {name.replace("__", "."): value for name, value in given.items()}
    config = folder / "production.cfg"
    config.write_text(settings_template(values), encoding="utf-8")
    return config


def test_runs_come_in_order_with_what_is_known_of_them(make_overlay):
    inputs = _read(make_overlay())

    assert [target.run.obs_id for target in inputs.targets] == [901, 902, 903]
    assert [source.run.obs_id for source in inputs.sources] == list(range(101, 111))
    assert inputs.off_store.name == "off"
    assert inputs.grid.offset_max == 2.5
    for target in inputs.targets:
        assert target.livetime == pytest.approx(target.run.livetime, rel=1e-6)
        assert target.safe_energy == pytest.approx(0.1)
    for source in inputs.sources:
        assert source.exposure.livetime == pytest.approx(source.run.livetime, rel=1e-6)
        assert source.exposure.kept.shape[1] == inputs.grid.n_cells


def test_masks_hide_the_source_of_each_off_run(make_overlay):
    for source in _read(make_overlay(_FEW)).sources:
        pointing = source.run.ra, source.run.dec
        place = from_fov(np.array([1.2]), np.array([0.5]), pointing=pointing)
        assert not is_kept(source.mask, *place).any()
        assert source.exposure.kept_livetime.min() == 0.0


def test_inputs_do_not_depend_on_workers(make_overlay):
    one, two = (_read(make_overlay(_FEW), workers=n) for n in (1, 2))

    for left, right in zip(one.sources, two.sources, strict=True):
        assert left.run.obs_id == right.run.obs_id
        np.testing.assert_array_equal(left.exposure.kept, right.exposure.kept)


def test_only_runs_that_are_named_are_read(make_overlay):
    inputs = _read(make_overlay("overlay.runs=902", "overlay.off_runs=103 105"))

    assert [target.run.obs_id for target in inputs.targets] == [902]
    assert [source.run.obs_id for source in inputs.sources] == [103, 105]


def test_runs_that_the_production_leaves_out_must_be_named(
    make_overlay, overlay_stores, tmp_path
):
    config = _config(tmp_path, overlay_stores / "off", select__max_zenith="5 deg")
    place = f"overlay.production={config}"

    (problem,) = _problems(make_overlay(place))

    assert problem == "[overlay] production: no run of the OFF store passes [select]"
    named = _read(make_overlay(place, "overlay.off_runs=104"))
    assert [source.run.obs_id for source in named.sources] == [104]


def test_without_a_production_the_defaults_exclude(
    make_overlay, gammapy_data, monkeypatch
):
    monkeypatch.setenv("GAMMAPY_DATA", str(gammapy_data))
    settings = replace(make_overlay("overlay.off_runs=101 102"), production=None)

    inputs = _read(replace(settings, offset_max=2.0))

    assert inputs.grid.offset_max == 2.0
    assert len(inputs.sources) == 2


def test_regions_that_cannot_be_read_are_told(make_overlay, overlay_stores, tmp_path):
    (tmp_path / "bad.reg").write_text("no region at all(", encoding="utf-8")
    config = _config(
        tmp_path, overlay_stores / "off", mask__regions=str(tmp_path / "bad.reg")
    )

    problems = _problems(make_overlay(f"overlay.production={config}", _FEW))

    assert len(problems) == 1
    assert "bad.reg" in problems[0]


def test_a_target_without_good_time_is_told(make_overlay, monkeypatch):
    def read_nothing(store, run):
        events, digest = read_events(store, run)
        if run.obs_id == 902:
            events = replace(events, gti=np.empty((0, 2)))
        return events, digest

    monkeypatch.setattr(overlay_inputs, "read_events", read_nothing)

    assert _problems(make_overlay(_FEW)) == ["run 902: live time is 0.0 s"]


def test_an_off_run_without_good_time_is_told(make_overlay, monkeypatch):
    def read_nothing(store, run):
        events, digest = read_events(store, run)
        if run.obs_id == 105:
            events = replace(events, gti=np.empty((0, 2)))
        return events, digest

    monkeypatch.setattr(overlay_inputs, "read_events", read_nothing)

    (problem,) = _problems(make_overlay(_FEW))
    assert "run 105: live time is 0.0 s" in problem


@pytest.fixture
def unsafe(tmp_path, overlay_stores) -> Path:
    """Targets whose observation table says nothing of safe energies."""
    shutil.copytree(overlay_stores / "targets", tmp_path / "targets")
    path = next((tmp_path / "targets").glob("obs-index.fits*"))
    table = Table.read(path)
    table.remove_columns([c for c in table.colnames if c.startswith("SAFE_ENERGY")])
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table.write(path, overwrite=True)
    return tmp_path / "targets"


def test_safe_energies_come_from_the_effective_area_otherwise(make_overlay, unsafe):
    run = read_runs(unsafe).runs[0]
    expected, _ = read_safe_energy(unsafe, run, fraction=0.1, offset=1.0)

    inputs = _read(make_overlay(f"overlay.store={unsafe}", _FEW))

    assert np.isnan(run.safe_energy_min)
    assert 0.01 < expected < 10.0
    assert [target.safe_energy for target in inputs.targets] == [expected] * 3


def test_without_an_effective_area_all_energies_are_safe(make_overlay, unsafe):
    path = next(unsafe.glob("hdu-index.fits*"))
    table = Table.read(path)
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table[table["HDU_TYPE"] != "aeff"].write(path, overwrite=True)

    inputs = _read(make_overlay(f"overlay.store={unsafe}", _FEW))

    assert [target.safe_energy for target in inputs.targets] == [0.0] * 3


def test_altaz_needs_the_place_of_the_targets(make_overlay, monkeypatch):
    def read_without_place(store):
        table = read_runs(store)
        runs = (replace(run, longitude=np.nan) for run in table.runs)
        return replace(table, runs=tuple(runs)) if store.name == "targets" else table

    monkeypatch.setattr(overlay_inputs, "read_runs", read_without_place)

    problems = _problems(make_overlay("overlay.runs=901", _FEW))

    assert len(problems) == 1
    assert "run 901" in problems[0]
    assert _problems(make_overlay(_FEW, "overlay.alignment=RADEC")) == []


def test_problems_of_both_stores_are_told_together(
    make_overlay, overlay_stores, tmp_path
):
    config = _config(tmp_path, overlay_stores / "off", select__max_zenith="5 deg")
    settings = make_overlay(
        f"overlay.production={config}", f"overlay.store={tmp_path / 'nowhere'}"
    )

    with pytest.raises(SettingsError) as caught:
        make_plan(settings, workers=1)

    assert "nowhere" in caught.value.what
    assert "no run of the OFF store passes [select]" in caught.value.what
    assert "nothing has been written" in caught.value.fix


def test_the_latest_settings_of_an_output_folder_are_taken(
    make_overlay, overlay_stores, off_simulation, tmp_path
):
    few = replace(off_simulation, n_runs=2)
    write_simulated_store(tmp_path / "few", simulation=few, truth=Truth())
    kept = tmp_path / "out" / "settings"
    kept.mkdir(parents=True)
    for i, store in enumerate((overlay_stores / "off", tmp_path / "few")):
        config = _config(tmp_path, store).rename(kept / f"settings-{i}.cfg")
        ago = 1_000_000_000 - 1000 * i
        os.utime(config, (ago, ago))

    settings = make_overlay("overlay.off_store=", f"overlay.production={kept.parent}")

    assert len(_read(settings).sources) == 10
