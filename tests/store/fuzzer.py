"""Spoil files at random and read them, in a process that may crash.

Called with a folder of files and numbers of cases; prints what became of each case as
``number kind outcome``. Memory is limited, and a case that takes too long ends the
process, as does one that crashes it: the caller sees which one it was.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bkgpipe.chain.record import read_page_header, read_record_header
from bkgpipe.errors import DamagedFileError, InputError
from bkgpipe.product.chunk_file import read_checksums, read_refused
from bkgpipe.product.ecsv import read_table_header
from bkgpipe.product.hdf5 import read_header
from bkgpipe.stages.count import files as count
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.select.files import read_runs_table
from bkgpipe.store.store import read_events, read_runs

_SECONDS = 30
_MEMORY = 4 * 1024**3
_BLOCK = 2880
_KINDS = {"E": ">f4", "D": ">f8", "K": ">i8", "J": ">i4", "I": ">i2"}
_MJD_OF_DAY = 86400.0


class Hdu:
    """A binary table, read from its bytes by the FITS standard and nothing else."""

    def __init__(self, header: dict[str, str], data: bytes) -> None:
        self.header = header
        self.data = data

    def number(self, key: str) -> float:
        return float(self.header[key].replace("D", "E"))

    def column(self, wanted: str) -> np.ndarray:
        n_rows, width = int(self.header["NAXIS2"]), int(self.header["NAXIS1"])
        rows = np.frombuffer(self.data, np.uint8, n_rows * width).reshape(n_rows, width)
        start = 0
        for i in range(1, int(self.header["TFIELDS"]) + 1):
            form = self.header[f"TFORM{i}"].strip()
            repeat, code = int(form[:-1] or 1), form[-1]
            dtype = np.dtype(f"S{repeat}" if code == "A" else _KINDS[code])
            size = dtype.itemsize * (1 if code == "A" else repeat)
            if self.header.get(f"TTYPE{i}", "").strip().upper() == wanted:
                cell = np.ascontiguousarray(rows[:, start : start + size])
                return cell.view(dtype)[:, 0]
            start += size
        raise KeyError(wanted)


def parse_hdus(content: bytes) -> Iterator[Hdu]:
    place = 0
    while place < len(content):
        header: dict[str, str] = {}
        is_open = True
        while is_open:
            block = content[place : place + _BLOCK].decode("ascii", "replace")
            place += _BLOCK
            if not block:
                raise ValueError("a header without end")
            for card in (block[i : i + 80] for i in range(0, len(block), 80)):
                if card.rstrip() == "END":
                    is_open = False
                    break
                key, equals, value = card[:8].strip(), card[8:10], card[10:]
                if equals == "= ":
                    text = value.strip()
                    text = text[1:].partition("'")[0] if text[:1] == "'" else text
                    header.setdefault(key, text.partition(" /")[0].strip())
        shape = [int(header[f"NAXIS{i + 1}"]) for i in range(int(header["NAXIS"]))]
        size = abs(int(header["BITPIX"])) // 8 * int(np.prod(shape)) if shape else 0
        size += int(header.get("PCOUNT", 0))
        yield Hdu(header, content[place : place + size])
        place += -(-size // _BLOCK) * _BLOCK


def find_hdu(content: bytes, name: str) -> Hdu | None:
    named = (h for h in parse_hdus(content) if "EXTNAME" in h.header)
    return next((h for h in named if h.header["EXTNAME"].upper() == name), None)


def freeze(value: Any) -> Any:
    """Turn anything that is read into what can be compared, NaN included."""
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return [freeze(each) for each in value]
    return repr(value)


def require_scaled(found: np.ndarray, raw: np.ndarray, what: str) -> None:
    """Numbers are those of the file, but for the factor of a unit."""
    raw = raw.astype(float)
    ratios = (found / raw)[np.isfinite(raw) & (raw != 0) & np.isfinite(found)]
    ok = found.shape == raw.shape and (np.isfinite(found) == np.isfinite(raw)).all()
    if not ok or (ratios.size and np.ptp(ratios) > 1e-12 * abs(ratios[0])):
        raise AssertionError(f"{what} is not that of the file")


def read_spoilt_events(folder: Path) -> str:
    """Read the events of run 1001; compare what is read with an independent reading."""
    run = next(r for r in _runs(folder) if r.obs_id == 1001)
    path = folder / "store" / run.events_file
    events, _ = read_events(folder / "store", run)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        return "same" if freeze(events) == _whole(folder, "events") else "WRONG"
    hdu, gti = find_hdu(content, "EVENTS"), find_hdu(content, "GTI")
    assert hdu is not None
    for name in ("ra", "dec", "energy"):
        require_scaled(getattr(events, name), hdu.column(name.upper()), name)
    zero = hdu.number("MJDREFI") + hdu.number("MJDREFF")
    seconds = (events.time - zero) * _MJD_OF_DAY
    if hdu.header["TIMESYS"].strip().upper() == "TT":
        np.testing.assert_allclose(seconds, hdu.column("TIME"), atol=1e-3)
    start = gti.column("START") if gti else np.array([hdu.number("TSTART")])
    stop = gti.column("STOP") if gti else np.array([hdu.number("TSTOP")])
    np.testing.assert_allclose(events.ontime, (stop - start).sum(), atol=1e-3)
    return "same" if freeze(events) == _whole(folder, "events") else "read alike"


def read_spoilt_index(folder: Path) -> str:
    """Read the runs; compare what is read with an independent reading."""
    table = read_runs(folder / "store")
    names = {"ra": "RA_PNT", "dec": "DEC_PNT", "ontime": "ONTIME", "deadc": "DEADC"}
    observations = _index(folder, "obs-index")
    order = np.argsort(observations.column("OBS_ID").astype(np.int64))
    for field, name in names.items():
        found = np.array([getattr(run, field) for run in table.runs])
        with np.errstate(all="ignore"):
            require_scaled(found, observations.column(name)[order], name)
    hdus = _index(folder, "hdu-index")
    columns = [hdus.column(n) for n in ("HDU_TYPE", "OBS_ID", "FILE_DIR", "FILE_NAME")]
    files: dict[int, str] = {}
    for kind, obs_id, place, name in zip(*columns, strict=True):
        if _word(kind).lower() == "events":
            path = _word(place) + "/" + _word(name)
            files.setdefault(int(obs_id), os.path.normpath(path))
    for run in table.runs:
        if run.events_file != files.get(run.obs_id, ""):
            raise AssertionError(f"{run.events_file} is not {files.get(run.obs_id)}")
    return "same" if freeze(table.runs) == _whole(folder, "runs") else "read alike"


def _word(cell: bytes) -> str:
    return cell.replace(b"\0", b"\xff").decode(errors="replace").strip()


def _index(folder: Path, name: str) -> Hdu:
    return list(parse_hdus((folder / "store" / f"{name}.fits").read_bytes()))[1]


def _compare(folder: Path, name: str, readers: dict[str, Callable[[Path], Any]]) -> str:
    """Each reader finds the damage, or reads what was written."""
    outcomes = []
    for label, read in readers.items():
        try:
            found = freeze(read(folder / name))
        except DamagedFileError:
            outcomes.append("refused")
            continue
        if found != _whole(folder, label):
            raise AssertionError(f"{label} is not what was written")
        outcomes.append("same")
    return "refused" if "refused" in outcomes else "same"


_HDF5 = {
    "counts": COUNTS.read,
    "one": lambda path: COUNTS.read_one(path, 7),
    "heads": count.read_heads,
    "shapes": count.read_shapes,
    "tallies": count.read_tallies,
    "effects": count.read_mask_effects,
    "header": read_header,
    "refused": read_refused,
    "checksums": read_checksums,
}
_ECSV = {
    "table": lambda path: read_runs_table(path).runs,
    "table_header": read_table_header,
}
_JSON = {"record": read_record_header}
_PAGE = {"page": read_page_header}

# File that is spoilt, and what reads it
CASES: dict[str, tuple[str, Callable[[Path], str]]] = {
    "events": ("store/data/run_1001.fits", read_spoilt_events),
    "events.gz": ("zipped/run_1001.fits.gz", read_spoilt_events),
    "obs-index": ("store/obs-index.fits", read_spoilt_index),
    "hdu-index": ("store/hdu-index.fits", read_spoilt_index),
    "hdf5": ("count_0.h5", lambda folder: _compare(folder, "count_0.h5", _HDF5)),
    "ecsv": ("runs.ecsv", lambda folder: _compare(folder, "runs.ecsv", _ECSV)),
    "json": ("record.json", lambda folder: _compare(folder, "record.json", _JSON)),
    "page": ("index.html", lambda folder: _compare(folder, "index.html", _PAGE)),
}
_WEIGHTS = ("events", "events.gz", "obs-index", "hdu-index", "hdf5", "hdf5", "ecsv")
_ORDER = (*_WEIGHTS, "json", "page", "hdf5")
_KNOWN: dict[str, Any] = {}


def _whole(_folder: Path, label: str) -> Any:
    return _KNOWN[label]


def _runs(_folder: Path) -> Any:
    return _KNOWN["run table"]


def remember(folder: Path) -> None:
    """Read all files while they are whole."""
    table = read_runs(folder / "store")
    _KNOWN["run table"] = table.runs
    _KNOWN["runs"] = freeze(table.runs)
    events, _ = read_events(folder / "store", table.runs[0])
    _KNOWN["events"] = freeze(events)
    for name, readers in (
        ("count_0.h5", _HDF5),
        ("runs.ecsv", _ECSV),
        ("record.json", _JSON),
        ("index.html", _PAGE),
    ):
        for label, read in readers.items():
            _KNOWN[label] = freeze(read(folder / name))


def spoil(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip, overwrite, cut, repeat or exchange bytes."""
    spoilt = bytearray(content)
    places = rng.integers(0, len(spoilt), int(rng.integers(1, 9)))
    match int(rng.integers(8)):
        case 0:
            return bytes(spoilt[: places[0]])
        case 1:
            spoilt[places[0] : places[0] + int(rng.integers(1, 600))] = b""
        case 2:
            size = int(rng.integers(1, 600))
            spoilt[places[0] : places[0] + size] = bytes(rng.bytes(size))
        case 3:
            # text for text, as in headers
            for place in places:
                spoilt[place] = int(rng.integers(32, 127))
        case _:
            for place in places:
                spoilt[place] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


def run_case(folder: Path, number: int) -> str:
    """Spoil one file, read it, and restore it."""
    kind = _ORDER[number % len(_ORDER)]
    name, check = CASES[kind]
    path = folder / name
    content = path.read_bytes()
    spoilt = spoil(content, np.random.default_rng(number))
    target = folder / "store/data/run_1001.fits" if kind == "events.gz" else path
    kept = target.read_bytes()
    target.write_bytes(spoilt)
    try:
        return f"{kind} {_outcome(check, folder)}"
    finally:
        target.write_bytes(kept)


def _outcome(check: Callable[[Path], str], folder: Path) -> str:
    try:
        outcome = check(folder)
    except (InputError, DamagedFileError):
        outcome = "refused"
    except AssertionError as error:
        outcome = f"WRONG {error}".replace("\n", " ")
    except Exception as error:  # noqa: BLE001
        outcome = "read, but not by the independent reader"
        if _is_ours(error):
            traceback.print_exc()
            outcome = "TRACEBACK"
    return outcome


def _is_ours(error: BaseException) -> bool:
    """Tell whether an error comes from the package, not from the reader in here."""
    frames = traceback.extract_tb(error.__traceback__)
    return any("/bkgpipe/" in frame.filename for frame in frames)


def main(source: str, first: str, last: str, step: str) -> None:
    folder = Path(source).with_name(f"{Path(source).name}-{os.getpid()}")
    shutil.copytree(source, folder)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    # what the command does when it is not asked to tell more
    warnings.simplefilter("ignore")
    remember(folder)
    for number in range(int(first), int(last), int(step)):
        sys.stdout.write(f"{number} begins\n")
        sys.stdout.flush()
        signal.alarm(_SECONDS)
        outcome = run_case(folder, number)
        signal.alarm(0)
        sys.stdout.write(f"{number} {outcome}\n")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
