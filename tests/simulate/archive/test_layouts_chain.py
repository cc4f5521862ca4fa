from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import luigi
import numpy as np
import pytest
from astropy.table import Table, vstack
from astropy.time import Time
from click.testing import CliRunner, Result
from gammapy.data import DataStore, Observations
from gammapy.datasets import MapDataset
from gammapy.irf import Background2D
from gammapy.makers import MapDatasetMaker
from gammapy.maps import MapAxis, WcsGeom

from bkgpipe.chain.inputs import forget
from bkgpipe.cli.main import main
from bkgpipe.errors import OutputError, SettingsError
from bkgpipe.settings import read_settings, settings_template
from bkgpipe.simulate.archive.index import write_simulated_index
from bkgpipe.simulate.archive.layouts import LAYOUTS
from bkgpipe.simulate.archive.make import simulate_archive
from bkgpipe.simulate.settings import read_simulate_settings
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.store.aeff import read_safe_energy
from bkgpipe.store.store import read_events, read_runs
from bkgpipe.tools.propose.bins import event_peak

_RUNS = (
    "simulation.runs=4",
    "simulation.duration=4 min",
    "simulation.seed=3",
    "simulation.deadc=uniform 0.8, 0.95",
    "simulation.zenith=20 deg",
    "truth.norm=900 s-1 TeV-1 sr-1",
)
_GAPS = ("simulation.gaps=1", "simulation.gap=30 s")
_GIVEN = {
    "data.store": "store",
    "data.output": "out",
    "binning.energy_min": "0.5 TeV",
    "binning.energy_max": "20 TeV",
    "binning.per_decade": "4",
    "binning.offset_max": "1.5 deg",
    "binning.fov_bins": "12",
    "binning.offset_bins": "5",
    "count.safe_energy_min": "0.5 TeV",
    "mask.catalogs": "",
    "smooth.method": "none",
    "stack.min_hours": "0.05 h",
    "stack.min_counts": "0",
    "stack.zenith_edges": "0, 90 deg",
    "stack.azimuth_edges": "0, 360 deg",
    "select.min_livetime": "1 min",
}
# gammapy wants columns in capitals, and a row of good time in the HDU index
_NOT_FOR_GAMMAPY = {"fact", "lower-case", "undated"}
_MODELLED = sorted(LAYOUTS.keys() - {"drift"})


@pytest.fixture
def bkgpipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    """Call the command in this process, in a folder with settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GAMMAPY_DATA", raising=False)
    monkeypatch.setattr(
        "bkgpipe.cli.logs.set_up_logging",
        lambda *, verbose: None,  # noqa: ARG005
    )
    (tmp_path / "luigi.cfg").write_text(settings_template(_GIVEN), encoding="utf-8")

    def call(*words: str) -> Result:
        forget()
        luigi.configuration.get_config().reload()
        return CliRunner().invoke(main, words, catch_exceptions=False)

    yield call
    forget()


def _simulate(folder: Path, layout: str, *more: str) -> tuple:
    # most events of a low threshold are below the energies that are looked at
    less = ("truth.norm=500 s-1 TeV-1 sr-1",) if "cta-like" in layout else ()
    given = (f"simulation.layout={layout}", *_RUNS, *less, *more)
    return simulate_archive(folder, settings=read_simulate_settings(None, given))


def _with_gaps(layout: str) -> tuple[str, ...]:
    """Leave out gaps where a store has nothing to write them into."""
    return _GAPS if LAYOUTS[layout].events.gti_hdu else ()


def _open(store: Path) -> Observations:
    ending = ".fits.gz" if (store / "hdu-index.fits.gz").exists() else ".fits"
    found = DataStore.from_dir(store, f"hdu-index{ending}", f"obs-index{ending}")
    return found.get_observations(required_irf=["aeff", "edisp"])


def _predicted_and_counted(
    observations: Observations, models: Path | None = None
) -> tuple[float, float]:
    """Add up the background that gammapy predicts, and the events that it counts."""
    axis = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", nbin=6)
    true = MapAxis.from_energy_bounds("0.4 TeV", "30 TeV", nbin=2, name="energy_true")
    maker = MapDatasetMaker(selection=["counts", "background"])
    totals = np.zeros(2)
    for observation in observations:
        geom = WcsGeom.create(
            skydir=observation.pointing.fixed_icrs, width=2.0, binsz=0.1, axes=[axis]
        )
        if models is not None:
            file = models / f"bkg_2d_{observation.obs_id}.fits"
            observation.bkg = Background2D.read(file)
        made = maker.run(MapDataset.create(geom, energy_axis_true=true), observation)
        totals += made.background.data.sum(), made.counts.data.sum()
    return float(totals[0]), float(totals[1])


def _conservation(out: Path) -> Conservation:
    total = Conservation()
    for path in out.glob("count-*/count_*.h5"):
        for counts in COUNTS.read(path).records.values():
            total += counts.conservation
    return total


def _exported(result: Result) -> Path:
    (line,) = re.findall(r"^Store: +(\S+)$", result.stdout, re.MULTILINE)
    return Path(line)


@pytest.mark.parametrize("layout", _MODELLED)
def test_models_are_made_of_any_layout(
    layout: str, bkgpipe: Callable[..., Result], tmp_path: Path
) -> None:
    runs = _simulate(tmp_path / "store", layout, *_with_gaps(layout))
    n_events = 0
    for run, found in zip(runs, read_runs(tmp_path / "store").runs, strict=True):
        events, _ = read_events(tmp_path / "store", found)
        assert events.ontime == pytest.approx(run.ontime, abs=1e-3)
        assert found.livetime == pytest.approx(run.livetime, rel=1e-6)
        assert found.zenith == pytest.approx(run.zenith, abs=1e-4)
        n_events += events.n_events
    if layout not in _NOT_FOR_GAMMAPY:
        assert sum(len(o.events.table) for o in _open(tmp_path / "store")) == n_events

    checked, made = bkgpipe("check"), bkgpipe("run", "export")

    assert checked.exit_code == 0, checked.output
    assert f" 0 of {n_events} events are outside good time\n" in checked.stdout
    assert "Warning" not in checked.stdout
    assert made.exit_code == 0, made.output
    total = _conservation(tmp_path / "out")
    assert (total.n_read, total.n_lost, total.n_outside_time) == (n_events, 0, 0)
    assert total.n_kept > 500
    for run, found in zip(runs, read_runs(_exported(made)).runs, strict=True):
        events, _ = read_events(_exported(made), found)
        assert events.ontime == pytest.approx(run.ontime, abs=1e-3)
    if layout in _NOT_FOR_GAMMAPY:
        return
    store = _exported(made)
    predicted, counted = _predicted_and_counted(_open(store))
    assert predicted == pytest.approx(counted, rel=0.05)
    predicted, counted = _predicted_and_counted(_open(store), store / "models")
    assert predicted == pytest.approx(counted, rel=0.05)


@pytest.mark.parametrize("layout", sorted(_NOT_FOR_GAMMAPY))
def test_what_gammapy_refuses(layout: str, tmp_path: Path) -> None:
    _simulate(tmp_path, layout, "simulation.runs=1")

    with pytest.raises((IndexError, ValueError)):
        len(_open(tmp_path)[0].events.table)


def test_drift_scans_are_refused(
    bkgpipe: Callable[..., Result], tmp_path: Path
) -> None:
    _simulate(tmp_path / "store", "drift")

    made = bkgpipe("run", "export")

    assert made.exit_code == 1
    assert made.output.count("is a drift scan") >= 4


def test_the_place_may_stand_in_the_events_alone(
    bkgpipe: Callable[..., Result], tmp_path: Path
) -> None:
    runs = _simulate(tmp_path / "store", "lst")

    made = bkgpipe("run", "export", "--set", "export.alignment=ALTAZ")

    assert made.exit_code == 0, made.output
    for run, found in zip(runs, read_runs(tmp_path / "store").runs, strict=True):
        assert found.longitude == run.longitude


def test_a_store_without_a_place_has_no_models_in_altaz(
    bkgpipe: Callable[..., Result], tmp_path: Path
) -> None:
    _simulate(tmp_path / "store", "undated")

    made = bkgpipe("run", "export", "--set", "export.alignment=ALTAZ")

    assert made.exit_code == 1
    assert "the place of the observatory is not known" in made.output


def _move_index(store: Path) -> Path:
    """Move the index files of a store, as they are in the CTA data challenge."""
    index = store / "index" / "gps"
    index.mkdir(parents=True)
    table = Table.read(store / "hdu-index.fits.gz")
    table["FILE_DIR"] = [f"../../{folder}" for folder in table["FILE_DIR"]]
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table.write(index / "hdu-index.fits.gz")
    shutil.move(store / "obs-index.fits.gz", index)
    (store / "hdu-index.fits.gz").unlink()
    return index


def test_an_index_beside_the_data_needs_leave_and_init_asks_for_it(
    bkgpipe: Callable[..., Result], tmp_path: Path
) -> None:
    _simulate(tmp_path / "store", "cta-1dc")
    index = _move_index(tmp_path / "store")
    assert len(_open(index)) == 4
    refused = bkgpipe("check", "--set", f"data.store={index}")
    assert refused.exit_code == 1
    assert "the events of 4 runs are outside the store" in refused.output

    begun = bkgpipe("init", "--data", str(index), "--config", "own.cfg")

    assert begun.exit_code == 0, begun.output
    allowed = read_settings(Path("own.cfg")).data.allow
    assert allowed == (tmp_path / "store" / "data" / "baseline" / "gps",)
    assert f"data.allow = {allowed[0]}: the index or links" in begun.output
    for store in ("full", "index"):
        change = f"export.store={store}"
        made = bkgpipe("run", "export", "--config", "own.cfg", "--set", change)
        assert made.exit_code == 0, made.output
        predicted, counted = _predicted_and_counted(_open(_exported(made)))
        assert predicted == pytest.approx(counted, rel=0.05)


def _joined(store: Path, layouts: tuple[str, ...]) -> int:
    """Put stores of some layouts under one index; return their number of events."""
    hdus, runs, n_events = [], [], 0
    for i_part, layout in enumerate(layouts):
        folder = store / layout
        first = f"simulation.first_obs_id={1000 * (i_part + 1)}"
        runs += _simulate(folder, layout, "simulation.runs=2", first)
        (index,) = folder.glob("hdu-index.fits*")
        table = Table.read(index, format="fits", mask_invalid=False)
        table["FILE_DIR"] = [
            os.path.normpath(f"{layout}/{part}") for part in table["FILE_DIR"]
        ]
        table.meta.clear()
        hdus.append(table)
        found = read_runs(folder).runs
        n_events += sum(read_events(folder, run)[0].n_events for run in found)
    write_simulated_index(store, runs)
    vstack(hdus).write(store / "hdu-index.fits.gz", overwrite=True)
    return n_events


@pytest.mark.parametrize(
    "layouts",
    [("hess", "veritas", "units"), ("split", "lst", "renamed-gti", "full")],
)
def test_one_index_may_name_files_of_many_layouts(
    layouts: tuple[str, ...], bkgpipe: Callable[..., Result], tmp_path: Path
) -> None:
    n_events = _joined(tmp_path / "store", layouts)

    made = bkgpipe("run", "export")

    assert made.exit_code == 0, made.output
    total = _conservation(tmp_path / "out")
    assert (total.n_read, total.n_lost, total.n_outside_time) == (n_events, 0, 0)
    observations = _open(_exported(made))
    assert len(observations) == 2 * len(layouts)
    predicted, counted = _predicted_and_counted(observations)
    assert predicted == pytest.approx(counted, rel=0.05)


def test_runs_of_different_clocks_start_at_their_own_times(tmp_path: Path) -> None:
    runs = [_simulate(tmp_path / name, name)[0] for name in ("hess", "fact", "units")]

    for run, name in zip(runs, ("hess", "fact", "units"), strict=True):
        found = read_runs(tmp_path / name).runs[0]
        events, _ = read_events(tmp_path / name, found)
        start = Time(run.time_start, format="mjd", scale="tt")
        assert abs(found.time_start - start.mjd) * 86400 < 1e-4
        assert abs(events.gti[0, 0] - start.mjd) * 86400 < 1e-4


def test_the_layout_sets_energies_and_field_unless_others_are_given() -> None:
    wide = read_simulate_settings(None, ["simulation.layout=cta-1dc"]).truth
    given = ["simulation.layout=cta-1dc", "truth.energy_min=1 TeV"]
    other = read_simulate_settings(None, given).truth
    plain = read_simulate_settings(None).truth

    assert (wide.energy_min, wide.energy_max, wide.offset_max) == (0.01, 300.0, 5.0)
    assert (other.energy_min, other.energy_max) == (1.0, 300.0)
    assert (plain.energy_min, plain.energy_max, plain.offset_max) == (0.05, 100.0, 4.0)


@pytest.mark.parametrize("layout", ["cta-like", "cta-like-point"])
def test_most_events_of_a_low_threshold_are_below_the_safe_energy(
    layout: str, tmp_path: Path
) -> None:
    given = [f"simulation.layout={layout}", "simulation.runs=4"]
    simulate_archive(tmp_path, settings=read_simulate_settings(None, given))
    runs = read_runs(tmp_path).runs
    energy = np.concatenate([read_events(tmp_path, run)[0].energy for run in runs])

    safe, offset = read_safe_energy(tmp_path, runs[0], fraction=0.1, offset=1.0)

    assert np.isnan(runs[0].safe_energy_min)
    assert event_peak(energy) == pytest.approx(0.03, rel=0.2)
    assert energy.min() == pytest.approx(0.01, rel=0.01)
    assert 2.0 < energy.max() < 100.0
    assert offset == (0.5 if layout == "cta-like-point" else 1.0)
    assert (energy < safe).mean() == pytest.approx(0.86, abs=0.02)


def test_a_spectrum_that_is_given_replaces_that_of_the_layout() -> None:
    given = ["simulation.layout=cta-like", "truth.index=2.5"]
    truth = read_simulate_settings(None, given).truth

    assert (truth.index, truth.threshold, truth.norm) == (2.5, 0.028, 2.0)


def test_the_layout_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "simulate.cfg"
    path.write_text("[simulation]\nlayout = fact\n[truth]\noffset_max = 2 deg\n")

    settings = read_simulate_settings(path)

    assert settings.simulation.make().longitude == LAYOUTS["fact"].longitude
    assert (settings.truth.energy_min, settings.truth.offset_max) == (0.4, 2.0)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"layout.*expected one of hess, veritas"):
        read_simulate_settings(None, ["simulation.layout=hawc"])


def test_another_layout_is_another_store(tmp_path: Path) -> None:
    _simulate(tmp_path, "hess", "simulation.runs=1")

    with pytest.raises(OutputError, match="made from other settings"):
        _simulate(tmp_path, "minimal", "simulation.runs=1")


def test_copied_runs_are_written_in_another_layout(tmp_path: Path) -> None:
    runs = _simulate(tmp_path / "real", "hess", *_GAPS)
    given = (f"simulation.like={tmp_path / 'real'}", "simulation.layout=split")
    simulate_archive(tmp_path / "twin", settings=read_simulate_settings(None, given))

    for run, found in zip(runs, read_runs(tmp_path / "twin").runs, strict=True):
        assert found.obs_id == run.obs_id
        assert found.gti_hdu == "STDGTI"
        events, _ = read_events(tmp_path / "twin", found)
        assert events.ontime == pytest.approx(run.ontime, abs=1e-3)


def test_a_command_that_was_killed_goes_on(tmp_path: Path) -> None:
    _simulate(tmp_path, "split")
    files = {p: p.read_bytes() for p in tmp_path.rglob("*.fits")}
    (tmp_path / "events" / "1002_events.fits").unlink()
    (tmp_path / "gti" / "1002_gti.fits").unlink()

    _simulate(tmp_path, "split")

    assert {p: p.read_bytes() for p in tmp_path.rglob("*.fits")} == files


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_the_page_tells_of_each_layout(layout: str) -> None:
    page = Path(__file__).parents[3] / "docs" / "instruments.md"

    assert f"| `{layout}` |" in page.read_text(encoding="utf-8")
