"""Ways to spoil a store, and what is said of them: one list for all tests.

`RUNS` are faults of single runs, which take no other run down; `INDEXES` are faults of
an observation index, and `STORES` are those of all a store, or of its settings.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Table


class Case(NamedTuple):
    """A way to spoil the events file of a run, or its row of the index.

    ``told`` is what is said of a run that is refused; one that is used has none. A run
    that is counted may still get no model.
    """

    spoil: Callable[[Path, int], None]
    told: str = ""
    is_counted: bool = False
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


def _good_time_row(store: Path, obs_id: int) -> None:
    """Name a file for good time intervals that is not there."""
    path = store / "hdu-index.fits.gz"
    table = Table.read(path)
    for row in table:
        if (row["OBS_ID"], row["HDU_TYPE"]) == (obs_id, "gti"):
            row["FILE_NAME"] = "none.fits"
    table.write(path, overwrite=True)


def _unknown(*names: str) -> Callable[[Path, int], None]:
    """Take values of a run out of index and header."""

    def spoil(store: Path, obs_id: int) -> None:
        path = store / "obs-index.fits.gz"
        table = Table.read(path)
        for name in names:
            table[name][table["OBS_ID"] == obs_id] = np.nan
        table.write(path, overwrite=True)
        _hdus(_without(*names))(store, obs_id)

    return spoil


def _without(*names: str) -> Callable[[fits.HDUList], None]:
    def change(hdus: fits.HDUList) -> None:
        for name in names:
            hdus["EVENTS"].header.remove(name, ignore_missing=True)

    return change


_DAMAGED = "the FITS file is damaged or truncated .*Restore the file or exclude"
_NO_EVENTS = "has no table HDU EVENTS.*Correct HDU_NAME in the HDU index or exclude"
_ONE = "values in each row, expected one. Correct the column"
_NUMBERS = "ENERGY: (is|holds) .*, expected (a number|numbers). Correct the column"
_UNIT = "ENERGY: has unit 'furlong', expected one like TeV. Correct the unit"
_OUT = r"outside the store. If its files belong there, set \[data\] allow = /"
_NO_FILE = r"the file cannot be read \(it is no regular file\). Restore the file"
_GONE = r"the file cannot be read \(No such file or directory\). Restore the file"

RUNS = {
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
    "no file of good time": Case(_good_time_row, rf"\(data/none.fits\): {_GONE}"),
    "unknown pointing": Case(
        _unknown("RA_PNT"), "the pointing is not known, found ra nan.*Add RA_PNT"
    ),
    "unknown live time": Case(
        _unknown("DEADC", "LIVETIME"), "dead-time fraction is nan.*Add DEADC"
    ),
    "unknown zenith": Case(
        _unknown("ZEN_PNT", "ALT_PNT"), "zenith is nan deg.*Give ZEN_PNT", True
    ),
    "unknown azimuth": Case(
        _unknown("AZ_PNT"), "azimuth is nan deg.*Give ZEN_PNT", True
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


def _replace(
    name: str, make: Callable[[int], Any], unit: str | None = None
) -> Callable[[Table], None]:
    """Replace a column of an index, given the number of its rows."""

    def change(table: Table) -> None:
        table[name] = make(len(table))
        table[name].unit = unit

    return change


def _meta(**keys: Any) -> Callable[[Table], None]:
    return lambda table: table.meta.update(keys)


def _last(word: str) -> Callable[[int], Any]:
    return lambda n_rows: [*(str(row) for row in range(1, n_rows)), word]


# Change of an observation index, and what is said of it
INDEXES: dict[str, tuple[Callable[[Table], None], str]] = {
    "no run numbers": (
        lambda table: table.remove_column("OBS_ID"),
        "has no column OBS_ID. Give each",
    ),
    "word for a run number": (
        _replace("OBS_ID", _last("run 9")),
        r"OBS_ID is 'run 9' in row \d, expected",
    ),
    "too large run number": (
        _replace("OBS_ID", _last("9" * 30)),
        r"OBS_ID is '9{30}' in row \d, expected a whole number. Give each",
    ),
    "one number of two runs": (
        _replace("OBS_ID", lambda n: [7, *range(7, 6 + n)]),
        "OBS_ID occur more than once, the first is 7. Leave",
    ),
    "no pointing": (
        lambda table: table.remove_column("RA_PNT"),
        "has no column RA_PNT. Add the pointing",
    ),
    "words for pointings": (
        _replace("RA_PNT", lambda n: ["b"] * n),
        r"RA_PNT: is 'b' for run \d+, expected",
    ),
    "pairs for pointings": (
        _replace("RA_PNT", lambda n: np.ones((n, 2))),
        r"RA_PNT: has \(2,\) values in each row",
    ),
    "complex pointings": (
        _replace("RA_PNT", lambda n: np.ones(n, complex)),
        "RA_PNT: holds complex numbers",
    ),
    "other unit": (
        _replace("RA_PNT", np.ones, "TeV"),
        "RA_PNT: has unit 'TeV', expected one like",
    ),
    "word for the clock": (
        _meta(MJDREFI="first"),
        "MJDREFI is 'first', expected a modified Julian",
    ),
    "no day": (_meta(MJDREFF=1e300), "MJDREFF is 1e.300, expected a modified Julian"),
    "word for the place": (
        _meta(GEOLON="east"),
        "header: GEOLON is 'east', expected a number",
    ),
}


class Store(NamedTuple):
    """A way to spoil a store of any runs, or settings that do not go with it.

    ``stage`` is the last that has to be run to see it, and ``told`` what is said then.
    """

    told: str
    spoil: Callable[[Path], object] = lambda _: None
    settings: tuple[str, ...] = ()
    stage: str = "count"


def _index(name: str, change: Callable[[Table], object]) -> Callable[[Path], None]:
    def spoil(store: Path) -> None:
        path = store / f"{name}.fits.gz"
        table = Table.read(path)
        change(table)
        table.write(path, overwrite=True)

    return spoil


def _unlink(name: str) -> Callable[[Path], None]:
    return lambda store: (store / name).unlink()


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda store: (store / name).write_bytes(content)


def _drift(table: Table) -> None:
    table.remove_columns(["RA_PNT", "DEC_PNT"])
    table["OBS_MODE"] = "DRIFT"


def _move_out(store: Path) -> None:
    (store / "data").rename(store.parent / "data")
    (store / "data").symlink_to(store.parent / "data")


def _nowhere(store: Path) -> None:
    """Take away where the observatory is."""
    keys = ("GEOLON", "GEOLAT", "ALTITUDE")
    _index("obs-index", lambda table: [table.meta.pop(key) for key in keys])(store)
    for path in (store / "data").iterdir():
        _hdus(_without(*keys))(store, int(re.sub(r"\D", "", path.name)))


def _no_areas(table: Table) -> None:
    table.remove_rows([i for i, row in enumerate(table) if row["HDU_TYPE"] == "aeff"])


def _first(*names: str) -> Callable[[Path], None]:
    """Take values of the first run out of index and header."""

    def spoil(store: Path) -> None:
        _unknown(*names)(store, int(Table.read(store / "obs-index.fits.gz")[0][0]))

    return spoil


_NO_INDEX = r"index.fits and \w+-index.fits.gz are both missing. Set \[data\] store"
_NO_ENERGY = r"has no safe energy from \[count\] safe_energy = "

STORES = {
    name: Store(told, _index("obs-index", change))
    for name, (change, told) in INDEXES.items()
} | {
    "no observation index": Store(_NO_INDEX, _unlink("obs-index.fits.gz")),
    "no HDU index": Store(_NO_INDEX, _unlink("hdu-index.fits.gz")),
    "words for an index": Store(_DAMAGED, _write("hdu-index.fits.gz", b"words")),
    "two indexes": Store(
        "are both the obs-index, and differ.|damaged", _write("obs-index.fits", b"a")
    ),
    "no names of files": Store(
        "has no column FILE_NAME. Make the HDU index again",
        _index("hdu-index", lambda table: table.remove_column("FILE_NAME")),
    ),
    "drift scans": Store("the runs are drift scans", _index("obs-index", _drift)),
    "events outside": Store("the events of . runs are outside the store", _move_out),
    "no place": Store(
        "the place of the observatory is not known",
        _nowhere,
        ("export.alignment=ALTAZ",),
    ),
    "no safe energies": Store(
        f"{_NO_ENERGY}table",
        _index("obs-index", lambda table: table.remove_column("SAFE_ENERGY_LO")),
        ("count.safe_energy=table",),
    ),
    "no effective areas": Store(
        f"{_NO_ENERGY}aeff",
        _index("hdu-index", _no_areas),
        ("count.safe_energy=aeff",),
    ),
    "no file of effective areas": Store(
        _GONE, _unlink("irfs.fits.gz"), ("count.safe_energy=aeff",)
    ),
    "unknown zenith of one run": Store(
        "the zenith angle is unknown. Add ZEN_PNT",
        _first("ZEN_PNT", "ALT_PNT"),
        ("smooth.method=regression",),
        "export",
    ),
    "unknown run": Store(
        "1 runs are not in the store: 77. Take them", settings=("select.obs_ids=77",)
    ),
    "unknown run to export": Store(
        "1 runs are not in the store: 77. Take them", settings=("export.obs_ids=77",)
    ),
    "unknown column": Store(
        "has no column WIND. Use", settings=("select.conditions=WIND < 3",)
    ),
    "word for a number": Store(
        "the column holds numbers", settings=("select.conditions=ZEN_PNT < low",)
    ),
    "no condition": Store(
        "cannot understand the condition", settings=("select.conditions=dry",)
    ),
    "no run": Store(
        "none of . runs is selected. Widen", settings=("select.max_zenith=1 deg",)
    ),
    "no catalogue": Store(
        "hdu-index.fits.gz",
        settings=("mask.catalogs=store/hdu-index.fits.gz",),
    ),
    "no region file": Store(
        "hdu-index.fits.gz",
        settings=("mask.regions=store/hdu-index.fits.gz",),
    ),
}
