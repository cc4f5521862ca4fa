from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from gammapy.data import DataStore
from gammapy.irf import Background2D, Background3D
from gammapy.maps import MapAxis

from bkgpipe.errors import InputError, OutputError, SettingsError
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.mixing import make as mixing
from bkgpipe.simulate.mixing.make import mix_runs
from bkgpipe.simulate.mixing.provenance import read_provenance
from bkgpipe.simulate.settings import SimulateSettings, read_simulate_settings
from bkgpipe.stages.validate.data import ScoreBins
from bkgpipe.stages.validate.projection import (
    make_geometry,
    project_model,
    read_store_model,
)
from bkgpipe.store.store import read_events, read_runs

OBS_IDS = [51, 52, 53]
DIFFUSE = """
components:
- name: sheet
  type: SkyModel
  spectral:
    type: PowerLawSpectralModel
    parameters:
    - {name: index, value: 2.4}
    - {name: amplitude, value: 2.0e-8, unit: TeV-1 s-1 cm-2}
    - {name: reference, value: 1.0, unit: TeV, frozen: true}
  spatial:
    type: ConstantSpatialModel
    parameters:
    - {name: value, value: 1.0, unit: sr-1, frozen: true}
"""


def _background(*, alignment: str = "RADEC", unit: str = "s-1 TeV-1 sr-1"):
    energy = MapAxis.from_energy_edges(np.geomspace(0.2, 50.0, 8), unit="TeV")
    lon = MapAxis.from_edges(np.linspace(-3, 3, 13), unit="deg", name="fov_lon")
    lat = MapAxis.from_edges(np.linspace(-3, 3, 11), unit="deg", name="fov_lat")
    x, y = lon.center.value[:, np.newaxis], lat.center.value
    field = np.exp(-(x**2 + y**2) / 4) * (1 + 0.25 * x + 0.1 * y)
    spectrum = 150.0 * energy.center.value[:, np.newaxis, np.newaxis] ** -2.5
    return Background3D(
        axes=[energy, lon, lat],
        data=spectrum * field,
        unit=unit,
        fov_alignment=alignment,
    )


def _write(
    model: Background2D | Background3D, path: Path, *, creator: str = ""
) -> None:
    hdu = model.to_table_hdu()
    hdu.name = "BACKGROUND"
    hdu.header["HDUCLAS2"] = "BKG"
    hdu.header["FOVALIGN"] = model.fov_alignment.value
    hdu.header["CREATOR"] = creator
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated store in which each run has a model; to be read only."""
    store = tmp_path_factory.mktemp("archive") / "store"
    simulation = Simulation(n_runs=3, first_obs_id=51, duration=600, seed=9)
    write_simulated_store(store, simulation=simulation, truth=Truth())
    _write(_background(alignment="ALTAZ"), store / "bkg.fits")
    _index_models(store)
    return store


def _index_models(store: Path) -> None:
    index = Table.read(store / "hdu-index.fits.gz")
    index.convert_bytestring_to_unicode()
    rows = {name: index[name].tolist() for name in index.colnames}
    for obs_id in OBS_IDS:
        given = {"OBS_ID": obs_id, "HDU_TYPE": "bkg", "HDU_CLASS": "bkg_3d"}
        given |= {"FILE_DIR": ".", "FILE_NAME": "bkg.fits", "HDU_NAME": "BACKGROUND"}
        for name, values in rows.items():
            values.append(given[name])
    Table(rows).write(store / "hdu-index.fits.gz", overwrite=True)


@pytest.fixture
def configure(archive: Path, tmp_path: Path):
    """Read settings: lines of [mixing], and of each component."""

    def make(*lines: str, **components: str) -> SimulateSettings:
        given = {"store": str(archive), "pixel": "0.25 deg", "per_decade": "8"}
        given |= dict(line.split(" = ") for line in lines)
        sections = ["[mixing]", *(f"{key} = {text}" for key, text in given.items())]
        for name, text in components.items():
            keys = "\n".join(text.split("; "))
            sections.append(f"[component:{name}]\n{keys}")
        path = tmp_path / "mixing.cfg"
        path.write_text("\n".join(sections) + "\n", encoding="utf-8")
        return read_simulate_settings(path)

    return make


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _problems(settings: SimulateSettings, folder: Path) -> str:
    with pytest.raises(SettingsError) as raised:
        mix_runs(folder, settings=settings)
    # nothing is written before all inputs are known to be good
    assert not folder.exists()
    return str(raised.value)


def test_own_models_are_drawn_as_gammapy_predicts(configure, archive, tmp_path):
    settings = configure(
        "scale = 3",
        "safe_energy = none",
        "pixel = 0.05 deg",
        "per_decade = 48",
        bkg="type = total",
    )

    provenance = mix_runs(tmp_path / "out", settings=settings)

    (total,) = provenance.totals
    assert (total.n_runs, total.bkg_type) == (3, 1)
    assert total.p_value > 1e-3
    bins = ScoreBins(
        energy_edges=np.geomspace(0.201, 49.9, 5), pixel=0.5, offset_max=2.5
    )
    expected, found = [], []
    for run in read_runs(tmp_path / "out").runs:
        events, _ = read_events(tmp_path / "out", run)
        model = read_store_model(archive, run.obs_id)
        predicted = project_model(model, run, bins=bins, seconds=3 * events.ontime)
        centers = make_geometry(run, bins).to_image().get_coord().skycoord
        inside = centers.separation(centers[centers.shape[0] // 2, 0]).deg >= 0
        expected.append(_coarse(predicted * inside))
        found.append(_histogram(events, run, bins))
    expected, found = sum(expected), sum(found)
    # pixels that are wholly in the field
    middle = slice(2, -2)
    expected, found = expected[:, middle, middle], found[:, middle, middle]
    is_used = expected > 20
    chi_squared = ((found - expected)[is_used] ** 2 / expected[is_used]).sum()
    assert is_used.sum() > 30
    assert chi_squared < is_used.sum() + 4 * np.sqrt(2 * is_used.sum())
    assert (tmp_path / "out" / "mixing.json").is_file()
    assert not (tmp_path / "out" / "parts").exists()


def _coarse(fine: np.ndarray) -> np.ndarray:
    n_side = fine.shape[1] // 5
    return fine.reshape(fine.shape[0], n_side, 5, n_side, 5).sum(axis=(2, 4))


def _histogram(events, run, bins: ScoreBins) -> np.ndarray:
    geometry = make_geometry(run, bins)
    centers = (events.ra, events.dec, events.energy)
    x, y, e = (np.asarray(i) for i in geometry.coord_to_idx(_coords(*centers)))
    fine = np.zeros(geometry.data_shape)
    is_in = (x >= 0) & (y >= 0) & (e >= 0)
    np.add.at(fine, (e[is_in], y[is_in], x[is_in]), 1)
    return _coarse(fine)


def _coords(ra: np.ndarray, dec: np.ndarray, energy: np.ndarray) -> dict[str, object]:
    return {
        "skycoord": SkyCoord(ra, dec, unit="deg", frame="icrs"),
        "energy": energy * u.TeV,
    }


def test_components_have_their_kinds_and_rates(configure, tmp_path):
    (tmp_path / "sheet.yaml").write_text(DIFFUSE)
    _write(_background(), tmp_path / "template.fits")
    settings = configure(
        "runs = 51 53",
        "scale = 2",
        hadrons="type = hadron; model = template.fits; rate = 0.5",
        cosmic="type = electron; scale = 0.5",
        sheet="type = diffuse; model = sheet.yaml; psf = false",
        mine="type = template; model = template.fits; bkg_type = 9; scale = 0.1",
    )

    provenance = mix_runs(tmp_path / "out", settings=settings)

    totals = {total.component: total for total in provenance.totals}
    assert {name: total.bkg_type for name, total in totals.items()} == {
        "hadrons": 1,
        "cosmic": 2,
        "sheet": 4,
        "mine": 9,
    }
    assert totals["hadrons"].expected == pytest.approx(2 * 0.5 * 600 * 2)
    assert all(total.p_value > 1e-4 for total in totals.values())
    (record,) = (
        r for r in provenance.records if (r.obs_id, r.component) == (51, "cosmic")
    )
    assert record.scale == 1.0
    assert record.expected == pytest.approx(record.rate * record.scale * 600)
    for obs_id in (51, 53):
        table = DataStore.from_dir(tmp_path / "out").obs(obs_id).events.table
        drawn = {r.bkg_type: r.drawn for r in provenance.records if r.obs_id == obs_id}
        kinds, numbers = np.unique(table["BKG_TYPE"], return_counts=True)
        assert dict(zip(kinds.tolist(), numbers.tolist(), strict=True)) == drawn
        assert len(np.unique(table["EVENT_ID"])) == len(table)
    assert str(tmp_path / "template.fits") in provenance.inputs
    assert read_provenance(tmp_path / "out" / "mixing.json") == provenance


def test_events_are_in_their_limits(configure, tmp_path):
    settings = configure(
        "offset_max = 1.3 deg",
        "energy_max = 5 TeV",
        "safe_energy_min = 0.7 TeV",
        "runs = 52",
        bkg="type = total; rate = 5",
    )

    mix_runs(tmp_path / "out", settings=settings)

    (run,) = read_runs(tmp_path / "out").runs
    events, _ = read_events(tmp_path / "out", run)
    observation = DataStore.from_dir(tmp_path / "out").obs(52)
    pointing = observation.get_pointing_icrs(observation.tmid)
    assert events.energy.min() == pytest.approx(0.7, rel=0.01)
    assert 4.0 < events.energy.max() <= 5.0
    offset = observation.events.radec.separation(pointing).deg
    assert 1.25 < offset.max() <= 1.3 + 1e-6
    assert (events.time >= events.gti.min() - 1e-10).all()
    assert (events.time <= events.gti.max() + 1e-10).all()


def test_equal_seeds_give_equal_files_on_any_number_of_workers(configure, tmp_path):
    given = {"bkg": "type = hadron", "e": "type = electron"}
    for name, workers in (("one", 1), ("two", 2)):
        mix_runs(tmp_path / name, settings=configure(**given), workers=workers)
    mix_runs(tmp_path / "other", settings=configure("seed = 2", **given))

    one = _contents(tmp_path / "one")
    assert one == _contents(tmp_path / "two")
    assert len(one) == 3 + 2 + 1
    assert (
        one["data/run_51.fits.gz"]
        != (_contents(tmp_path / "other")["data/run_51.fits.gz"])
    )


def test_a_component_does_not_depend_on_others_nor_on_other_runs(configure, tmp_path):
    both = configure(bkg="type = total", sheet="type = template; model = own.fits")
    _write(_background(), tmp_path / "own.fits")
    alone = configure("runs = 53", bkg="type = total")

    first = mix_runs(tmp_path / "both", settings=both).records
    second = mix_runs(tmp_path / "alone", settings=alone).records

    assert [r for r in first if (r.obs_id, r.component) == (53, "bkg")] == [*second]


def test_a_killed_call_goes_on(configure, tmp_path, monkeypatch):
    settings = configure(bkg="type = total")
    mix_runs(tmp_path / "whole", settings=settings)
    drawn = []
    original = mixing._draw

    def draw(name, run, given):
        drawn.append(run.obs_id)
        if drawn == [51, 52]:
            raise KeyboardInterrupt
        return original(name, run, given)

    monkeypatch.setattr(mixing, "_draw", draw)
    with pytest.raises(KeyboardInterrupt):
        mix_runs(tmp_path / "out", settings=settings)
    assert not (tmp_path / "out" / "mixing.json").exists()

    mix_runs(tmp_path / "out", settings=settings)

    assert drawn == [51, 52, 52, 53]
    assert _contents(tmp_path / "out") == _contents(tmp_path / "whole")


def test_what_a_killed_call_of_other_settings_left_is_made_anew(configure, tmp_path):
    parts = tmp_path / "out" / "parts"
    settings = configure(bkg="type = total")
    mix_runs(tmp_path / "whole", settings=settings)
    mix_runs(tmp_path / "out", settings=configure("seed = 5", bkg="type = total"))
    found = read_provenance(tmp_path / "out" / "mixing.json")
    (tmp_path / "out" / "mixing.json").unlink()
    parts.mkdir()
    text = json.dumps({"program": "x", "method": "mixing", "seed": 5})
    (parts / "51.json").write_text(text)

    again = mix_runs(tmp_path / "out", settings=settings)

    assert again != found
    assert _contents(tmp_path / "out") == _contents(tmp_path / "whole")


def test_a_finished_call_does_nothing(configure, tmp_path, monkeypatch):
    settings = configure(bkg="type = total")
    first = mix_runs(tmp_path / "out", settings=settings)
    monkeypatch.setattr(mixing, "_draw", None)

    assert mix_runs(tmp_path / "out", settings=settings) == first


def test_a_folder_of_other_settings_is_refused(configure, tmp_path):
    mix_runs(tmp_path / "out", settings=configure(bkg="type = total"))

    with pytest.raises(OutputError, match=r"other settings.*Name another folder"):
        mix_runs(tmp_path / "out", settings=configure(bkg="type = total; scale = 2"))


def test_a_finished_folder_that_lacks_a_run_is_refused(configure, tmp_path):
    settings = configure(bkg="type = total")
    mix_runs(tmp_path / "out", settings=settings)
    (tmp_path / "out" / "data" / "run_52.fits.gz").unlink()

    with pytest.raises(OutputError, match="lacks some of them"):
        mix_runs(tmp_path / "out", settings=settings)


def test_the_source_itself_and_other_stores_are_refused(configure, archive):
    settings = configure(bkg="type = total")
    before = _contents(archive)

    with pytest.raises(OutputError, match=r"holds another data store"):
        mix_runs(archive, settings=settings)

    assert _contents(archive) == before


def test_all_problems_of_settings_are_told_at_once(configure, tmp_path):
    (tmp_path / "none.yaml").write_text("components: []\n")
    (tmp_path / "text.fits").write_text("not FITS")
    settings = configure(
        "energy_min = 2 TeV",
        "energy_max = 1 TeV",
        all="type = total; rate = 1; scale = 2",
        again="type = total",
        rays="type = electron; model = own",
        mu="type = muon",
        sheet="type = diffuse; model = none.yaml",
        bad="type = template; model = text.fits",
        gone="type = template; model = gone.fits",
    )

    told = _problems(settings, tmp_path / "out")

    for sentence in (
        "[mixing] energy_min: is not below energy_max",
        "[component:all] rate, scale: only one of them",
        "[component:rays] model: own is no model of type = electron",
        "[component:mu] model: type = muon needs a file",
        "[component:sheet] model:",
        "[component:bad] model:",
        "[component:gone] model:",
        "[component:again] and [component:all]: two totals",
        "[component:all] and [component:rays]: a total holds electron events",
        "[component:all] and [component:mu]: a total holds muon events",
    ):
        assert sentence in told
    assert "[mixing] runs" in told  # the fix


def test_nothing_to_draw_and_no_store_are_problems(tmp_path):
    told = _problems(read_simulate_settings(None), tmp_path / "out")

    assert "[mixing] store: is required" in told
    assert "[component:NAME]: there is none" in told


def test_one_model_twice_is_counted_twice(configure, tmp_path):
    _write(_background(), tmp_path / "a.fits")
    given = "type = hadron; model = a.fits"

    told = _problems(configure(one=given, two=given), tmp_path / "out")

    assert "they draw the same model twice; use scale" in told


def test_all_problems_of_runs_are_told_at_once(configure, archive, tmp_path):
    (tmp_path / "copy").mkdir()
    for name, content in _contents(archive).items():
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    runs = read_runs(tmp_path / "copy").runs
    (tmp_path / "copy" / runs[0].events_file).unlink()
    (tmp_path / "copy" / runs[2].events_file).write_bytes(b"SIMPLE")
    (tmp_path / "copy" / "bkg.fits").unlink()
    settings = configure(
        f"store = {tmp_path / 'copy'}", "runs = 51 52 53 99", bkg="type = total"
    )

    told = _problems(settings, tmp_path / "out")

    assert "[mixing] runs: 99 is not in the store" in told
    assert "run 51" in told
    assert "run 53" in told
    assert told.count("component bkg") == 3


def test_signal_stays_and_measured_events_are_refused(configure, archive, tmp_path):
    settings = configure("keep_events = true", bkg="type = total; rate = 1")
    told = _problems(settings, tmp_path / "out")
    assert told.count("keep_events, but") == 3

    signal = tmp_path / "signal"
    for name, content in _contents(archive).items():
        (signal / name).parent.mkdir(parents=True, exist_ok=True)
        (signal / name).write_bytes(content)
    n_own = [_mark_as_signal(signal / r.events_file) for r in read_runs(signal).runs]
    settings = configure(
        f"store = {signal}", "keep_events = true", bkg="type = total; rate = 1"
    )

    mix_runs(tmp_path / "kept", settings=settings)

    for obs_id, n_events in zip(OBS_IDS, n_own, strict=True):
        table = DataStore.from_dir(tmp_path / "kept").obs(obs_id).events.table
        assert (table["BKG_TYPE"] == 0).sum() == n_events
        assert (table["BKG_TYPE"] == 1).sum() > 300
    again = configure(
        f"store = {tmp_path / 'kept'}", "keep_events = true", bkg="type = total"
    )
    told = _problems(again, tmp_path / "out")
    assert "events have a BKG_TYPE" in told


def _mark_as_signal(path: Path) -> int:
    with fits.open(path) as hdus:
        events = hdus["EVENTS"]
        n_events = min(20, len(events.data))
        columns = [
            fits.Column(c.name, c.format, unit=c.unit, array=events.data[c.name][:20])
            for c in events.columns
            if c.name not in {"MC_ID", "BKG_TYPE"}
        ]
        columns.append(fits.Column("MC_ID", "J", array=np.ones(n_events)))
        marked = fits.BinTableHDU.from_columns(
            columns, header=events.header, name="EVENTS"
        )
        rest = [hdu.copy() for hdu in hdus if hdu.name not in {"EVENTS", "PRIMARY"}]
        new = fits.HDUList([fits.PrimaryHDU(), marked, *rest])
    new.writeto(path, overwrite=True, checksum=True)
    return n_events


def test_no_energy_left_is_a_problem(configure, tmp_path):
    settings = configure("safe_energy_min = 60 TeV", bkg="type = total")

    told = _problems(settings, tmp_path / "out")

    assert "run 51, component bkg: no energy is left, from 60 to 50 TeV" in told


def test_a_rate_of_zero_draws_nothing(configure, tmp_path):
    settings = configure("runs = 51", bkg="type = total; rate = 0")

    (record,) = mix_runs(tmp_path / "out", settings=settings).records

    assert (record.expected, record.drawn) == (0.0, 0)


def test_a_model_without_rate_cannot_be_scaled_to_one(configure, tmp_path):
    model = _background()
    model.data *= 0.0
    _write(model, tmp_path / "zero.fits")
    settings = configure("runs = 51", bkg="type = hadron; model = zero.fits; rate = 1")

    with pytest.raises(InputError, match="the model of bkg has no rate in the field"):
        mix_runs(tmp_path / "out", settings=settings)
