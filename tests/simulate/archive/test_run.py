from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from gammapy.data import GTI, DataStore, Observation
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker
from gammapy.maps import MapAxis, WcsGeom

from bkgpipe.core.run import Events, Run
from bkgpipe.errors import OutputError
from bkgpipe.simulate.archive.data import SimulatedEvents
from bkgpipe.simulate.archive.index import write_simulated_index
from bkgpipe.simulate.archive.layouts import LAYOUTS
from bkgpipe.simulate.archive.responses import RESPONSE_FILE, write_responses
from bkgpipe.simulate.archive.run import write_simulated_gti, write_simulated_run

N_EVENTS = {1001: 200, 1002: 0}


def _run(obs_id: int = 1001) -> Run:
    return Run(
        obs_id=obs_id,
        target=f"Field {obs_id}",
        ra=192.5,
        dec=-11.8,
        zenith=22.2,
        azimuth=297.4,
        ontime=600.0,
        livetime=540.0,
        deadc=0.9,
        time_start=55000.8,
        time_stop=55000.8 + 600.0 / 86400.0,
        muon_efficiency=1.0,
        nsb=float("nan"),
        telescopes="1,2,3,4",
        quality=0,
        safe_energy_min=0.1,
        longitude=16.5002222,
        latitude=-23.2717777,
        altitude=1835.0,
        events_file=f"data/run_{obs_id}.fits.gz",
        events_hdu="EVENTS",
        file_size=-1,
        file_time=0,
    )


def _events(run: Run, n_events: int) -> Events:
    rng = np.random.default_rng(1)
    return Events(
        obs_id=run.obs_id,
        ra=rng.uniform(run.ra - 1.0, run.ra + 1.0, n_events),
        dec=rng.uniform(run.dec - 1.0, run.dec + 1.0, n_events),
        energy=rng.uniform(0.5, 5.0, n_events),
        time=np.sort(rng.uniform(run.time_start, run.time_stop, n_events)),
        gti=np.array([[run.time_start, run.time_stop]]),
    )


def _simulated(events: Events) -> SimulatedEvents:
    bkg_type = (np.arange(events.n_events) % 3 > 0).astype(np.int16)
    return SimulatedEvents(events=events, bkg_type=bkg_type)


def _write_store(store: Path) -> tuple[Run, ...]:
    (store / "data").mkdir(parents=True)
    runs = tuple(_run(obs_id) for obs_id in N_EVENTS)
    for run in runs:
        simulated = _simulated(_events(run, N_EVENTS[run.obs_id]))
        write_simulated_run(store / run.events_file, run, simulated)
    write_responses(store / RESPONSE_FILE)
    write_simulated_index(store, runs)
    return runs


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "store"
    _write_store(folder)
    return folder


@pytest.fixture(scope="module")
def observation(store: Path) -> Observation:
    irfs = ["aeff", "edisp", "psf"]
    return DataStore.from_dir(store).get_observations([1001], required_irf=irfs)[0]


def test_gammapy_reads_the_events_back(observation: Observation) -> None:
    run, events = _run(), _events(_run(), 200)
    table = observation.events.table
    assert list(table["EVENT_ID"]) == list(range(1, 201))
    assert list(table["BKG_TYPE"][:4]) == [0, 1, 1, 0]
    np.testing.assert_allclose(table["RA"].quantity.to_value("deg"), events.ra)
    np.testing.assert_allclose(table["DEC"].quantity.to_value("deg"), events.dec)
    np.testing.assert_allclose(table["ENERGY"].quantity.to_value("TeV"), events.energy)
    seconds = (observation.events.time.tt.mjd - events.time) * 86400.0
    assert np.abs(seconds).max() < 1e-4
    assert observation.events.meta.creation.creator.startswith("bkgpipe")
    assert observation.gti.time_sum.to_value("s") == pytest.approx(run.ontime)


def test_gammapy_knows_place_pointing_and_dead_time(observation: Observation) -> None:
    run = _run()
    assert observation.observation_live_time_duration.to_value("s") == pytest.approx(
        run.livetime
    )
    pointing = observation.get_pointing_icrs(observation.tmid)
    assert (pointing.ra.deg, pointing.dec.deg) == pytest.approx((run.ra, run.dec))
    place = observation.observatory_earth_location.to_geodetic()
    assert place.lon.deg == pytest.approx(run.longitude)
    assert place.lat.deg == pytest.approx(run.latitude)
    assert place.height.to_value("m") == pytest.approx(run.altitude)


def test_gammapy_makes_maps_of_the_store(observation: Observation) -> None:
    energy = MapAxis.from_energy_bounds("0.3 TeV", "10 TeV", nbin=3)
    energy_true = MapAxis.from_energy_bounds(
        "0.2 TeV", "20 TeV", nbin=5, name="energy_true"
    )
    skydir = observation.get_pointing_icrs(observation.tmid)
    geom = WcsGeom.create(skydir=skydir, width=4.0, binsz=0.5, axes=[energy])
    empty = MapDataset.create(geom, energy_axis_true=energy_true)
    maker = MapDatasetMaker(selection=["counts", "exposure", "edisp", "psf"])
    dataset = maker.run(empty, observation)
    assert dataset.counts.data.sum() == 200
    assert (dataset.exposure.data > 0).all()
    kernel = dataset.edisp.get_edisp_kernel(energy_axis=energy)
    assert kernel.pdf_matrix.sum(axis=1)[1:4] == pytest.approx(1.0, abs=0.02)
    radius = dataset.psf.containment_radius(fraction=0.393, energy_true=1 * u.TeV)
    assert radius.to_value("deg") == pytest.approx(0.07, abs=0.005)


def test_run_without_events_is_valid(store: Path) -> None:
    observation = DataStore.from_dir(store).obs(1002, required_irf=["aeff"])
    assert len(observation.events.table) == 0
    assert observation.gti.time_sum.to_value("s") == pytest.approx(600.0)


def test_observation_table_tells_all_that_selection_needs(store: Path) -> None:
    table = Table.read(store / "obs-index.fits.gz")
    row, run = table[0], _run()
    expected = {
        "OBS_ID": run.obs_id,
        "RA_PNT": run.ra,
        "DEC_PNT": run.dec,
        "ZEN_PNT": run.zenith,
        "ALT_PNT": 90.0 - run.zenith,
        "AZ_PNT": run.azimuth,
        "ONTIME": run.ontime,
        "LIVETIME": run.livetime,
        "DEADC": run.deadc,
        "MUONEFF": 1.0,
        "QUALITY": 0,
        "N_TELS": 4,
        "SAFE_ENERGY_LO": 0.1,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value), name
    assert row["OBJECT"] == "Field 1001"
    assert row["TSTOP"] - row["TSTART"] == pytest.approx(600.0, abs=1e-3)
    assert table["ZEN_PNT"].unit == u.deg
    assert table["SAFE_ENERGY_LO"].unit == u.TeV
    assert table.meta["GEOLON"] == pytest.approx(run.longitude)
    assert table.meta["HDUCLAS2"] == "OBS"


def test_hdu_table_names_what_is_there(store: Path) -> None:
    table = Table.read(store / "hdu-index.fits.gz")
    assert len(table) == 2 * 5
    for row in table:
        with fits.open(store / row["FILE_DIR"] / row["FILE_NAME"]) as hdus:
            assert row["HDU_NAME"] in [hdu.name for hdu in hdus]


def test_equal_input_gives_equal_bytes(store: Path, tmp_path: Path) -> None:
    _write_store(tmp_path / "again")
    files = sorted(path for path in store.rglob("*") if path.is_file())
    assert len(files) == 5
    for path in files:
        again = tmp_path / "again" / path.relative_to(store)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_missing_folders_are_named(tmp_path: Path) -> None:
    absent, run = tmp_path / "absent", _run()
    for write in (
        lambda: write_simulated_run(
            absent / "run.fits", run, _simulated(_events(run, 3))
        ),
        lambda: write_simulated_index(absent, (run,)),
        lambda: write_responses(absent / "irfs.fits.gz"),
    ):
        with pytest.raises(OutputError, match=r"absent/.*existing folder"):
            write()


def test_runs_keep_their_own_place(tmp_path: Path) -> None:
    run = replace(_run(), longitude=-17.9)
    write_simulated_run(tmp_path / "run.fits.gz", run, _simulated(_events(run, 5)))
    header = fits.getheader(tmp_path / "run.fits.gz", "EVENTS")
    assert header["GEOLON"] == -17.9
    assert header["TELESCOP"] == "SIMTEL"
    assert header["OBS_MODE"] == "POINTING"


def test_what_is_not_known_or_not_ascii_stays_out_of_headers(tmp_path: Path) -> None:
    nan = float("nan")
    run = replace(_run(), target="Källe", muon_efficiency=nan, altitude=nan)
    simulated = _simulated(_events(run, 2))
    write_simulated_run(tmp_path / "run.fits.gz", run, simulated)
    header = fits.getheader(tmp_path / "run.fits.gz", "EVENTS")
    assert header["OBJECT"] == "K?lle"
    assert "MUONEFF" not in header
    assert "ALTITUDE" not in header
    assert header["GEOLON"] == run.longitude
    write_simulated_index(tmp_path, (run,))
    assert Table.read(tmp_path / "obs-index.fits.gz")["OBJECT"][0] == "K?lle"


def test_files_are_those_of_astropy(tmp_path: Path) -> None:
    run = _run()
    write_simulated_run(tmp_path / "run.fits.gz", run, _simulated(_events(run, 7)))
    with fits.open(tmp_path / "run.fits.gz") as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "EVENTS", "GTI"]
        assert hdus["EVENTS"].data["BKG_TYPE"].dtype == np.dtype(">i2")
        assert len(hdus["EVENTS"].data) == 7


def test_several_intervals_are_read_back(tmp_path: Path) -> None:
    run = _run()
    start, stop = run.time_start, run.time_stop
    gti = np.array([[start, start + 0.001], [start + 0.002, stop]])
    events = replace(_events(run, 4), gti=gti)
    write_simulated_run(tmp_path / "run.fits.gz", run, _simulated(events))
    found = GTI.read(tmp_path / "run.fits.gz")
    seconds = np.diff(gti)[:, 0] * 86400.0
    np.testing.assert_allclose(found.time_delta.to_value("s"), seconds, atol=1e-4)


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("hess", ["PRIMARY", "EVENTS", "GTI"]),
        ("renamed-gti", ["PRIMARY", "GTI0", "EVENTS"]),
        ("lst", ["PRIMARY", "EVENTS", "GTI", "POINTING"]),
        ("split", ["PRIMARY", "EVENTS_STD"]),
        ("undated", ["PRIMARY", "EVENTS"]),
    ],
)
def test_a_layout_says_which_hdus_there_are(
    layout: str, names: list[str], tmp_path: Path
) -> None:
    run = _run()
    simulated = _simulated(_events(run, 7))
    write_simulated_run(tmp_path / "run", run, simulated, LAYOUTS[layout])
    with fits.open(tmp_path / "run") as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == names


def test_a_layout_chooses_units_types_and_keywords(tmp_path: Path) -> None:
    run, events = _run(), _events(_run(), 7)
    for layout in ("units", "full", "fact", "lower-case"):
        write_simulated_run(tmp_path / layout, run, _simulated(events), LAYOUTS[layout])
    table = Table.read(tmp_path / "units", hdu="EVENTS")
    np.testing.assert_allclose(table["ENERGY"].to("TeV").value, events.energy)
    np.testing.assert_allclose(table["RA"].to("deg").value, events.ra)
    assert (str(table["ENERGY"].unit), str(table["TIME"].unit)) == ("GeV", "d")
    full = Table.read(tmp_path / "full", hdu="EVENTS")
    assert full["ENERGY"].dtype == np.dtype(">f4")
    assert full["TIME"].dtype == np.dtype(">f8")
    assert full["EVENT_TYPE"].shape == (7, 32)
    header = fits.getheader(tmp_path / "fact", "EVENTS")
    assert not {"OBS_ID", "RA_PNT", "RADECSYS"} & set(header)
    assert (header["TIMESYS"], header["MJDREFI"]) == ("utc", 55835)
    lower = Table.read(tmp_path / "lower-case", hdu="EVENTS")
    assert {"ra", "dec", "energy", "time"} <= set(lower.colnames)
    assert fits.getheader(tmp_path / "lower-case", 1)["RADESYS"] == "ICRS"


def test_good_time_is_written_into_a_file_of_its_own(tmp_path: Path) -> None:
    run = _run()
    gti = np.array([[run.time_start, run.time_stop]])
    write_simulated_gti(tmp_path / "gti", gti, LAYOUTS["split"])
    found = GTI.read(tmp_path / "gti", hdu="STDGTI")
    assert found.time_sum.to_value("s") == pytest.approx(600.0)
