"""The DL3 store that goes with the models: copied events files and its index."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from bkgpipe.datamodel import ExportEntry, Run
from bkgpipe.errors import InputError
from bkgpipe.io.files import inflate, locate, open_fits, read_content
from bkgpipe.io.fits_file import write_content, write_hdus
from bkgpipe.io.gadf import BKG_HDU_NAME, GADF_URL, Origin
from bkgpipe.io.index import find_column, find_index, read_index, words
from bkgpipe.io.index import obs_ids as index_obs_ids
from bkgpipe.io.plain_table import keep_rows

__all__ = [
    "BKG_NAMES",
    "IndexRow",
    "copy_events",
    "index_hdu",
    "index_rows",
    "is_mirrored",
    "read_origin",
    "write_hdu_index",
]

# Names of background HDUs whose header has no class
BKG_NAMES = ("BKG", "BACKGROUND", "BGD")


_COLUMNS = ("HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")


# gammapy.data.Observation.bkg mirrors the background of events with these keywords
_MIRRORED = {"CREATOR": "SASH FITS::EventListWriter", "HDUVERS": "0.2"}


class _Part(NamedTuple):
    """One HDU, and its header and data as bytes."""

    name: str
    header: fits.Header
    head: bytes
    data: bytes

    @property
    def is_background(self) -> bool:
        return self.name in BKG_NAMES or self.header.get("HDUCLAS2") == "BKG"


class IndexRow(NamedTuple):
    """A row of the HDU index, its file relative to the store.

    Attributes
    ----------
    obs_id : int
        Run number.
    hdu_type, hdu_class : str
        What the HDU is, as in GADF.
    file : str
        Its file.
    hdu_name : str
        Its name.
    """

    obs_id: int
    hdu_type: str
    hdu_class: str
    file: str
    hdu_name: str


def is_mirrored(header: fits.Header) -> bool:
    """Tell whether gammapy mirrors any background of events with this header.

    Parameters
    ----------
    header : fits.Header
        Header of the events.

    Returns
    -------
    bool
        True for those of H.E.S.S. DL3 DR1.
    """
    return all(header.get(key) == value for key, value in _MIRRORED.items())


def read_origin(store: Path, run: Run) -> Origin:
    """Read from the events of a run where they come from.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        Any run of it.

    Returns
    -------
    Origin
        Telescope, instrument and organisation, ``UNKNOWN`` where the header is silent,
        and whether gammapy mirrors the model in an index of the original files.

    Raises
    ------
    InputError
        If the file is missing, damaged, or has no such HDU.
    """
    for part in _read_parts(store, run.events_file, where=_where(run)):
        if part.name == _events_name(run):
            header = part.header
            return Origin(
                telescope=str(header.get("TELESCOP", "UNKNOWN")),
                instrument=str(header.get("INSTRUME", "UNKNOWN")),
                organisation=str(header.get("ORIGIN", "UNKNOWN")),
                is_mirrored=is_mirrored(header),
            )
    raise _no_events(run)


def copy_events(
    store: Path,
    path: Path,
    *,
    run: Run,
    creator: str,
    is_kept: np.ndarray | None = None,
) -> None:
    """Copy the file of a run without its background model.

    All other HDUs stay as they are, to the byte, and good time intervals in a file of
    their own come after them. Events may be left out; ``NCUT`` says how many. But the
    events get another creator: gammapy mirrors the
    background, *whatever* it is, of events whose ``CREATOR`` is that of H.E.S.S. DL3
    DR1. The original is kept as ``ORIGCREA``.

    Parameters
    ----------
    store : Path
        Folder of the store that has the run.
    path : Path
        File to write, not compressed; a temporary one is fine.
    run : Run
        The run.
    creator : str
        Creator to write, such as ``bkgpipe 0.1.0``.
    is_kept : np.ndarray, optional
        True for the events that stay, shape ``(n_events,)``; all when not given.

    Raises
    ------
    InputError
        If the original is missing, damaged, or has no events.
    OutputError
        If the copy cannot be written.
    """
    parts = [
        part
        for part in _read_parts(store, run.events_file, where=_where(run))
        if not part.is_background and not (run.gti_file and _is_good_time(part, run))
    ]
    if all(part.name != _events_name(run) for part in parts):
        raise _no_events(run)
    copied = []
    for part in parts:
        if part.name != _events_name(run):
            copied += [part.head, part.data]
            continue
        kept = part if is_kept is None else _keep_rows(part, is_kept)
        copied += [_head_by(creator, kept), kept.data]
    copied += _other_good_time(store, run)
    write_content(path, b"".join(copied))


def write_hdu_index(
    path: Path,
    source: Path,
    *,
    store: Path,
    entries: Sequence[ExportEntry],
    model_class: str,
) -> None:
    """Write which HDU of which file holds what, for each run that has a model.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    source : Path
        Folder of the store that the runs come from.
    store : Path
        Folder in which the index will be: its paths are relative to it.
    entries : sequence of ExportEntry
        What was written for each run; a run whose ``events`` are empty is indexed
        with its original file.
    model_class : str
        The one model that the index names: ``bkg_3d`` or ``bkg_2d``.

    Raises
    ------
    InputError
        If the index of the source cannot be read or lacks a run.
    OutputError
        If the index cannot be written.

    References
    ----------
    GADF 0.3, section "Data storage / HDU index".
    """
    models = {entry.obs_id: str(getattr(entry, model_class)) for entry in entries}
    copies = {entry.obs_id: entry.events for entry in entries if entry.events}
    source_index = find_index(source, "hdu-index")
    found = index_rows(source_index, models)
    rows = [row for row in found if row.hdu_type != "bkg"]
    events_file = {row.obs_id: row.file for row in rows if row.hdu_type == "events"}
    missing = sorted(models.keys() - events_file.keys())
    if missing:
        raise InputError(
            what=f"runs {missing[:5]} have no events in the HDU index",
            where=str(source_index),
            fix="Select the runs again, the store has changed",
        )
    origin = os.path.relpath(os.path.realpath(source), os.path.realpath(store))
    indexed = []
    for row in rows:
        # good time is copied also from a file of its own, see copy_events
        is_copied = row.obs_id in copies and (
            row.hdu_type == "gti" or row.file == events_file[row.obs_id]
        )
        original = os.path.normpath(PurePosixPath(origin, row.file))
        file = copies[row.obs_id] if is_copied else original
        indexed.append(row._replace(file=file))
    indexed += [
        IndexRow(obs_id, "bkg", model_class, file, BKG_HDU_NAME)
        for obs_id, file in models.items()
    ]
    table = index_hdu(sorted(indexed, key=lambda row: row.obs_id))
    write_hdus(path, [fits.PrimaryHDU(), table], compress=True)


def _is_good_time(part: _Part, run: Run) -> bool:
    return part.name == (run.gti_hdu or "GTI").upper()


def _other_good_time(store: Path, run: Run) -> list[bytes]:
    """Read the good time intervals that are in a file of their own."""
    if not run.gti_file:
        return []
    where = f"run {run.obs_id} ({run.gti_file})"
    parts = _read_parts(store, run.gti_file, where=where)
    return [
        content
        for part in parts
        if _is_good_time(part, run)
        for content in (part.head, part.data)
    ]


def _read_parts(store: Path, file: str, *, where: str) -> list[_Part]:
    path = locate(store, file, where=where)
    content = inflate(read_content(path, where=where), where=where)
    with open_fits(content, where=where) as hdus:
        return list(_parts(hdus, content))


def _parts(hdus: fits.HDUList, content: bytes) -> Iterator[_Part]:
    end = 0
    for hdu in hdus:
        place = hdu.fileinfo()
        start, middle = place["hdrLoc"], place["datLoc"]
        end = middle + place["datSpan"]
        if end > len(content):
            raise OSError(f"{hdu.name} ends at byte {end} of {len(content)}")
        head, data = content[start:middle], content[middle:end]
        yield _Part(hdu.name, hdu.header, head, data)
    # astropy passes over a last header that is cut
    if content[end:].strip(b"\0 "):
        raise OSError(f"what follows byte {end} of {len(content)} is no HDU")


def _keep_rows(part: _Part, is_kept: np.ndarray) -> _Part:
    header, data = keep_rows(part.header, part.data, is_kept)
    header["NCUT"] = (is_kept.size - header["NAXIS2"], "events outside good time")
    return part._replace(header=header, data=data)


def _head_by(creator: str, part: _Part) -> bytes:
    header = part.header.copy()
    header.remove("CHECKSUM", ignore_missing=True)
    original = header.get("CREATOR", "")
    header["CREATOR"] = (creator, "program that copied these events")
    header.set("ORIGCREA", original, "program that created them", after="CREATOR")
    head: bytes = header.tostring().encode("ascii")
    return head


def _where(run: Run) -> str:
    return f"run {run.obs_id} ({run.events_file})"


def _events_name(run: Run) -> str:
    return (run.events_hdu or "EVENTS").upper()


def _no_events(run: Run) -> InputError:
    return InputError(
        what=f"has no HDU {_events_name(run)}",
        where=_where(run),
        fix="Correct HDU_NAME in the HDU index or exclude the run",
    )


def index_rows(path: Path, obs_ids: Iterable[int]) -> list[IndexRow]:
    """Read the rows of some runs.

    Parameters
    ----------
    path : Path
        HDU index.
    obs_ids : iterable of int
        The runs.

    Returns
    -------
    list of IndexRow
        Their rows, as they stand in the index; kinds of HDU in lower case.

    Raises
    ------
    InputError
        If the index cannot be read.
    """
    table = read_index(path)
    numbers = index_obs_ids(table, where=str(path))
    kinds, classes, folders, files, names = (
        words(find_column(table, name), len(table)) for name in _COLUMNS
    )
    return [
        IndexRow(
            int(numbers[i]),
            kinds[i].lower(),
            classes[i],
            str(PurePosixPath(folders[i], files[i])),
            names[i],
        )
        for i in np.flatnonzero(np.isin(numbers, list(obs_ids)))
    ]


def index_hdu(rows: Sequence[IndexRow]) -> fits.BinTableHDU:
    """Make an HDU index.

    Parameters
    ----------
    rows : sequence of IndexRow
        Its rows.

    Returns
    -------
    BinTableHDU
        The table.

    References
    ----------
    GADF 0.3, section "Data storage / HDU index".
    """
    files = [PurePosixPath(row.file) for row in rows]
    words = {
        "HDU_TYPE": [row.hdu_type for row in rows],
        "HDU_CLASS": [row.hdu_class for row in rows],
        "FILE_DIR": [str(file.parent) for file in files],
        "FILE_NAME": [file.name for file in files],
        "HDU_NAME": [row.hdu_name for row in rows],
    }
    columns = [
        fits.Column(name="OBS_ID", format="K", array=[row.obs_id for row in rows])
    ]
    for name, values in words.items():
        width = max([1, *map(len, values)])
        columns.append(fits.Column(name=name, format=f"{width}A", array=values))
    table = fits.BinTableHDU.from_columns(columns, name="HDU_INDEX")
    table.header.update(
        {
            "HDUCLASS": "GADF",
            "HDUDOC": GADF_URL,
            "HDUVERS": "0.3",
            "HDUCLAS1": "INDEX",
            "HDUCLAS2": "HDU",
        }
    )
    return table
