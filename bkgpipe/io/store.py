"""The runs of a DL3 store, from its index files."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from astropy.table import Table

from bkgpipe.datamodel import Run, RunTable
from bkgpipe.errors import DriftScanError, InputError
from bkgpipe.io.aeff import aeff_entries
from bkgpipe.io.events import read_events
from bkgpipe.io.files import is_inside
from bkgpipe.io.headers import complete_columns, read_mode
from bkgpipe.io.index import (
    find_column,
    find_index,
    first_files,
    hdu_files,
    hdu_rows,
    obs_ids,
    read_index,
    second_files,
    words,
)
from bkgpipe.io.passing import require_lasting
from bkgpipe.io.place import read_place
from bkgpipe.io.units import mjd_reference, to_unit
from bkgpipe.io.values import read_word

__all__ = ["read_events", "read_runs", "require_store"]

# Run number, and file and HDU, of a row of the HDU index
_Entry: TypeAlias = tuple[int, tuple[str, str]]

_INDEXES = ("obs-index", "hdu-index")
_MAX_QUALITY = 2**31  # no flag is larger, and no number from there on is whole


def read_runs(store: Path) -> RunTable:
    """Read the runs of a store.

    No events file is opened but for what is needed of a run and not in the observation
    table; see `complete_columns`.

    Parameters
    ----------
    store : Path
        Folder with ``obs-index.fits`` and ``hdu-index.fits``, either also as ``.gz``.

    Returns
    -------
    RunTable
        All runs in order of ``obs_id``, with the observation table in the same order.

    Raises
    ------
    InputError
        If an index is missing, damaged, has no pointing, or a run occurs twice.
    DriftScanError
        If all runs are drift scans, as far as the indexes and the first events tell.

    References
    ----------
    GADF, section Data storage, Observation and HDU index tables.
    """
    path = find_index(store, "obs-index")
    where = str(path)
    table = read_index(path)
    numbers = obs_ids(table, where=where)
    _require_unique(numbers, where)
    _require_tracking(store, table, where)
    table = table[np.argsort(numbers)]
    columns: dict[str, list[object]] = {"obs_id": np.sort(numbers).tolist()}
    columns |= _words(table)
    for part in (_pointing, _times, _conditions, _place):
        for name, values in part(table, where).items():
            columns[name] = values.tolist()
    entries = {kind: hdu_rows(store, kind) for kind in ("events", "gti")}
    columns |= _files(store, np.sort(numbers).tolist(), entries)
    columns = complete_columns(store, columns)
    rows = zip(*columns.values(), strict=True)
    runs = tuple(Run(**dict(zip(columns, row, strict=True))) for row in rows)
    table.convert_bytestring_to_unicode()
    doubts = (_second_files(kind, rows) for kind, rows in entries.items())
    return RunTable(
        runs=runs, observations=table, doubts=tuple(doubt for doubt in doubts if doubt)
    )


def require_store(store: Path) -> None:
    """Refuse to go on when a store that was there before is gone.

    A file system that is unmounted, or a server that does not answer, takes the files
    of all runs away at once.

    Parameters
    ----------
    store : Path
        Folder of the store.

    Raises
    ------
    InputError
        If one of its indexes is gone.
    """
    try:
        for name in _INDEXES:
            find_index(store, name)
    except InputError as error:
        raise InputError(
            what=f"the store is gone, not only files of single runs ({error.what})",
            where=str(store),
            fix="Bring it back, as by mounting its file system, and run again",
        ) from error


def _require_unique(numbers: np.ndarray, where: str) -> None:
    values, n_rows = np.unique(numbers, return_counts=True)
    double = values[n_rows > 1]
    if double.size:
        raise InputError(
            what=f"{double.size} OBS_ID occur more than once, the first is {double[0]}",
            where=where,
            fix="Leave one row for each run in the observation index",
        )


def _require_tracking(store: Path, table: Table, where: str) -> None:
    """Refuse an array that does not point, before its lack of pointings is noticed."""
    modes = words(find_column(table, "OBS_MODE"), len(table))
    header = read_word(table.meta, "OBS_MODE")
    is_drift = all(_is_drift(mode or header) for mode in modes) and bool(modes)
    if not is_drift and find_column(table, "RA_PNT") is None:
        is_drift = _is_drift(read_mode(store, hdu_files(store, "events")))
    if is_drift:
        raise DriftScanError(
            what="the runs are drift scans (OBS_MODE = DRIFT), as of HAWC or SWGO: they"
            " have no pointing, so there is no field of view to make a model for",
            where=where,
            fix="Use a store of pointed observations",
        )


def _is_drift(mode: str) -> bool:
    return "DRIFT" in mode.upper()


def _words(table: Table) -> dict[str, list[object]]:
    names = {"target": ("OBJECT", "TARGET_NAME"), "telescopes": ("TELLIST",)}
    found = {key: find_column(table, *value) for key, value in names.items()}
    return {key: [*words(column, len(table))] for key, column in found.items()}


def _numbers(table: Table, name: str, unit: str, where: str) -> np.ndarray:
    """Column in a unit of the package; NaN when there is none."""
    column = find_column(table, name)
    if column is None:
        return np.full(len(table), np.nan)
    numbers = to_unit(
        column,
        str(column.unit or ""),
        unit,
        where=f"{where}, {name}",
        obs_ids=find_column(table, "OBS_ID"),
    )
    if numbers.ndim == 1:
        return np.where(np.isfinite(numbers), numbers, np.nan)
    raise InputError(
        what=f"has {numbers.shape[1:]} values in each row, expected one",
        where=f"{where}, {name}",
        fix="Correct the column in the file",
    )


def _first(*columns: np.ndarray) -> np.ndarray:
    """Take each value from the first column that has it."""
    best, *others = columns
    for other in others:
        best = np.where(np.isfinite(best), best, other)
    return best


def _pointing(table: Table, where: str) -> dict[str, np.ndarray]:
    for name in ("RA_PNT", "DEC_PNT"):
        if find_column(table, name) is None:
            raise InputError(
                what=f"has no column {name}",
                where=where,
                fix="Add the pointing of each run to the observation index",
            )
    altitude = _numbers(table, "ALT_PNT", "deg", where)
    return {
        "ra": _numbers(table, "RA_PNT", "deg", where),
        "dec": _numbers(table, "DEC_PNT", "deg", where),
        "zenith": _first(_numbers(table, "ZEN_PNT", "deg", where), 90.0 - altitude),
        "azimuth": _numbers(table, "AZ_PNT", "deg", where),
    }


def _times(table: Table, where: str) -> dict[str, np.ndarray]:
    zero = mjd_reference(table.meta, where=where)
    ontime = _numbers(table, "ONTIME", "s", where)
    livetime = _numbers(table, "LIVETIME", "s", where)
    deadc = _numbers(table, "DEADC", "", where)
    with np.errstate(divide="ignore", invalid="ignore"):
        deadc = _first(deadc, livetime / ontime)
        return {
            "ontime": _first(ontime, livetime / deadc),
            "livetime": _first(livetime, ontime * deadc),
            "deadc": deadc,
            "time_start": zero + _numbers(table, "TSTART", "s", where) / 86400.0,
            "time_stop": zero + _numbers(table, "TSTOP", "s", where) / 86400.0,
        }


def _conditions(table: Table, where: str) -> dict[str, np.ndarray]:
    quality = _numbers(table, "QUALITY", "", where)
    nsb = (_numbers(table, name, "", where) for name in ("NSBLEVEL", "NSB"))
    return {
        "muon_efficiency": _numbers(table, "MUONEFF", "", where),
        "nsb": _first(*nsb),
        "quality": np.where(abs(quality) < _MAX_QUALITY, quality, -1).astype(np.int64),
        "safe_energy_min": _numbers(table, "SAFE_ENERGY_LO", "TeV", where),
    }


def _place(table: Table, where: str) -> dict[str, np.ndarray]:
    place = read_place(table.meta, where=f"{where}, header")
    return {name: np.full(len(table), value) for name, value in place.items()}


def _second_files(kind: str, entries: Sequence[_Entry]) -> str:
    """Say for which runs an index names more than one file, and which is taken."""
    several = second_files(entries)
    if not several:
        return ""
    obs_id = min(several)
    taken, *others = several[obs_id]
    more = f" (and so for {len(several) - 1} more runs)" * (len(several) > 1)
    return (
        f"run {obs_id}: the HDU index names {len(others) + 1} entries of type {kind}: "
        f"{taken} is taken, as by gammapy, and {', '.join(others)} is not{more}. "
        f"Leave one row of type {kind} for each run in the HDU index"
    )


def _files(
    store: Path, numbers: Sequence[int], entries: Mapping[str, Sequence[_Entry]]
) -> dict[str, list[object]]:
    events = first_files(entries["events"])
    found = [events.get(number, ("", "")) for number in numbers]
    files = [_relative(store, file) for file, _ in found]
    hdus = [hdu for _, hdu in found]
    facts = _file_facts(store, files)
    return {
        "events_file": [*files],
        "events_hdu": [*hdus],
        **_gti_places(store, [*zip(files, hdus, strict=True)], numbers, entries["gti"]),
        "aeff_file": _aeff_files(store, files, numbers),
        "file_size": [size for size, _ in facts],
        "file_time": [time for _, time in facts],
    }


def _gti_places(
    store: Path,
    events: Sequence[tuple[str, str]],
    numbers: Sequence[int],
    entries: Sequence[_Entry],
) -> dict[str, list[object]]:
    """Say where good time intervals are, where that is not the usual place.

    Some indexes name the events HDU for them, which has none; that is no other place.
    """
    named = first_files(entries)
    places = []
    for number, (file, hdu) in zip(numbers, events, strict=True):
        found, name = named.get(number, ("", ""))
        found = _relative(store, found)
        other = "" if found == file else found
        is_usual = name.upper() == "GTI" or (not other and name == hdu)
        places.append((other, "" if is_usual else name))
    return {
        "gti_file": [file for file, _ in places],
        "gti_hdu": [hdu for _, hdu in places],
    }


def _aeff_files(
    store: Path, events: Sequence[str], numbers: Sequence[int]
) -> list[object]:
    """Name the file of each effective area, where that is not the events file."""
    entries = aeff_entries(store)
    found = (_relative(store, entries.get(number, ("", ""))[0]) for number in numbers)
    return [
        "" if file == other else other
        for file, other in zip(events, found, strict=True)
    ]


def _relative(store: Path, file: str) -> str:
    if not file:
        return file
    if file.startswith("/"):
        return os.path.relpath(file, os.path.realpath(store))
    return os.path.normpath(file)


def _file_facts(store: Path, files: Sequence[str]) -> list[tuple[int, int]]:
    """Size and time of files, (-1, 0) for those missing or outside the store.

    Each folder is listed once: asking for 10^5 files one by one takes minutes on the
    file systems of sites.
    """
    root = os.path.realpath(store)
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for file in files:
        folder, name = os.path.split(file)
        wanted[folder][name] = file
    facts: dict[str, tuple[int, int]] = {}
    for folder, names in wanted.items():
        facts |= _list_folder(root, folder, names)
    return [facts.get(file, (-1, 0)) for file in files]


def _list_folder(
    root: str, folder: str, names: Mapping[str, str]
) -> dict[str, tuple[int, int]]:
    """Look for names in a folder; each stands for a file of the index."""
    real = os.path.realpath(Path(root, folder))
    if not is_inside(root, real):
        return {}
    try:
        with os.scandir(real) as entries:
            found = (entry for entry in entries if entry.name in names)
            return {names[entry.name]: _facts(root, entry) for entry in found}
    except OSError as error:
        require_lasting(error, where=real)
        return {}


def _facts(root: str, entry: os.DirEntry[str]) -> tuple[int, int]:
    if not entry.is_file() or (
        entry.is_symlink() and not is_inside(root, os.path.realpath(entry.path))
    ):
        return -1, 0
    status = entry.stat()
    return status.st_size, status.st_mtime_ns
