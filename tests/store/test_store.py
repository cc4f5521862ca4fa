from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time
from spoilt import INDEXES

from bkgpipe.core.run import Run
from bkgpipe.errors import DriftScanError, InputError
from bkgpipe.store.store import read_events, read_runs, require_store

StoreMaker = Callable[..., Path]


def test_runs_come_in_order_and_so_does_the_table(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["OBJECT"] = ["nine", "seven", "eight"]
    store = make_store(observations, hdu_rows)

    table = read_runs(store)

    assert [run.obs_id for run in table.runs] == [7, 8, 9]
    assert [run.target for run in table.runs] == ["seven", "eight", "nine"]
    assert table.observations["OBS_ID"].tolist() == [7, 8, 9]
    assert table.observations["OBJECT"].tolist() == ["seven", "eight", "nine"]


def test_missing_columns_are_unknown(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    run = read_runs(make_store(observations, hdu_rows)).runs[0]

    unknown = ("zenith", "azimuth", "ontime", "livetime", "deadc", "time_start")
    unknown += ("time_stop", "muon_efficiency", "nsb", "safe_energy_min")
    unknown += ("longitude", "latitude", "altitude")
    assert all(np.isnan(getattr(run, name)) for name in unknown)
    assert (run.target, run.telescopes, run.quality) == ("", "", -1)
    assert (run.ra, run.dec) == (83.63, 22.51)


def test_values_are_plain(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["QUALITY"] = [0, 1, 2]
    for run in read_runs(make_store(observations, hdu_rows)).runs:
        kinds = {type(getattr(run, name)) for name in Run.__dataclass_fields__}
        assert kinds <= {int, float, str, bool}


def test_all_columns(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["zen_pnt"] = [10.0, 20.0, 30.0]
    observations["AZ_PNT"] = np.radians([10.0, 350.0, 30.0])
    observations["AZ_PNT"].unit = "rad"
    observations["ONTIME"] = [0.5, 0.25, 0.5]
    observations["ONTIME"].unit = "h"
    observations["LIVETIME"] = [1700.0, 720.0, 1600.0]
    observations["QUALITY"] = [0, 1, 2]
    observations["MUONEFF"] = [0.7, 0.8, 0.9]
    observations["NSBLEVEL"] = [1.0, 2.0, 3.0]
    observations["TELLIST"] = ["1,2", "1,2,3,4", "3,4"]
    observations["SAFE_ENERGY_LO"] = [100.0, 200.0, 300.0]
    observations["SAFE_ENERGY_LO"].unit = "GeV"
    observations.meta["GEOLON"] = "16.5002222222222"
    observations.meta["GEOLAT"] = -23.27
    observations.meta["ALTITUDE"] = "1835.   "

    run = read_runs(make_store(observations, hdu_rows)).runs[0]

    assert (run.zenith, run.ontime, run.livetime) == (20.0, 900.0, 720.0)
    assert run.azimuth == pytest.approx(350.0)
    assert run.deadc == pytest.approx(0.8)
    assert (run.quality, run.muon_efficiency, run.nsb) == (1, 0.8, 2.0)
    assert run.telescopes == "1,2,3,4"
    assert run.safe_energy_min == pytest.approx(0.2)
    assert (run.longitude, run.latitude) == (16.5002222222222, -23.27)
    assert run.altitude == 1835.0


def test_values_from_others(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["ALT_PNT"] = [80.0, 70.0, 60.0]
    observations["ONTIME"] = [1000.0, 2000.0, np.nan]
    observations["LIVETIME"] = [np.nan, np.nan, 900.0]
    observations["DEADC"] = [0.9, 0.8, 0.9]
    observations["NSB"] = [4.0, 5.0, 6.0]
    observations["TARGET_NAME"] = ["a", "b", "c"]
    observations.meta |= {"OBSGEO-L": 1.0, "OBSGEO-B": 2.0, "OBSGEO-H": 3.0}

    seven, eight, _ = read_runs(make_store(observations, hdu_rows)).runs

    assert (seven.zenith, seven.livetime, seven.nsb) == (20.0, 1600.0, 5.0)
    assert eight.ontime == pytest.approx(1000.0)
    assert seven.target == "b"
    assert (seven.longitude, seven.latitude, seven.altitude) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("scale", ["TT", "UTC"])
def test_times(
    make_store: StoreMaker, observations: Table, hdu_rows: Table, scale: str
) -> None:
    observations["TSTART"] = [0.0, 86400.0, 0.0]
    observations["TSTOP"] = [0.0, 25.0, 0.0]
    observations["TSTOP"].unit = "h"
    observations.meta["TIMESYS"] = scale
    meta = observations.meta
    zero = Time(meta["MJDREFI"], meta["MJDREFF"], format="mjd", scale=scale.lower())

    run = read_runs(make_store(observations, hdu_rows)).runs[0]

    assert run.time_start == pytest.approx(zero.tt.mjd + 1.0, abs=1e-10)
    assert run.time_stop == pytest.approx(zero.tt.mjd + 25.0 / 24.0, abs=1e-10)


def test_wrong_unit(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["TSTOP"] = [0.0, 25.0, 0.0]
    observations["TSTOP"].unit = "m"
    store = make_store(observations, hdu_rows)
    with pytest.raises(
        InputError, match=r"fits, TSTOP: has unit 'm'.*Correct the unit"
    ):
        read_runs(store)


def test_run_numbers_as_words(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["OBS_ID"] = ["9", "12345678901", "8"]
    hdu_rows["OBS_ID"] = [12345678901, 12345678901, 8]
    runs = read_runs(make_store(observations, hdu_rows, ending=".fits.gz")).runs
    assert [run.obs_id for run in runs] == [8, 9, 12345678901]
    assert runs[2].events_file == "data/run_7.fits"


def test_files_are_looked_at(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    store = make_store(observations, hdu_rows)
    file = store / "data" / "run_7.fits"
    file.write_bytes(b"12345")
    os.utime(file, ns=(1, 1_700_000_000_123_456_789))

    seven, eight, nine = read_runs(store).runs

    assert (seven.events_file, seven.events_hdu) == ("data/run_7.fits", "EVENTS")
    assert (seven.file_size, seven.file_time) == (5, file.stat().st_mtime_ns)
    assert (eight.events_file, eight.file_size, eight.file_time) == (
        "data/run_8.fits",
        -1,
        0,
    )
    assert (nine.events_file, nine.events_hdu, nine.file_size) == ("", "", -1)


@pytest.mark.parametrize(
    "place",
    [
        ("..", "secret"),
        ("data", "../../secret"),
        ("/etc", "hostname"),
        ("out", "secret"),
    ],
)
def test_files_outside_the_store_are_not_touched(
    make_store: StoreMaker, observations: Table, hdu_rows: Table, place: tuple[str, str]
) -> None:
    hdu_rows["FILE_DIR"] = [place[0]] * 3
    hdu_rows["FILE_NAME"] = [place[1]] * 3
    store = make_store(observations, hdu_rows)
    (store.parent / "secret").write_bytes(b"12345")
    (store / "out").symlink_to(store.parent)

    run = read_runs(store).runs[0]

    assert (run.file_size, run.file_time) == (-1, 0)
    with pytest.raises(InputError, match=r"run 7 .*outside the store.*data. allow"):
        read_events(store, run)


def test_link_out_of_the_store_is_not_followed(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    store = make_store(observations, hdu_rows)
    (store.parent / "secret").write_bytes(b"12345")
    (store / "data" / "run_7.fits").symlink_to(store.parent / "secret")
    (store / "data" / "run_8.fits").symlink_to(store / "obs-index.fits")

    seven, eight, _ = read_runs(store).runs

    assert seven.file_size == -1
    assert eight.file_size == (store / "obs-index.fits").stat().st_size


def test_missing_folder(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    hdu_rows["FILE_DIR"] = ["absent"] * 3
    run = read_runs(make_store(observations, hdu_rows)).runs[0]
    assert (run.events_file, run.file_size) == ("absent/run_7.fits", -1)


def test_absolute_path_within_the_store(
    make_store: StoreMaker, observations: Table, hdu_rows: Table, tmp_path: Path
) -> None:
    hdu_rows["FILE_DIR"] = [str(tmp_path / "store" / "data")] * 3
    store = make_store(observations, hdu_rows)
    (store / "data" / "run_7.fits").write_bytes(b"12345")

    run = read_runs(store).runs[0]

    assert (run.events_file, run.file_size) == ("data/run_7.fits", 5)


def test_missing_index_files(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    store = make_store(observations, hdu_rows)
    (store / "hdu-index.fits").unlink()
    with pytest.raises(InputError, match=r"store: hdu-index\.fits.*Set \[data\] store"):
        read_runs(store)
    (store / "obs-index.fits").unlink()
    with pytest.raises(InputError, match=r"store: obs-index\.fits.*Set \[data\] store"):
        read_runs(store)


def test_run_that_occurs_twice(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["OBS_ID"] = [7, 8, 7]
    store = make_store(observations, hdu_rows)
    with pytest.raises(InputError, match=r"obs-index\.fits: .*first is 7\. Leave one"):
        read_runs(store)


@pytest.mark.parametrize("place", ["column", "header", "events"])
def test_drift_arrays_are_refused_as_such(
    make_store: StoreMaker,
    make_events: Callable[..., fits.HDUList],
    observations: Table,
    hdu_rows: Table,
    *,
    place: str,
) -> None:
    observations.remove_columns(["RA_PNT", "DEC_PNT"])
    if place == "column":
        observations["OBS_MODE"] = "DRIFT"
    if place == "header":
        observations.meta["OBS_MODE"] = "DRIFT"
    store = make_store(observations, hdu_rows)
    header = {"OBS_MODE": "DRIFT"} if place == "events" else {}
    make_events(header=header).writeto(store / "data" / "run_7.fits")

    with pytest.raises(
        DriftScanError, match=r"obs-index\.fits: .*DRIFT.*HAWC.*Use a store of pointed"
    ):
        read_runs(store)


def test_a_drift_scan_among_pointed_runs_refuses_no_store(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    modes = ["POINTING"] * len(observations)
    observations["OBS_MODE"] = ["DRIFT", *modes[1:]]

    assert len(read_runs(make_store(observations, hdu_rows)).runs) == len(observations)


def test_column_of_words_where_numbers_belong(
    make_store: StoreMaker, observations: Table, hdu_rows: Table
) -> None:
    observations["ONTIME"] = ["long", "short", "10"]
    store = make_store(observations, hdu_rows)
    with pytest.raises(InputError, match=r"obs-index\.fits, ONTIME: .*Correct the"):
        read_runs(store)


def test_no_runs(make_store: StoreMaker, observations: Table, hdu_rows: Table) -> None:
    assert read_runs(make_store(observations[:0], hdu_rows)).runs == ()


def test_hess_store(hess_store: Path) -> None:
    table = read_runs(hess_store)

    assert len(table.runs) == 105
    assert sum(run.livetime for run in table.runs) / 3600 == pytest.approx(44.788, 1e-4)
    run = table.runs[0]
    assert (run.obs_id, run.target, run.telescopes) == (20136, "MSH15-52", "1,2,3,4")
    start = Time("2004-03-26T02:57:46.184", scale="utc")
    # the index gives local dates in TT
    assert run.time_start == pytest.approx(start.mjd, abs=0.01)
    assert (run.longitude, run.altitude) == (16.5002222222222, 1835.0)
    assert run.safe_energy_min == pytest.approx(0.40738, 1e-4)
    deadc = table.column("deadc")
    assert deadc.min() == pytest.approx(0.825, abs=1e-3)
    assert deadc.max() == pytest.approx(0.977, abs=1e-3)
    np.testing.assert_allclose(
        table.column("livetime"), table.column("ontime") * deadc, rtol=1e-5
    )
    assert (table.column("file_size") > 0).all()


@pytest.fixture
def small_store(make_store, observations, hdu_rows) -> Callable[..., Path]:
    """Write the store after a change of its observation index."""

    def make(change: Callable[[Table], None]) -> Path:
        change(observations)
        return make_store(observations, hdu_rows)

    return make


@pytest.mark.parametrize(("change", "told"), INDEXES.values(), ids=INDEXES)
def test_damaged_observation_index(small_store, change, told):
    store = small_store(change)
    with pytest.raises(InputError, match=rf"obs-index\.fits.*{told}"):
        read_runs(store)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"NAXIS2  =                    3", b"NAXIS2  =           1000000000"),
        (b"NAXIS1  =                   24", b"NAXIS1  =        9999999999999"),
        (b"TFORM2  = 'D       '", b"TFORM2  = '99999999D'"),
        (b"TFORM2  = 'D       '", b"TUNIT2  = '9**99999'"),
        (b"XTENSION= 'BINTABLE'", b"XTENSION= 'IMAGE   '"),
    ],
)
def test_index_that_claims_too_much(small_store, old, new):
    store = small_store(lambda _: None)
    path = store / "obs-index.fits"
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(InputError, match=r"obs-index\.fits: the FITS file is damaged"):
        read_runs(store)


def test_odd_quality_is_unknown(make_store, observations, hdu_rows):
    observations["QUALITY"] = [1e30, np.nan, 2.0]
    runs = read_runs(make_store(observations, hdu_rows)).runs
    assert [run.quality for run in runs] == [-1, 2, -1]


@pytest.mark.parametrize("name", ["obs-index", "hdu-index"])
def test_a_store_that_is_gone(
    make_store: StoreMaker, observations: Table, hdu_rows: Table, name: str
) -> None:
    store = make_store(observations, hdu_rows)
    require_store(store)
    for path in store.glob(f"{name}*"):
        path.unlink()

    with pytest.raises(InputError, match=f"the store is gone.*{name}.fits") as caught:
        require_store(store)

    assert caught.value.where == str(store)
    assert "Bring it back" in caught.value.fix


@pytest.mark.parametrize(
    ("folder", "file", "hdu", "expected"),
    [
        ("data", "run_7.fits", "GTI", ("", "")),
        ("./data/", "run_7.fits", "gti", ("", "")),
        ("data", "run_7.fits", "STDGTI", ("", "STDGTI")),
        ("gti", "7.fits", "GTI", ("gti/7.fits", "")),
        ("gti", "7.fits", "EVENTS", ("gti/7.fits", "EVENTS")),
        # rows as in the index of the CTA data challenge
        ("data", "run_7.fits", "EVENTS", ("", "")),
        ("data", "run_7.fits", "", ("", "")),
    ],
)
def test_good_time_is_where_the_index_says(
    folder: str,
    file: str,
    hdu: str,
    expected: tuple[str, str],
    *,
    make_store: StoreMaker,
    observations: Table,
    hdu_rows: Table,
) -> None:
    rows = [*hdu_rows.as_array().tolist(), (7, "gti", folder, file, hdu)]
    store = make_store(observations, Table(rows=rows, names=hdu_rows.colnames))

    seven, eight, _ = read_runs(store).runs

    assert (seven.gti_file, seven.gti_hdu) == expected
    assert (eight.gti_file, eight.gti_hdu) == ("", "")


def test_a_second_events_file_is_named(make_store, observations, hdu_rows):
    hdu_rows.add_row([8, "events", "data", "run_8_v2.fits", "EVENTS"])

    table = read_runs(make_store(observations, hdu_rows))

    (doubt,) = table.doubts
    assert "run 8: the HDU index names 2 entries of type events" in doubt
    assert "data/run_8.fits is taken, as by gammapy, and data/run_8_v2.fits is" in doubt
    assert table.runs[1].events_file == "data/run_8.fits"


def test_numbers_as_words_and_unknown_ones(make_store, observations, hdu_rows):
    observations["ONTIME"] = ["1680.0", "", "nan"]
    observations["ZEN_PNT"] = [np.inf, 20.0, np.nan]

    runs = read_runs(make_store(observations, hdu_rows)).runs

    assert runs[2].ontime == 1680.0
    assert np.isnan([run.ontime for run in runs[:2]]).all()
    assert runs[0].zenith == 20.0
    assert np.isnan([run.zenith for run in runs[1:]]).all()


def test_odd_cards_in_the_header_of_an_index(make_store, observations, hdu_rows):
    observations.meta |= {"GEOLON": 1.5, "ORIGIN": "HESSxCOLL"}
    store = make_store(observations, hdu_rows)
    path = store / "obs-index.fits"
    content = path.read_bytes().replace(b"HESSxCOLL", b"HESS\tCOLL")
    content = content.replace(
        b"GEOLON  =                  1.5", b"GEOLON  =                  NaN"
    )
    path.write_bytes(content)

    assert np.isnan(read_runs(store).runs[0].longitude)


def test_a_file_name_with_control_characters_refuses_its_run_alone(
    make_store, observations, hdu_rows, make_events
):
    hdu_rows["FILE_NAME"] = ["irf_7.fits", "run_7.fits", "r\x1b[31mn.fits"]
    store = make_store(observations, hdu_rows)
    make_events(3).writeto(store / "data" / "run_7.fits")

    runs = read_runs(store).runs

    assert runs[0].file_size > 0
    assert runs[1].events_file.isprintable()
    with pytest.raises(InputError, match=r"run 8 .*control characters.*Rename"):
        read_events(store, runs[1])
