"""The DL3 store that goes with the models: copied events files and its index."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.export.gadf import BKG_HDU_NAME, Origin
from bkgpipe.store.cards import data_span, headers, mend_headers
from bkgpipe.store.files import inflate, locate, open_fits, read_content
from bkgpipe.store.fits_file import write_fits, write_hdus
from bkgpipe.store.hdu_index import IndexRow, index_hdu, index_rows
from bkgpipe.store.index import find_index
from bkgpipe.store.plain_table import keep_rows
from bkgpipe.store.values import read_word

__all__ = [
    "BKG_NAMES",
    "copy_events",
    "is_mirrored",
    "read_origin",
    "write_hdu_index",
]

# Names of background HDUs whose header has no class
BKG_NAMES = ("BKG", "BACKGROUND", "BGD")

_UNKNOWN = "UNKNOWN"

# gammapy.data.Observation.bkg mirrors the background of events with these keywords
_MIRRORED = {"CREATOR": "SASH FITS::EventListWriter", "HDUVERS": "0.2"}


# cards of 80 bytes
_NAME = re.compile(rb"(?:.{80})*?EXTNAME *= *'([^']*)'")
_BACKGROUND = re.compile(rb"(?:.{80})*?HDUCLAS2 *= *' *BKG *'")


class _Part(NamedTuple):
    """Header and data of one HDU, as bytes."""

    head: bytes
    data: bytes

    @property
    def name(self) -> str:
        found = _NAME.match(self.head)
        return found[1].decode("ascii").strip().upper() if found else ""

    @property
    def is_background(self) -> bool:
        return self.name in BKG_NAMES or bool(_BACKGROUND.match(self.head))

    def read_header(self) -> fits.Header:
        # most are only copied, and to read one takes longer than to copy it
        return fits.Header.fromstring(self.head)


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
    return all(read_word(header, key) == value for key, value in _MIRRORED.items())


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
            header = part.read_header()
            return Origin(
                telescope=read_word(header, "TELESCOP") or _UNKNOWN,
                instrument=read_word(header, "INSTRUME") or _UNKNOWN,
                organisation=read_word(header, "ORIGIN") or _UNKNOWN,
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
    background: bytes = b"",
) -> None:
    """Copy the file of a run, with another background model in place of its own.

    All other HDUs stay as they are, to the byte, but for checksums where they had none,
    and good time intervals in a file of their own come after them. Events may be left
    out; ``NCUT`` says how many. But the events get another creator: gammapy mirrors the
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
    background : bytes
        HDU of another model to put in; see `events_background`.

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
        copied += [_head_by(creator, kept, where=_where(run)), kept.data]
    copied += _other_good_time(store, run)
    write_fits(path, b"".join([*copied, background]))


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
    with open_fits(content, where=where):
        # no other FITS writer takes control characters
        return list(_parts(mend_headers(content)))


def _parts(content: bytes) -> Iterator[_Part]:
    end = 0
    for start, head in headers(content):
        middle = start + len(head)
        end = middle + data_span(head)
        if end > len(content):
            raise OSError(f"an HDU ends at byte {end} of {len(content)}")
        yield _Part(head, content[middle:end])
    if content[end:].strip(b"\0 "):
        raise OSError(f"what follows byte {end} of {len(content)} is no HDU")


def _keep_rows(part: _Part, is_kept: np.ndarray) -> _Part:
    header, data = keep_rows(part.read_header(), part.data, is_kept)
    header["NCUT"] = (is_kept.size - header["NAXIS2"], "events outside good time")
    return _Part(header.tostring().encode("ascii"), data)


def _head_by(creator: str, part: _Part, *, where: str) -> bytes:
    try:
        with warnings.catch_warnings():
            # a value that is none by the standard becomes text
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            header = part.read_header()
            for key in ("CHECKSUM", "DATASUM"):
                header.remove(key, ignore_missing=True)
            original = read_word(header, "CREATOR")
            header["CREATOR"] = (creator, "program that copied these events")
            comment = "program that created them"
            header.set("ORIGCREA", original, comment, after="CREATOR")
            head: bytes = header.tostring().encode("ascii")
    except (fits.VerifyError, ValueError) as error:
        raise InputError(
            what=f"the header of the events cannot be copied ({error})",
            where=where,
            fix="Correct the card in the file, or exclude the run",
        ) from error
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
