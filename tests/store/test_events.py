from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from gammapy.data import EventList

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.store import files
from bkgpipe.store.events import read_events
from bkgpipe.store.store import read_runs

EventsMaker = Callable[..., fits.HDUList]
ZERO = 51910 + 0.000742870370370241
CLOCK = {"MJDREFI": 51910, "MJDREFF": 0.000742870370370241}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[fits.HDUList], Path]:
    """Write HDUs as the events file of run 7 and return the store."""

    def _write(hdus: fits.HDUList) -> Path:
        (tmp_path / "data").mkdir(exist_ok=True)
        hdus.writeto(tmp_path / "data" / "run_7.fits", overwrite=True)
        return tmp_path

    return _write


@pytest.fixture
def write_events(
    write: Callable[[fits.HDUList], Path], make_events: EventsMaker
) -> Callable[..., Path]:
    """Make and write the events file of run 7 and return the store."""

    def _write_events(n_events: int, **changes: Any) -> Path:
        return write(make_events(n_events, **changes))

    return _write_events


def test_events_come_in_units_of_the_package(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    store = write(make_events(5))

    events, checksum = read_events(store, run)

    steps = np.arange(5)
    assert (events.obs_id, events.n_events) == (7, 5)
    np.testing.assert_allclose(events.ra, 83.5 + 0.1 * steps, rtol=1e-6)
    np.testing.assert_allclose(events.dec, 22.0 + 0.2 * steps, rtol=1e-6)
    np.testing.assert_allclose(events.energy, 0.5 + 0.5 * steps)
    expected = ZERO + (123892000.0 + 100.0 * steps) / 86400.0
    np.testing.assert_allclose(events.time, expected, rtol=0, atol=1e-10)
    assert events.ontime == pytest.approx(1600.0, abs=1e-4)
    content = (store / "data" / "run_7.fits").read_bytes()
    assert checksum == hashlib.sha256(content).hexdigest()
    for name in ("ra", "dec", "energy", "time", "gti"):
        assert getattr(events, name).dtype == np.float64
        assert getattr(events, name).dtype.isnative


def test_other_units_and_cases(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    units = {"RA": None, "ENERGY": "GeV", "TIME": "d"}
    hdus = make_events(3, units=units)
    hdus["EVENTS"].data["TIME"] /= 86400.0
    hdus["EVENTS"].columns["ENERGY"].name = "energy"

    events, _ = read_events(write(hdus), run)

    np.testing.assert_allclose(events.energy, [0.0005, 0.001, 0.0015], rtol=1e-6)
    assert events.ra[0] == pytest.approx(83.5)
    assert events.time[0] == pytest.approx(ZERO + 123892000.0 / 86400.0, abs=1e-9)


def test_compressed_file(tmp_path: Path, make_events: EventsMaker, run: Run) -> None:
    buffer = BytesIO()
    make_events(4).writeto(buffer)
    content = gzip.compress(buffer.getvalue())
    (tmp_path / "run.fits.gz").write_bytes(content)

    events, checksum = read_events(tmp_path, replace(run, events_file="run.fits.gz"))

    assert events.n_events == 4
    assert checksum == hashlib.sha256(content).hexdigest()


def test_utc_clock(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    store = write(make_events(2, header={"TIMESYS": "UTC"}))
    zero = Time(51910, 0.000742870370370241, format="mjd", scale="utc").tt.mjd
    events, _ = read_events(store, run)
    assert events.time[0] == pytest.approx(zero + 123892000.0 / 86400.0, abs=1e-9)


def test_many_intervals(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    start = 123892000.0
    gti = [(start, start + 100.0), (start + 200.0, start + 250.0), (start + 1e3,) * 2]
    events, _ = read_events(write(make_events(2, gti=gti)), run)
    assert events.gti.shape == (3, 2)
    assert events.ontime == pytest.approx(150.0, abs=1e-4)


def test_no_intervals_table(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    events, _ = read_events(write(make_events(2, gti=[])), run)
    assert events.gti.shape == (1, 2)
    assert events.ontime == pytest.approx(1600.0, abs=1e-4)


def test_no_events_is_no_error(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    events, _ = read_events(write(make_events(0)), run)
    assert events.n_events == 0
    assert events.ontime == pytest.approx(1600.0, abs=1e-4)


def test_invalid_values_are_read_as_they_are(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(4)
    hdus["EVENTS"].data["ENERGY"] = [np.nan, 0.0, -1.0, 1.0]
    events, _ = read_events(write(hdus), run)
    np.testing.assert_array_equal(events.energy, [np.nan, 0.0, -1.0, 1.0])


def test_other_name_of_the_hdu(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    store = write(make_events(2))
    for name in ("", "events"):
        assert read_events(store, replace(run, events_hdu=name))[0].n_events == 2
    with pytest.raises(InputError, match=r"run 7 \(data/run_7\.fits\): .*HDU EV2.*HDU"):
        read_events(store, replace(run, events_hdu="EV2"))


def test_missing_keywords_are_not_compared(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(2)
    for key in ("OBS_ID", "RA_PNT", "DEC_PNT"):
        del hdus["EVENTS"].header[key]
    assert read_events(write(hdus), run)[0].n_events == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"header": {"OBS_ID": 8}}, r"events are of run 8\. Correct the HDU index"),
        (
            {"header": {"OBS_ID": "LST-7"}},
            "OBS_ID is 'LST-7', expected a whole.*= 7 into",
        ),
        ({"header": {"OBS_ID": 7.5}}, r"OBS_ID is 7\.5, expected a whole number"),
        ({"header": {"OBS_ID": True}}, "OBS_ID is T, a truth value, expected"),
        (
            {"header": {"RA_PNT": "05:34"}},
            "RA_PNT is '05:34', expected degrees.*exclude",
        ),
        (
            {"header": {"DEC_PNT": True}},
            "DEC_PNT is T, a truth value, expected degrees",
        ),
        ({"header": {"MJDREFI": "2001-01-01"}}, "MJDREFI is '2001-01-01', expected a"),
        ({"header": {"MJDREFI": ""}}, "MJDREFI is blank, expected a mod.*Add MJD"),
        ({"header": {"RA_PNT": 83.65}}, "RA, Dec = 83.6500.*Correct RA_PNT"),
        ({"header": {"DEC_PNT": -22.51}}, "-22.5100 deg, but.*Correct RA_PNT"),
        ({"header": {"OBS_MODE": "Drift"}}, r"drift scan.*Exclude the run"),
        ({"header": {"TIMESYS": "moon"}}, "TIMESYS 'moon'.*Correct the keyword"),
        ({"drop": ("ENERGY", "RA")}, "no column RA, ENERGY.*Make the file again"),
        ({"units": {"ENERGY": "m"}}, "ENERGY: has unit 'm'.*Correct the unit"),
        ({"gti": [(2.0, 1.0)]}, "ends before it starts.*Correct the GTI"),
        ({"gti": [(2.0, np.nan)]}, "ends before it starts.*Correct the GTI"),
    ],
)
def test_unusable_run(
    write_events: Callable[..., Path], run: Run, changes: dict[str, Any], message: str
) -> None:
    store = write_events(3, **changes)
    with pytest.raises(InputError, match=rf"run 7 \(data/run_7\.fits\).*{message}"):
        read_events(store, run)


@pytest.mark.parametrize(
    "header",
    [
        {"OBS_ID": "7.0", "RA_PNT": "83.63"},
        {"OBS_ID": "", "RA_PNT": "", "DEC_PNT": ""},
        {"OBS_ID": fits.card.Undefined(), "RA_PNT": fits.card.Undefined()},
        {"TIMESYS": "", "MJDREFI": "51910", "MJDREFF": CLOCK["MJDREFF"]},
        {"ORIGIN": "", "OBS_MODE": fits.card.Undefined()},
    ],
)
def test_numbers_as_text_and_values_that_say_nothing(
    write_events: Callable[..., Path], run: Run, header: dict[str, Any]
) -> None:
    events, _ = read_events(write_events(3, header=header), run)
    assert events.n_events == 3
    assert events.time[0] == pytest.approx(ZERO + 123892000.0 / 86400.0, abs=1e-9)


def test_numbers_without_quotes_that_are_none(
    write_events: Callable[..., Path], run: Run
) -> None:
    store = write_events(3)
    path = store / "data" / "run_7.fits"
    old = b"RA_PNT  =                83.63"
    content = path.read_bytes()
    assert old in content

    path.write_bytes(content.replace(old, b"RA_PNT  =                  NaN"))
    assert read_events(store, run)[0].n_events == 3

    path.write_bytes(content.replace(old, b"RA_PNT  =           05:34:31.2"))
    with pytest.raises(InputError, match=r"RA_PNT is '05:34:31.2', expected degrees"):
        read_events(store, run)


def test_times_in_place_of_intervals_must_be_numbers(
    write_events: Callable[..., Path], run: Run
) -> None:
    store = write_events(3, gti=[], header={"TSTOP": "dawn"})
    with pytest.raises(
        InputError, match=r"TSTOP is 'dawn', expected seconds, as there is no.*Add the"
    ):
        read_events(store, run)


def test_control_characters_in_headers_do_no_harm(
    write_events: Callable[..., Path], run: Run
) -> None:
    store = write_events(3, header={"OBS_MODE": "xPOINTING"})
    path = store / "data" / "run_7.fits"
    path.write_bytes(path.read_bytes().replace(b"xPOINTING", b"\tPOINTING"))

    assert read_events(store, run)[0].n_events == 3


def test_no_clock(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(3)
    del hdus["EVENTS"].header["MJDREFI"]
    with pytest.raises(InputError, match=r"run 7 .*no MJDREFI.*Add MJDREFI"):
        read_events(write(hdus), run)


def test_unknown_pointing_is_not_taken_for_equal(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    store = write(make_events(3))
    with pytest.raises(InputError, match=r"index says nan.*Correct RA_PNT"):
        read_events(store, replace(run, ra=float("nan")))


def test_pointing_may_cross_zero(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    store = write(make_events(3, header={"RA_PNT": 359.9999, "DEC_PNT": 89.0}))
    at_zero = replace(run, ra=0.0001, dec=89.0)
    assert read_events(store, at_zero)[0].n_events == 3


def _make_pointing(
    step: float, names: tuple[str, str], *, n_rows: int = 6
) -> fits.BinTableHDU:
    steps = np.arange(n_rows)
    columns = [
        fits.Column(names[0], "D", unit="deg", array=83.63 + step * steps),
        fits.Column(names[1], "D", unit="deg", array=np.full(n_rows, 22.51)),
    ]
    return fits.BinTableHDU.from_columns(columns, name="POINTING")


@pytest.mark.parametrize(
    "pointing",
    [
        _make_pointing(0.001, ("RA_PNT", "DEC_PNT")),
        _make_pointing(1.0, ("ALT_PNT", "AZ_PNT")),
        _make_pointing(0.001, ("RA_PNT", "DEC_PNT"), n_rows=0),
    ],
)
def test_pointing_table_that_stands_still(
    write: Callable[..., Path],
    make_events: EventsMaker,
    run: Run,
    pointing: fits.BinTableHDU,
) -> None:
    hdus = make_events(3)
    hdus.append(pointing)
    assert read_events(write(hdus), run)[0].n_events == 3


def test_pointing_table_that_moves(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(3)
    hdus.append(_make_pointing(0.1, ("RA_PNT", "DEC_PNT")))
    with pytest.raises(InputError, match=r"run 7 .*drift scan.*Exclude the run"):
        read_events(write(hdus), run)


def test_missing_file(tmp_path: Path, run: Run) -> None:
    with pytest.raises(
        InputError, match=r"run 7 \(data/run_7\.fits\): .*No such file.*exclude the run"
    ):
        read_events(tmp_path, run)
    with pytest.raises(InputError, match=r"run 7: .*HDU index"):
        read_events(tmp_path, replace(run, events_file=""))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("is_compressed", [True, False])
def test_truncated_file(
    write_events: Callable[..., Path], run: Run, share: float, is_compressed: bool
) -> None:
    store = write_events(3000)
    path = store / "data" / "run_7.fits"
    content = path.read_bytes()
    content = gzip.compress(content, mtime=0) if is_compressed else content
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"run 7 \(data/run_7\.fits\): .*exclude"):
        read_events(store, run)


def test_huge_file(
    write: Callable[..., Path],
    make_events: EventsMaker,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match=r"run 7 .*more than 1000 bytes.*exclude"):
        read_events(write(make_events(3)), run)


def test_damaged_headers_are_input_errors(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    store = write(make_events(50))
    path = store / "data" / "run_7.fits"
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    n_refused = 0
    for _ in range(100):
        spoilt = bytearray(content)
        for position in rng.integers(2880, 2880 * 2, 30):
            spoilt[position] = int(rng.integers(32, 127))
        path.write_bytes(spoilt)
        try:
            read_events(store, run)
        except InputError:
            n_refused += 1
    assert n_refused > 50


def test_all_events_of_hess_are_read(hess_store: Path) -> None:
    n_events, n_expected = 0, 0
    for run in read_runs(hess_store).runs:
        events, _ = read_events(hess_store, run)
        n_events += events.n_events
        n_expected += fits.getheader(hess_store / run.events_file, 1)["NAXIS2"]
        assert events.ontime == pytest.approx(run.ontime, abs=1.0)
        assert (events.gti[0, 0] - run.time_start) * 86400 == pytest.approx(0, abs=1)
    assert n_events == n_expected == 1_046_156


def test_hess_events_are_those_of_gammapy(hess_store: Path) -> None:
    run = read_runs(hess_store).runs[0]
    expected = EventList.read(hess_store / run.events_file)

    events, _ = read_events(hess_store, run)

    np.testing.assert_array_equal(events.ra, expected.radec.ra.deg)
    np.testing.assert_array_equal(events.dec, expected.radec.dec.deg)
    np.testing.assert_array_equal(events.energy, expected.energy.to_value("TeV"))
    difference = (events.time - expected.time.tt.mjd) * 86400
    np.testing.assert_allclose(difference, 0.0, atol=2e-6)


def _gti_elsewhere(store: Path, hdus: fits.HDUList, name: str = "STDGTI") -> None:
    """Move the good time intervals of a run to a file of their own."""
    gti = hdus.pop(2)
    gti.name = name
    (store / "gti").mkdir()
    fits.HDUList([fits.PrimaryHDU(), gti]).writeto(store / "gti" / "7.fits")
    hdus.writeto(store / "data" / "run_7.fits", overwrite=True)


_INTERVALS = [(123892000.0, 123892500.0), (123893000.0, 123893600.0)]


def test_good_time_in_a_file_of_its_own(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(5, gti=_INTERVALS)
    store = write(hdus)
    expected, digest = read_events(store, run)
    _gti_elsewhere(store, hdus)

    other = replace(run, gti_file="gti/7.fits", gti_hdu="STDGTI")
    events, other_digest = read_events(store, other)

    np.testing.assert_array_equal(events.gti, expected.gti)
    assert events.ontime == pytest.approx(1100.0, abs=1e-4)
    # what the run follows from is now two files
    assert digest != other_digest != read_events(store, run)[1]
    content = (store / "gti" / "7.fits").read_bytes()
    (store / "gti" / "7.fits").write_bytes(content + bytes(2880))
    assert read_events(store, other)[1] != other_digest


def test_good_time_under_another_name(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(5, gti=_INTERVALS)
    hdus["GTI"].name = "GTI0"
    store = write(hdus)

    events, _ = read_events(store, replace(run, gti_hdu="gti0"))

    assert events.ontime == pytest.approx(1100.0, abs=1e-4)


def test_good_time_that_the_index_names_must_be_there(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(5)
    store = write(hdus)
    with pytest.raises(InputError, match=r"no table HDU GTI0, which .*row of type gti"):
        read_events(store, replace(run, gti_hdu="GTI0"))
    with pytest.raises(InputError, match=r"gti/7\.fits\): the file cannot be read"):
        read_events(store, replace(run, gti_file="gti/7.fits"))
    with pytest.raises(InputError, match="outside the store"):
        read_events(store, replace(run, gti_file="../7.fits"))
    _gti_elsewhere(store, hdus)
    with pytest.raises(InputError, match="has no table HDU GTI, which"):
        read_events(store, replace(run, gti_file="gti/7.fits"))


def test_good_time_elsewhere_needs_its_own_clock(
    write: Callable[..., Path], make_events: EventsMaker, run: Run
) -> None:
    hdus = make_events(5)
    store = write(hdus)
    del hdus["GTI"].header["MJDREFI"]
    _gti_elsewhere(store, hdus, "GTI")

    with pytest.raises(InputError, match=r"gti/7\.fits\): has no MJDREFI"):
        read_events(store, replace(run, gti_file="gti/7.fits"))
