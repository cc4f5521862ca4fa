"""A DL3 store whose events are those of another, and drawn ones added to them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from astropy.io import fits

from bkgpipe._version import __version__
from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.simulate.mixing.data import MixedEvents
from bkgpipe.stages.export.tables import write_observation_table
from bkgpipe.store.files import inflate, locate, open_fits, read_content
from bkgpipe.store.fits_file import write_hdus
from bkgpipe.store.hdu_index import index_hdu, index_rows
from bkgpipe.store.index import find_index
from bkgpipe.store.units import mjd_reference, to_unit

__all__ = ["mixed_file", "write_mixed_index", "write_mixed_run"]

_DAY = 86400.0
_UNITS = {"RA": "deg", "DEC": "deg", "ENERGY": "TeV", "TIME": "s"}
_OURS = ("EVENT_ID", "BKG_TYPE")
# What is copied beside the events; all else stays where it is
_COPIED = ("GTI", "POINTING")
_COPIED_TYPES = ("events", "gti", "pointing")


def mixed_file(run: Run) -> str:
    """Name the file of a run in the new store.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    str
        File relative to the store.
    """
    return f"data/run_{run.obs_id}.fits.gz"


def write_mixed_run(
    path: Path, store: Path, run: Run, events: MixedEvents, *, keep_events: bool
) -> None:
    """Write the events of a run, and others after them.

    Columns and headers are those of the original. Its own events have ``BKG_TYPE`` 0
    if they had none; columns that only they can fill are empty for the others. The
    creator stays as well: gammapy goes by it when it mirrors the background of H.E.S.S.
    DL3 DR1.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    store : Path
        Folder of the store that has the run.
    run : Run
        The run.
    events : MixedEvents
        Events to add.
    keep_events : bool
        True if the run's own events stay.

    Raises
    ------
    InputError
        If the original is missing, damaged, or lacks a column.
    OutputError
        If the file cannot be written.

    References
    ----------
    GADF 0.3, sections "Events" and "GTI".
    """
    where = f"run {run.obs_id} ({run.events_file})"
    original = locate(store, run.events_file, where=where)
    content = inflate(read_content(original, where=where), where=where)
    with open_fits(content, where=where) as hdus:
        table = _events_of(hdus, run, where)
        own = table.data if keep_events else table.data[:0]
        good_time = (run.gti_hdu or "GTI").upper()
        copied = {*_COPIED, good_time} - {good_time if run.gti_file else ""}
        others = [hdu for hdu in hdus[1:] if hdu.name.upper() in copied]
        others += _other_good_time(store, run, good_time)
        mixed = _mixed_hdu(table, own, _new_columns(table, events, where))
        write_hdus(path, [fits.PrimaryHDU(), mixed, *others], compress=True)


def write_mixed_index(
    folder: Path,
    store: Path,
    runs: Sequence[Run],
    *,
    safe_energies: Mapping[int, float] | None = None,
) -> None:
    """Write the two index files of a store of mixed events.

    Instrument responses and models of the background stay in the files that they come
    from; events and their good time intervals are in those of `mixed_file`.

    Parameters
    ----------
    folder : Path
        Folder of the new store.
    store : Path
        Folder of the store that has the runs.
    runs : sequence of Run
        The runs.
    safe_energies : mapping of int to float, optional
        Safe energy of the runs that get another one than the original says [TeV].

    Raises
    ------
    InputError
        If an index of the original cannot be read or lacks a run.
    OutputError
        If an index cannot be written.

    References
    ----------
    GADF 0.3, section "Data storage".
    """
    by_number = {run.obs_id: run for run in runs}
    source_index = find_index(store, "hdu-index")
    origin = os.path.relpath(os.path.realpath(store), os.path.realpath(folder))
    rows = []
    for row in index_rows(source_index, by_number):
        run = by_number[row.obs_id]
        is_copied = row.hdu_type in _COPIED_TYPES and any(
            _is_same(row.file, file) for file in (run.events_file, run.gti_file)
        )
        original = os.path.normpath(PurePosixPath(origin, row.file))
        rows.append(row._replace(file=mixed_file(run) if is_copied else original))
    table = index_hdu(sorted(rows, key=lambda row: row.obs_id))
    write_observation_table(
        folder / "obs-index.fits.gz",
        store,
        obs_ids=sorted(by_number),
        safe_energies=safe_energies,
    )
    path = folder / "hdu-index.fits.gz"
    write_hdus(path, [fits.PrimaryHDU(), table], compress=True)


def _other_good_time(store: Path, run: Run, name: str) -> list[fits.BinTableHDU]:
    """Copy the good time intervals that are in a file of their own."""
    if not run.gti_file:
        return []
    where = f"run {run.obs_id} ({run.gti_file})"
    content = read_content(locate(store, run.gti_file, where=where), where=where)
    with open_fits(inflate(content, where=where), where=where) as hdus:
        return [hdu.copy() for hdu in hdus[1:] if hdu.name.upper() == name]


def _is_same(file: str, other: str) -> bool:
    return os.path.normpath(file) == os.path.normpath(other)


def _events_of(hdus: fits.HDUList, run: Run, where: str) -> fits.BinTableHDU:
    name = run.events_hdu or "EVENTS"
    if name not in hdus or not isinstance(hdus[name], fits.BinTableHDU):
        raise InputError(
            what=f"has no table HDU {name}",
            where=where,
            fix="Correct HDU_NAME in the HDU index or exclude the run",
        )
    return hdus[name]


def _new_columns(
    table: fits.BinTableHDU, events: MixedEvents, where: str
) -> dict[str, np.ndarray]:
    """Columns of the new events in the units and on the clock of the file."""
    zero = mjd_reference(table.header, where=where)
    values = {
        "RA": events.ra,
        "DEC": events.dec,
        "ENERGY": events.energy,
        "TIME": (events.time - zero) * _DAY,
        "BKG_TYPE": events.bkg_type,
    }
    units = {column.name.upper(): column.unit or "" for column in table.columns}
    missing = sorted(_UNITS.keys() - units.keys())
    if missing or not np.isfinite(zero):
        raise InputError(
            what=f"the events lack {', '.join(missing) or 'MJDREFI'}",
            where=where,
            fix="Make the file again as GADF describes it, or exclude the run",
        )
    for name, unit in _UNITS.items():
        factor = to_unit(1.0, units[name], unit, where=f"{where}, {name}")
        values[name] = values[name] / factor
    return values


def _mixed_hdu(
    table: fits.BinTableHDU, own: fits.FITS_rec, new: dict[str, np.ndarray]
) -> fits.BinTableHDU:
    n_new = new["BKG_TYPE"].size
    columns = [
        _longer(column, own.field(column.name), new.get(column.name.upper()), n_new)
        for column in table.columns
        if column.name.upper() not in _OURS
    ]
    known = {column.name.upper(): own.field(column.name) for column in table.columns}
    kinds = np.asarray(known.get("BKG_TYPE", np.zeros(len(own))), dtype=np.int16)
    kinds = np.concatenate([kinds, new["BKG_TYPE"].astype(np.int16)])
    numbers = _event_numbers(known.get("EVENT_ID"), n_own=len(own), n_new=n_new)
    columns = [
        fits.Column(name="EVENT_ID", format="K", array=numbers),
        *columns,
        fits.Column(name="BKG_TYPE", format="I", array=kinds),
    ]
    mixed = fits.BinTableHDU.from_columns(columns, name=table.name)
    mixed.header.extend(table.header.copy(strip=True), unique=True)
    for key in ("CHECKSUM", "DATASUM"):
        mixed.header.remove(key, ignore_missing=True)
    mixed.header["MIXEDBY"] = (f"bkgpipe {__version__}", "program that added events")
    return mixed


def _event_numbers(own: np.ndarray | None, *, n_own: int, n_new: int) -> np.ndarray:
    """Numbers of the file, and new ones from the largest on; or all of them new."""
    if own is None or np.asarray(own).dtype.kind not in "iu":
        return np.arange(1, n_own + n_new + 1)
    kept = np.asarray(own, dtype=np.int64)
    first = max(int(kept.max(initial=0)), 0) + 1
    if first > np.iinfo(np.int64).max - n_new:
        return np.arange(1, n_own + n_new + 1)
    return np.concatenate([kept, np.arange(first, first + n_new)])


def _longer(
    column: fits.Column, own: np.ndarray, new: np.ndarray | None, n_new: int
) -> fits.Column:
    """Make a column of the kept values and the new ones, or empty ones."""
    values = np.asarray(own)
    if new is None:
        new = np.full((n_new, *values.shape[1:]), _empty(column, values.dtype))
    array = np.concatenate([values, new.astype(values.dtype)])
    options = {"unit": column.unit, "null": column.null, "dim": column.dim}
    return fits.Column(name=column.name, format=column.format, array=array, **options)


def _empty(column: fits.Column, dtype: np.dtype) -> object:
    """Return what stands for no value in a column."""
    if dtype.kind == "f":
        return np.nan
    if dtype.kind in "iu" and column.null is not None:
        return column.null
    return np.zeros((), dtype)[()]
