"""The runs of a DL3 store, from its index files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from astropy.table import Table

from bkgpipe.core.run import Run, RunTable
from bkgpipe.errors import DriftScanError, InputError
from bkgpipe.store.aeff import aeff_entries
from bkgpipe.store.events import read_events
from bkgpipe.store.file_facts import file_facts
from bkgpipe.store.files import allow_words
from bkgpipe.store.headers import complete_columns, read_mode
from bkgpipe.store.index import (
    find_column,
    find_index,
    first_files,
    hdu_files,
    hdu_rows,
    obs_ids,
    read_index,
    words,
)
from bkgpipe.store.place import read_place
from bkgpipe.store.second_files import tell_second_files
from bkgpipe.store.store_folder import outer_folders
from bkgpipe.store.units import mjd_reference, to_unit
from bkgpipe.store.values import read_word

__all__ = [
    "find_outside",
    "read_events",
    "read_runs",
    "require_permitted",
    "require_store",
]

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
    table = read_index(path, "obs-index")
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
    doubts = (tell_second_files(kind, rows) for kind, rows in entries.items())
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


def require_permitted(store: Path, runs: Sequence[Run]) -> None:
    """Refuse a store of which no events file may be read, but others could be.

    Parameters
    ----------
    store : Path
        Folder of the store.
    runs : sequence of Run
        Its runs.

    Raises
    ------
    InputError
        If all files that are there are where files of the store may not be.
    """
    if any(run.file_size >= 0 for run in runs):
        return
    folders = outer_folders(store, _files_of(runs))
    if folders:
        raise InputError(
            what=f"the events of {len(runs)} runs are outside the store",
            where=str(store),
            fix=allow_words(folders),
        )


def find_outside(store: Path, runs: Sequence[Run]) -> list[str]:
    """Name the folders outside a store that hold files of its runs.

    Parameters
    ----------
    store : Path
        Folder of the store.
    runs : sequence of Run
        Its runs.

    Returns
    -------
    list of str
        Folders that ``[data] allow`` would have to name; see `outer_folders`.
    """
    return outer_folders(store, _files_of(runs))


def _files_of(runs: Sequence[Run]) -> set[str]:
    return {file for run in runs for file in (run.events_file, run.gti_file) if file}


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


def _files(
    store: Path, numbers: Sequence[int], entries: Mapping[str, Sequence[_Entry]]
) -> dict[str, list[object]]:
    events = first_files(entries["events"])
    found = [events.get(number, ("", "")) for number in numbers]
    files = [_relative(store, file) for file, _ in found]
    hdus = [hdu for _, hdu in found]
    facts = file_facts(store, files)
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
