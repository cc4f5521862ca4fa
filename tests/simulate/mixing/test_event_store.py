from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from gammapy.data import DataStore

from bkgpipe.errors import InputError, OutputError
from bkgpipe.simulate.mixing.data import MixedEvents
from bkgpipe.simulate.mixing.event_store import (
    mixed_file,
    write_mixed_index,
    write_mixed_run,
)
from bkgpipe.store.store import read_events, read_runs

START = 51910 + 0.000742870370370241 + 123892000.0 / 86400.0
SECOND = 1 / 86400.0


def _new(n_events: int = 3) -> MixedEvents:
    steps = np.arange(n_events)
    return MixedEvents(
        ra=83.0 + 0.01 * steps,
        dec=22.0 - 0.01 * steps,
        energy=1.5 + steps,
        time=START + (50.0 + 10 * steps) * SECOND,
        bkg_type=np.array([1, 2, 4][:n_events], dtype=np.int16),
    )


@pytest.fixture
def store(make_events, tmp_path):
    """Folder with the events of run 7."""

    def make(hdus: fits.HDUList | None = None) -> object:
        (tmp_path / "store" / "data").mkdir(parents=True)
        path = tmp_path / "store" / "data" / "run_7.fits"
        (hdus or make_events()).writeto(path)
        return tmp_path / "store"

    return make


def _read(path) -> tuple[Table, fits.Header, list[str]]:
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
        return Table.read(hdus["EVENTS"]), hdus["EVENTS"].header.copy(), names


def _with(hdus: fits.HDUList, *columns: fits.Column) -> fits.HDUList:
    events = hdus["EVENTS"]
    whole = fits.BinTableHDU.from_columns(
        [*events.columns, *columns], header=events.header, name="EVENTS"
    )
    return fits.HDUList([fits.PrimaryHDU(), whole, hdus["GTI"]])


def test_new_events_follow_those_of_the_run(store, run, tmp_path):
    write_mixed_run(tmp_path / "x", store(), run, _new(), keep_events=True)

    table, header, names = _read(tmp_path / "x")
    assert names == ["PRIMARY", "EVENTS", "GTI"]
    assert table["BKG_TYPE"].tolist() == [0] * 5 + [1, 2, 4]
    assert table["EVENT_ID"].tolist() == list(range(1, 9))
    np.testing.assert_allclose(table["ENERGY"][:5], 0.5 * np.arange(1, 6))
    np.testing.assert_allclose(table["ENERGY"][5:], [1.5, 2.5, 3.5])
    np.testing.assert_allclose(table["RA"][5:], [83.0, 83.01, 83.02])
    np.testing.assert_allclose(table["DEC"][5:], [22.0, 21.99, 21.98])
    times = np.array(table["TIME"][5:], dtype=float)
    np.testing.assert_allclose(times - 123892000.0, [50, 60, 70], atol=1e-5)
    assert (header["OBS_ID"], header["RA_PNT"]) == (7, 83.63)
    assert header["MIXEDBY"].startswith("bkgpipe ")


def test_events_of_the_run_are_left_out_when_asked(store, run, tmp_path):
    write_mixed_run(tmp_path / "x", store(), run, _new(), keep_events=False)

    table, _, _ = _read(tmp_path / "x")
    assert table["BKG_TYPE"].tolist() == [1, 2, 4]
    assert table["EVENT_ID"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("keep_events", [True, False])
def test_there_may_be_no_new_events(store, run, tmp_path, keep_events):
    write_mixed_run(tmp_path / "x", store(), run, _new(0), keep_events=keep_events)

    assert len(_read(tmp_path / "x")[0]) == 5 * keep_events


def test_times_of_the_package_come_back(store, run, tmp_path):
    folder = tmp_path / "mixed"
    (folder / "data").mkdir(parents=True)
    path = folder / mixed_file(run)
    write_mixed_run(path, store(), run, _new(), keep_events=False)

    events, _ = read_events(folder, replace(run, events_file=mixed_file(run)))

    np.testing.assert_allclose(events.time, _new().time, rtol=0, atol=1e-10)
    np.testing.assert_allclose(events.energy, _new().energy)
    assert events.ontime == pytest.approx(1600.0)


def test_columns_in_other_units_stay_in_them(store, run, make_events, tmp_path):
    hdus = make_events(units={"ENERGY": "GeV", "RA": "rad"})

    write_mixed_run(tmp_path / "x", store(hdus), run, _new(), keep_events=True)

    table, _, _ = _read(tmp_path / "x")
    np.testing.assert_allclose(table["ENERGY"][5:], [1500.0, 2500.0, 3500.0])
    np.testing.assert_allclose(np.degrees(table["RA"][5:]), [83.0, 83.01, 83.02])


def test_other_columns_are_kept_and_empty_for_new_events(
    store, run, make_events, tmp_path
):
    hdus = _with(
        make_events(n_events=2),
        fits.Column("EVENT_ID", "J", array=[40, 7]),
        fits.Column("HIL_MSW", "E", array=[0.5, 0.6]),
        fits.Column("MULTIP", "I", null=-1, array=[3, 4]),
        fits.Column("N_TEL", "B", array=[2, 3]),
        fits.Column("TELES", "4L", array=[[True] * 4, [False] * 4]),
        fits.Column("NAME", "3A", array=["abc", "d"]),
    )

    write_mixed_run(tmp_path / "x", store(hdus), run, _new(2), keep_events=True)

    with fits.open(tmp_path / "x") as written:
        data = written["EVENTS"].data
        assert data["EVENT_ID"].tolist() == [40, 7, 41, 42]
        np.testing.assert_allclose(data["HIL_MSW"][:2], [0.5, 0.6])
        assert np.isnan(data["HIL_MSW"][2:]).all()
        assert data["MULTIP"].tolist() == [3, 4, -1, -1]
        assert data["N_TEL"].tolist() == [2, 3, 0, 0]
        assert data["TELES"].tolist() == [[True] * 4, *([[False] * 4] * 3)]
        assert data["NAME"].tolist() == ["abc", "d", "", ""]


def test_kinds_that_the_file_has_are_kept(store, run, make_events, tmp_path):
    hdus = _with(make_events(n_events=2), fits.Column("BKG_TYPE", "J", array=[0, 99]))

    write_mixed_run(tmp_path / "x", store(hdus), run, _new(1), keep_events=True)

    assert _read(tmp_path / "x")[0]["BKG_TYPE"].tolist() == [0, 99, 1]


def test_numbers_that_would_overflow_are_given_anew(store, run, make_events, tmp_path):
    largest = np.iinfo(np.int64).max
    hdus = _with(
        make_events(n_events=2), fits.Column("EVENT_ID", "K", array=[largest, 3])
    )

    write_mixed_run(tmp_path / "x", store(hdus), run, _new(1), keep_events=True)

    assert _read(tmp_path / "x")[0]["EVENT_ID"].tolist() == [1, 2, 3]


def test_equal_events_give_equal_bytes(store, run, tmp_path):
    folder = store()

    for name in ("one", "two"):
        write_mixed_run(tmp_path / name, folder, run, _new(), keep_events=True)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_events_without_a_column_are_refused(store, run, make_events, tmp_path):
    folder = store(make_events(drop=("DEC",)))

    with pytest.raises(InputError, match=r"run 7.*lack DEC.*GADF"):
        write_mixed_run(tmp_path / "x", folder, run, _new(), keep_events=True)


def test_a_clock_without_zero_is_refused(store, run, make_events, tmp_path):
    folder = store(make_events(header={"MJDREFI": None}))

    with pytest.raises(InputError, match="lack MJDREFI"):
        write_mixed_run(tmp_path / "x", folder, run, _new(), keep_events=True)


def test_a_file_without_events_is_refused(store, run, tmp_path):
    with pytest.raises(InputError, match=r"no table HDU EVT.*HDU_NAME"):
        write_mixed_run(
            tmp_path / "x",
            store(),
            replace(run, events_hdu="EVT"),
            _new(),
            keep_events=True,
        )


def test_a_place_that_cannot_be_written_is_an_error(store, run, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_mixed_run(tmp_path / "no" / "x", store(), run, _new(), keep_events=True)


def test_responses_stay_in_the_source(make_store, observations, hdu_rows, tmp_path):
    store = make_store(observations, hdu_rows)
    runs = [run for run in read_runs(store).runs if run.obs_id in {7, 8}]
    folder = tmp_path / "deep" / "mixed"
    folder.mkdir(parents=True)

    write_mixed_index(folder, store, runs)

    index = Table.read(folder / "hdu-index.fits.gz")
    files = {
        (row["OBS_ID"], row["HDU_TYPE"]): str(Path(row["FILE_DIR"], row["FILE_NAME"]))
        for row in index
    }
    assert files == {
        (7, "events"): "data/run_7.fits.gz",
        (8, "events"): "data/run_8.fits.gz",
        (7, "aeff"): "../../store/data/irf_7.fits",
    }
    assert read_runs(folder).runs[0].ra == 83.63
    assert [run.obs_id for run in read_runs(folder).runs] == [7, 8]


def test_gammapy_opens_a_mixed_store_of_real_runs(hess_store, tmp_path):
    run = read_runs(hess_store).runs[0]
    (tmp_path / "data").mkdir()
    events = replace(
        _new(), time=run.time_start + np.array([20.0, 30.0, 40.0]) * SECOND
    )

    path = tmp_path / mixed_file(run)
    write_mixed_run(path, hess_store, run, events, keep_events=True)
    write_mixed_index(tmp_path, hess_store, [run])

    found = DataStore.from_dir(tmp_path).obs(run.obs_id)
    original = DataStore.from_dir(hess_store).obs(run.obs_id)
    assert len(found.events.table) == len(original.events.table) + 3
    assert found.events.table["BKG_TYPE"][-3:].tolist() == [1, 2, 4]
    assert len(np.unique(found.events.table["EVENT_ID"])) == len(found.events.table)
    assert found.gti.time_sum == original.gti.time_sum
    np.testing.assert_array_equal(found.aeff.data, original.aeff.data)
    np.testing.assert_array_equal(found.edisp.data, original.edisp.data)
    np.testing.assert_array_equal(found.psf.data, original.psf.data)
    # the trap of these data: gammapy goes by the creator
    assert found.bkg.fov_alignment == original.bkg.fov_alignment
    assert found.bkg.fov_alignment == "REVERSE_LON_RADEC"


def test_good_time_of_another_name_comes_along(store, run, make_events, tmp_path):
    hdus = make_events()
    hdus["GTI"].name = "STDGTI"
    renamed = replace(run, gti_hdu="STDGTI")

    write_mixed_run(tmp_path / "x", store(hdus), renamed, _new(), keep_events=True)

    assert _read(tmp_path / "x")[2] == ["PRIMARY", "EVENTS", "STDGTI"]


def test_good_time_of_a_file_of_its_own_comes_along(
    make_store, make_events, *, observations, hdu_rows, tmp_path
):
    rows = [*hdu_rows.as_array().tolist(), (7, "gti", "gti", "7.fits", "STDGTI")]
    store = make_store(observations, Table(rows=rows, names=hdu_rows.colnames))
    hdus = make_events()
    gti = hdus.pop(2)
    gti.name = "STDGTI"
    hdus.writeto(store / "data" / "run_7.fits")
    (store / "gti").mkdir()
    fits.HDUList([fits.PrimaryHDU(), gti]).writeto(store / "gti" / "7.fits")
    run = read_runs(store).runs[0]
    folder = tmp_path / "mixed"
    (folder / "data").mkdir(parents=True)

    path = folder / mixed_file(run)
    write_mixed_run(path, store, run, _new(), keep_events=True)
    write_mixed_index(folder, store, [run])

    assert _read(path)[2] == ["PRIMARY", "EVENTS", "STDGTI"]
    mixed = read_runs(folder).runs[0]
    assert (mixed.gti_file, mixed.gti_hdu) == ("", "STDGTI")
    events, _ = read_events(folder, mixed)
    assert events.n_events == 8
    np.testing.assert_array_equal(events.gti, read_events(store, run)[0].gti)
