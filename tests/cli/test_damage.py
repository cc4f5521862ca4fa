"""Damaged events files: what is said of each, and that all other runs go on.

All cases are runs of one store and of one production: none may disturb another.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import luigi
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from bkgpipe.cli.main import main
from bkgpipe.datamodel import RunCounts, Simulation, Truth
from bkgpipe.io.count import COUNTS
from bkgpipe.production.inputs import forget
from bkgpipe.settings import settings_template
from bkgpipe.simulation.store import write_simulated_store

_FIRST = 1001


class Case(NamedTuple):
    """A way to spoil the events file of a run, or its row of the index.

    ``told`` is what is said of a run that is refused; one that is used has none.
    """

    spoil: Callable[[Path, int], None]
    told: str = ""
    n_invalid: int = 0
    n_gone: int = 0


def _file(store: Path, obs_id: int) -> Path:
    (path,) = store.glob(f"data/*{obs_id}*")
    return path


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path, int], None]:
    """Spoil a file as bytes."""

    def spoil(store: Path, obs_id: int) -> None:
        path = _file(store, obs_id)
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _plain(change: Callable[[bytes], bytes]) -> Callable[[Path, int], None]:
    """Spoil a file as bytes that are not compressed."""
    return _bytes(lambda content: change(gzip.decompress(content)))


def _hdus(change: Callable[[fits.HDUList], Any]) -> Callable[[Path, int], None]:
    """Spoil a file as HDUs."""

    def edit(content: bytes) -> bytes:
        buffer = BytesIO()
        with fits.open(BytesIO(content)) as hdus:
            change(hdus)
            hdus.writeto(buffer)
        return buffer.getvalue()

    return _plain(edit)


def _keys(hdu: str = "EVENTS", **keys: Any) -> Callable[[Path, int], None]:
    """Set keywords; None removes one."""

    def change(hdus: fits.HDUList) -> None:
        for key, value in keys.items():
            if value is None:
                del hdus[hdu].header[key]
            else:
                hdus[hdu].header[key] = value

    return _hdus(change)


def _card(key: str, value: Any) -> Callable[[Path, int], None]:
    """Write a card over that of the events, however wrong it is."""

    def change(content: bytes) -> bytes:
        place = content.index(f"{key:8}=".encode(), 2880)
        image = fits.Card(key, value).image.encode()
        return content[:place] + image + content[place + 80 :]

    return _plain(change)


def _column(
    name: str, form: str, make: Callable[[np.ndarray], Any], **options: Any
) -> Callable[[Path, int], None]:
    """Replace a column of the events by another one."""

    def change(hdus: fits.HDUList) -> None:
        old = hdus["EVENTS"]
        columns = [
            fits.Column(
                options.get("rename", name), form, array=make(np.array(old.data[name]))
            )
            if column.name == name
            else fits.Column(
                column.name,
                column.format,
                unit=column.unit,
                array=old.data[column.name],
            )
            for column in old.columns
        ]
        columns = [column for column in columns if column.name]
        new = fits.BinTableHDU.from_columns(columns, name="EVENTS")
        kept = [
            c for c in old.header.cards if not re.match("T[A-Z]+[0-9]|N?AXIS", c[0])
        ]
        new.header.extend(kept, unique=True, update=False)
        for i, column in enumerate(new.columns, 1):
            if column.name == name and "unit" in options:
                new.header[f"TUNIT{i}"] = options["unit"]
            for key in ("TSCAL", "TZERO"):
                if column.name == name and key in options:
                    new.header[f"{key}{i}"] = options[key]
        hdus[hdus.index_of("EVENTS")] = new

    return _hdus(change)


def _replace_events(make: Callable[[], Any]) -> Callable[[Path, int], None]:
    """Put another kind of HDU in the place of the events."""

    def change(hdus: fits.HDUList) -> None:
        hdu = make()
        hdu.name = "EVENTS"
        hdus[hdus.index_of("EVENTS")] = hdu

    return _hdus(change)


def _gti(make: Callable[[float, float], Any]) -> Callable[[Path, int], None]:
    """Replace the good time intervals, made from the start and stop of the run."""

    def change(hdus: fits.HDUList) -> None:
        old = hdus["GTI"]
        rows = np.array(make(*old.data[0]), dtype=float).reshape(-1, 2)
        columns = [
            fits.Column(name, "D", unit="s", array=rows[:, i])
            for i, name in enumerate(("START", "STOP"))
        ]
        new = fits.BinTableHDU.from_columns(columns, name="GTI")
        for key in ("MJDREFI", "MJDREFF", "TIMESYS"):
            new.header[key] = hdus["EVENTS"].header[key]
        hdus[hdus.index_of("GTI")] = new

    return _hdus(change)


def _pointing(step: float) -> Callable[[Path, int], None]:
    """Add a table of pointings that move by a step."""

    def change(hdus: fits.HDUList) -> None:
        header = hdus["EVENTS"].header
        steps = np.arange(5) * step
        columns = [
            fits.Column(name, "D", unit="deg", array=header[name] + steps * is_lat)
            for name, is_lat in (("RA_PNT", 0), ("DEC_PNT", 1))
        ]
        hdus.append(fits.BinTableHDU.from_columns(columns, name="POINTING"))

    return _hdus(change)


def _add(make: Callable[[], Any]) -> Callable[[Path, int], None]:
    return _hdus(lambda hdus: hdus.append(make()))


def _rad_max() -> fits.BinTableHDU:
    columns = [fits.Column("RAD_MAX", "4E", array=np.full((1, 4), 0.1), unit="deg")]
    return fits.BinTableHDU.from_columns(columns, name="RAD_MAX")


def _drop_gti(hdus: fits.HDUList) -> None:
    del hdus["GTI"]


def _drop_gti_and_times(hdus: fits.HDUList) -> None:
    del hdus["GTI"]
    del hdus["EVENTS"].header["TSTART"]


def _lower_case(hdus: fits.HDUList) -> None:
    for name in ("RA", "DEC", "ENERGY", "TIME"):
        hdus["EVENTS"].columns[name].name = name.lower()


def _no_units(hdus: fits.HDUList) -> None:
    for column in hdus["EVENTS"].columns:
        column.unit = None


def _no_pointing(hdus: fits.HDUList) -> None:
    for key in ("RA_PNT", "DEC_PNT", "OBS_ID"):
        del hdus["EVENTS"].header[key]


def _bad_energies(hdus: fits.HDUList) -> None:
    hdus["EVENTS"].data["ENERGY"][:4] = [np.nan, 0.0, -1.0, np.inf]


def _same_event_ids(hdus: fits.HDUList) -> None:
    hdus["EVENTS"].data["EVENT_ID"] = 1


def _no_events(hdus: fits.HDUList) -> None:
    hdus["EVENTS"].data = hdus["EVENTS"].data[:0]


def _no_end(content: bytes) -> bytes:
    """A header of 30 MB, which never ends."""
    return content[:2880] + b"COMMENT %-72d" % 1 * 375_000


def _missing(store: Path, obs_id: int) -> None:
    _file(store, obs_id).unlink()


def _folder(store: Path, obs_id: int) -> None:
    path = _file(store, obs_id)
    path.unlink()
    path.mkdir()


def _pipe(store: Path, obs_id: int) -> None:
    path = _file(store, obs_id)
    path.unlink()
    os.mkfifo(path)


def _link_out(store: Path, obs_id: int) -> None:
    path = _file(store, obs_id)
    path.rename(store.parent / path.name)
    path.symlink_to(store.parent / path.name)


def _link_inside(store: Path, obs_id: int) -> None:
    path = _file(store, obs_id)
    path.rename(store / path.name)
    path.symlink_to(Path("..", path.name))


def _time(seconds: float) -> Callable[[Path, int], None]:
    return lambda store, obs_id: os.utime(_file(store, obs_id), (seconds, seconds))


def _index_row(change: Callable[[Any, Path], None]) -> Callable[[Path, int], None]:
    """Change the rows of a run in the HDU index."""

    def spoil(store: Path, obs_id: int) -> None:
        path = store / "hdu-index.fits.gz"
        with fits.open(path) as hdus:
            table = hdus[1].data
            rows = np.flatnonzero(table["OBS_ID"] == obs_id)
            (events,) = [i for i in rows if table["HDU_TYPE"][i] == "events"]
            change(table[events], store)
            content = BytesIO()
            hdus.writeto(content)
        path.write_bytes(gzip.compress(content.getvalue(), 1))

    return spoil


def _cell(name: str, value: str) -> Callable[[Path, int], None]:
    def change(row: Any, store: Path) -> None:
        row[name] = value.replace("STORE", str(store))

    return _index_row(change)


_DAMAGED = "the FITS file is damaged or truncated .*Restore the file or exclude"
_NO_EVENTS = "has no table HDU EVENTS.*Correct HDU_NAME in the HDU index or exclude"
_ONE = "values in each row, expected one. Correct the column"
_NUMBERS = "ENERGY: (is|holds) .*, expected (a number|numbers). Correct the column"
_UNIT = "ENERGY: has unit 'furlong', expected one like TeV. Correct the unit"
_OUT = r"outside the store. If its files belong there, set \[data\] allow = /"
_NO_FILE = r"the file cannot be read \(it is no regular file\). Restore the file"
_GONE = r"the file cannot be read \(No such file or directory\). Restore the file"

CASES = {
    # files
    "missing": Case(_missing, _GONE),
    "empty": Case(_bytes(lambda _: b""), _DAMAGED),
    "folder": Case(_folder, _NO_FILE),
    "pipe": Case(_pipe, _NO_FILE),
    "words": Case(_bytes(lambda _: b"no FITS at all"), _DAMAGED),
    "link out": Case(_link_out, _OUT),
    "truncated gzip": Case(
        _bytes(lambda c: c[: len(c) // 2]), "the gzip file is truncated. Restore"
    ),
    "damaged gzip": Case(
        _bytes(lambda c: c[:9000] + bytes([c[9000] ^ 255]) + c[9001:]),
        r"the gzip file is (damaged \(|truncated).*Restore",
    ),
    "wrong sum of gzip": Case(
        _bytes(lambda c: c[:-8] + b"\0\0\0\0" + c[-4:]), "the gzip file is damaged"
    ),
    "gzip bomb": Case(
        _bytes(lambda _: gzip.compress(b"SIMPLE  =" + bytes(80 * 1024**2), 1)),
        "more than 67108864 bytes when inflated. Check what it is, and exclude the run",
    ),
    "bomb of many gzip streams": Case(
        _bytes(lambda _: gzip.compress(b"") * 2000), "bytes when inflated"
    ),
    "truncated FITS": Case(_plain(lambda content: content[:30000]), _DAMAGED),
    # the index
    "row without a file": Case(_cell("FILE_NAME", ""), _NO_FILE),
    "no row": Case(
        _cell("HDU_TYPE", "other"),
        "the HDU index names no such file. Add the run to the HDU index",
    ),
    "path upwards": Case(_cell("FILE_DIR", "../.."), _OUT),
    "absolute path": Case(_cell("FILE_DIR", "/etc"), _OUT),
    "zero byte in the path": Case(
        _cell("FILE_NAME", "a\0b.fits"), "which holds control characters. Rename the"
    ),
    "other HDU in the index": Case(_cell("HDU_NAME", "EV"), "has no table HDU EV"),
    # headers
    "endless header": Case(_plain(_no_end), _DAMAGED),
    "10^12 rows": Case(_card("NAXIS2", 10**12), _DAMAGED),
    "10^12 columns": Case(_card("NAXIS1", 10**12), _DAMAGED),
    "negative rows": Case(_card("NAXIS2", -4), _DAMAGED),
    "unknown TFORM": Case(_card("TFORM2", "ZZ"), _DAMAGED),
    "too wide TFORM": Case(_card("TFORM2", "999999999E"), _DAMAGED),
    "other run": Case(_keys(OBS_ID=99), "the events are of run 99. Correct the HDU"),
    "other pointing": Case(
        _keys(RA_PNT=12.5),
        "were taken at RA, Dec = 12.5000.*Correct RA_PNT and DEC_PNT",
    ),
    "word for the pointing": Case(
        _keys(RA_PNT="north"), "RA_PNT is 'north', expected degrees. Correct the"
    ),
    "drift scan": Case(_keys(OBS_MODE="DRIFT"), "is a drift scan.*Exclude the run"),
    "moving pointing": Case(_pointing(0.2), "is a drift scan.*Exclude the run"),
    "no MJDREFI": Case(_keys(MJDREFI=None), "has no MJDREFI, .*Add MJDREFI"),
    "word for MJDREFI": Case(
        _keys(MJDREFI="first"), "MJDREFI is 'first', expected a modified"
    ),
    "far MJDREFI": Case(
        _keys(MJDREFI=10**9), r"MJDREFI is 1e\+09, expected a modified Julian date"
    ),
    "unknown clock": Case(_keys(TIMESYS="moon"), "has TIMESYS 'moon', expected TT"),
    # events
    "image": Case(_replace_events(lambda: fits.ImageHDU(np.eye(9))), _NO_EVENTS),
    "compressed image": Case(
        _replace_events(lambda: fits.CompImageHDU(np.eye(32))), _NO_EVENTS
    ),
    "ASCII table": Case(
        _replace_events(
            lambda: fits.TableHDU.from_columns(
                [fits.Column("RA", "F8.3", array=np.arange(3.0))]
            )
        ),
        _NO_EVENTS,
    ),
    "no column": Case(
        _column("ENERGY", "E", np.array, rename="E_RECO"),
        "HDU EVENTS has no column ENERGY. Make the file again",
    ),
    "vectors": Case(_column("ENERGY", "3E", lambda x: np.stack([x] * 3, axis=1)), _ONE),
    "no width": Case(_column("ENERGY", "0E", lambda x: np.empty((x.size, 0))), _ONE),
    "variable length": Case(
        _column(
            "ENERGY",
            "PE()",
            lambda x: np.array(
                [np.ones(i % 3 + 1) for i in range(x.size)], dtype=object
            ),
        ),
        _NUMBERS,
    ),
    "complex": Case(_column("ENERGY", "C", lambda x: x.astype("c8")), _NUMBERS),
    "words for energies": Case(
        _column("ENERGY", "4A", lambda x: np.full(x.size, "high")), _NUMBERS
    ),
    "unknown unit": Case(_column("ENERGY", "E", np.array, unit="furlong"), _UNIT),
    "endless unit": Case(
        _column("ENERGY", "E", np.array, unit="10**99999999 TeV"), _DAMAGED
    ),
    # good time intervals
    "interval ends early": Case(
        _gti(lambda start, stop: [stop, start]),
        "ends before it starts. Correct the GTI",
    ),
    "interval of NaN": Case(
        _gti(lambda start, _: [start, np.nan]), "ends before it starts. Correct the GTI"
    ),
    "interval without end": Case(
        _gti(lambda start, _: [start, np.inf]),
        "is longer than 86400 s. Correct the GTI",
    ),
    "overlapping intervals": Case(
        _gti(lambda a, b: [[a, b - 9], [b - 20, b]]),
        "intervals overlap. Correct the GTI",
    ),
    "no interval": Case(_gti(lambda *_: []), "on-time is 0.0 s"),
    "neither intervals nor times": Case(
        _hdus(_drop_gti_and_times),
        "has no TSTART, expected seconds, as there is no table HDU GTI. Add the good",
    ),
    # what other instruments write, and what is only odd: these are used
    "not compressed": Case(_plain(bytes)),
    "two gzip streams": Case(
        _plain(lambda c: gzip.compress(c[:5000]) + gzip.compress(c[5000:]))
    ),
    "zeros at the end": Case(_bytes(lambda content: content + bytes(999))),
    "link inside": Case(_link_inside),
    "time in the future": Case(_time(4e9)),
    "time in the past": Case(_time(1.0)),
    "no units": Case(_hdus(_no_units)),
    "lower case": Case(_hdus(_lower_case)),
    "no pointing": Case(_hdus(_no_pointing)),
    "word for OBS_ID": Case(
        _hdus(
            lambda h: h["EVENTS"].header.set(
                "OBS_ID", str(h["EVENTS"].header["OBS_ID"])
            )
        )
    ),
    "energies in GeV": Case(_column("ENERGY", "E", lambda x: x * 1e3, unit="GeV")),
    "energies as words": Case(
        _column("ENERGY", "20A", lambda x: x.astype(str), unit="TeV")
    ),
    "times in days": Case(_column("TIME", "D", lambda x: x / 86400, unit="d")),
    "standing pointing": Case(_pointing(0.0)),
    "no table of intervals": Case(_hdus(_drop_gti)),
    "several intervals": Case(
        _gti(lambda a, b: [[a, a + 9], [a + 9, b - 5], [b - 5, b]])
    ),
    "point-like": Case(_add(_rad_max)),
    "more HDUs": Case(_add(lambda: fits.CompImageHDU(np.eye(32), name="MAP"))),
    "same EVENT_ID": Case(_hdus(_same_event_ids)),
    "bad energies": Case(_hdus(_bad_energies), n_invalid=4),
    "no events": Case(_hdus(_no_events), n_gone=-1),
}
_OBS_IDS = {name: _FIRST + i for i, name in enumerate(CASES)}
# the last runs are whole
_WHOLE = range(_FIRST + len(CASES), _FIRST + len(CASES) + 6)


class Outcome(NamedTuple):
    """What a production made of the store."""

    exit_code: int
    refused: dict[int, str]
    counts: dict[int, RunCounts]
    before: dict[int, RunCounts]
    models: list[str]
    stderr: str


def _call(*words: str) -> tuple[int, dict[str, Any], str]:
    forget()
    luigi.configuration.get_config().reload()
    result = CliRunner().invoke(main, [*words, "--json"], catch_exceptions=False)
    (line,) = [line for line in result.stdout.splitlines() if line[:1] == "{"]
    return result.exit_code, json.loads(line), result.stderr


def _read_counts() -> dict[int, RunCounts]:
    found: dict[int, RunCounts] = {}
    for path in sorted(Path("out").glob("count-*/count_*.h5")):
        found |= COUNTS.read(path).records
    return found


def _leave_logging(*, verbose: bool) -> None:
    """Stand in for `set_up_logging`."""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("damage")
    n_runs = len(CASES) + len(_WHOLE)
    simulation = Simulation(n_runs=n_runs, first_obs_id=_FIRST, duration=60, seed=5)
    # without checksums, which would show every change before it is looked at
    with pytest.MonkeyPatch.context() as plain:
        plain.setattr("bkgpipe.io.fits_file.with_sums", bytes)
        write_simulated_store(folder / "store", simulation=simulation, truth=Truth())
    given = {
        "data.store": "store",
        "data.output": "out",
        "data.chunk_size": "20",
        "mask.catalogs": "",
        "binning.per_decade": "3",
        "binning.fov_bins": "10",
        "binning.offset_bins": "5",
        "smooth.method": "gaussian",
        "stack.min_hours": "0 h",
        "stack.min_counts": "0",
        "stack.zenith_edges": "0, 90 deg",
        "stack.azimuth_edges": "0, 360 deg",
        "select.min_livetime": "0 min",
    }
    (folder / "luigi.cfg").write_text(settings_template(given))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bkgpipe.cli.logs.set_up_logging", _leave_logging)
        patch.delenv("GAMMAPY_DATA", raising=False)
        assert _call("run", "count")[0] == 0
        before = _read_counts()
        shutil.rmtree("out")
        for name, case in CASES.items():
            case.spoil(folder / "store", _OBS_IDS[name])
        exit_code, answer, stderr = _call("run", "export")
        refused = {int(key): told for key, told in answer["runs"]["refused"].items()}
        allowed, again, _ = _call("run", "export", "--set", "run.allow_refused=true")
        assert (allowed, again["runs"]) == (0, answer["runs"])
        counts = _read_counts()
    forget()
    return Outcome(exit_code, refused, counts, before, answer["models"], stderr)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.told])
def test_a_run_is_refused_in_words(outcome: Outcome, name: str):
    obs_id = _OBS_IDS[name]

    told = outcome.refused[obs_id]

    assert re.search(CASES[name].told, told), told
    assert told.startswith((f"run {obs_id} (", f"run {obs_id}: "))
    assert told.count(f"run {obs_id}") == 1
    assert ".." not in told.replace("../", "")
    assert obs_id not in outcome.counts


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if not case.told])
def test_a_run_is_used_all_the_same(outcome: Outcome, name: str):
    obs_id, case = _OBS_IDS[name], CASES[name]

    assert obs_id not in outcome.refused, outcome.refused[obs_id]
    found, expected = outcome.counts[obs_id], outcome.before[obs_id]
    assert found.ontime == pytest.approx(expected.ontime, abs=1e-3)
    if case.n_gone:
        assert found.conservation.n_read == found.counts_3d.sum() == 0
        return
    assert found.conservation.n_read == expected.conservation.n_read
    assert found.conservation.n_invalid == case.n_invalid
    moved = np.abs(found.counts_3d - expected.counts_3d).sum()
    # energies as words or in another unit may round to the other side of an edge
    assert moved <= case.n_invalid + 2


def test_all_others_go_on(outcome: Outcome):
    assert outcome.exit_code == 1
    assert "could not be used" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    refused = {_OBS_IDS[name] for name, case in CASES.items() if case.told}
    assert outcome.refused.keys() == refused
    assert outcome.counts.keys() == set(_OBS_IDS.values()) - refused | set(_WHOLE)
    assert len(outcome.models) == 2 * len(outcome.counts)
    for obs_id in _WHOLE:
        found, expected = outcome.counts[obs_id], outcome.before[obs_id]
        np.testing.assert_array_equal(found.counts_3d, expected.counts_3d)
        assert found.checksum == expected.checksum
