"""What an observation table does not say, from the headers of events files."""

from __future__ import annotations

import gzip
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from bkgpipe.core.passing import require_lasting
from bkgpipe.core.regular import require_regular
from bkgpipe.errors import InputError
from bkgpipe.store.cards import BLOCK, data_span, header_span, mend_header
from bkgpipe.store.files import locate, refuse_endless_units
from bkgpipe.store.place import read_place
from bkgpipe.store.values import read_number, read_word

__all__ = [
    "UNREADABLE",
    "complete_columns",
    "read_header",
    "read_headers",
    "read_mode",
]

_log = logging.getLogger(__name__)

# Without these there is no model; what else is unknown is not worth opening files for
_NEEDED = ("zenith", "azimuth", "livetime", "deadc")
_NUMBERS = {
    "azimuth": "AZ_PNT",
    "ontime": "ONTIME",
    "livetime": "LIVETIME",
    "deadc": "DEADC",
    "muon_efficiency": "MUONEFF",
    "nsb": "NSBLEVEL",
}
_WORDS = {"target": "OBJECT", "telescopes": "TELLIST"}
_MAX_HDUS = 20
_MAX_HEADER = 1024 * BLOCK  # bytes; those of real events are a hundredth

UNREADABLE = (OSError, EOFError, ValueError, KeyError, fits.VerifyError, InputError)
"""What may come of reading a header of others."""


def complete_columns(store: Path, columns: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Look for what an observation table lacks in the headers of the events.

    GADF makes pointing and live time mandatory there, and optional in the table. A file
    is opened only for a run of which the table does not say enough to make a model, or
    to learn where the observatory is.

    Parameters
    ----------
    store : Path
        Folder of the store.
    columns : mapping of str to list
        Values of each field of `Run`, a value for each run.

    Returns
    -------
    dict of str to list
        The columns again; what no header says either stays unknown.

    References
    ----------
    GADF 0.3, section "Events", mandatory header keywords.
    """
    completed = {name: list(values) for name, values in columns.items()}
    missing = np.isnan([columns[name] for name in _NEEDED]).any(axis=0)
    wrong: list[InputError] = []
    for row in np.flatnonzero(missing):
        header, where = _header_of(store, columns, int(row))
        for name, value in _found(header, where, wrong).items():
            if _is_unknown(completed[name][row]):
                completed[name][row] = value
    if np.isnan([columns["longitude"], columns["latitude"]]).any():
        completed |= _place(store, columns, wrong)
    if wrong:
        n_more = f" And {len(wrong) - 1} more." * (len(wrong) > 1)
        _log.warning("Taken as unknown: %s%s", wrong[0], n_more)
    return completed


def read_mode(store: Path, files: Mapping[int, tuple[str, str]]) -> str:
    """Read how the first run that can be read was observed, from its events header.

    Parameters
    ----------
    store : Path
        Folder of the store.
    files : mapping of int to tuple of str
        File and HDU of the events of each run.

    Returns
    -------
    str
        Keyword ``OBS_MODE``; empty if there is none, or no file can be read.
    """
    for file, name in files.values():
        try:
            header = read_header(locate(store, file, where=file), name or "EVENTS")
        except UNREADABLE as error:
            require_lasting(error, where=file)
            continue
        return read_word(header, "OBS_MODE")
    return ""


def _is_unknown(value: object) -> bool:
    return value == "" or (isinstance(value, float) and math.isnan(value))


def _header_of(
    store: Path, columns: Mapping[str, list[Any]], row: int
) -> tuple[Mapping[str, Any], str]:
    """Return the events header of a run; a file that is bad is told of later."""
    file, name = columns["events_file"][row], columns["events_hdu"][row]
    where = f"run {columns['obs_id'][row]} ({file})"
    if columns["file_size"][row] < 0:
        return {}, where
    try:
        return read_header(locate(store, file, where=file), name or "EVENTS"), where
    except UNREADABLE as error:
        require_lasting(error, where=file)
        return {}, where


def _place(
    store: Path, columns: Mapping[str, list[Any]], wrong: list[InputError]
) -> dict[str, list[float]]:
    """Take the place from the first run that has one: all are of one observatory."""
    n_runs = len(columns["obs_id"])
    readable = [row for row in range(n_runs) if columns["file_size"][row] >= 0]
    for row in readable[:1]:
        header, where = _header_of(store, columns, row)
        try:
            found = read_place(header, where=where)
        except InputError as error:
            wrong.append(error)
            continue
        if np.isfinite([found["longitude"], found["latitude"]]).all():
            return {name: [value] * n_runs for name, value in found.items()}
    return {}


def _found(
    header: Mapping[str, Any], where: str, wrong: list[InputError]
) -> dict[str, Any]:
    def number(key: str) -> float:
        try:
            return read_number(header, key, where=where)
        except InputError as error:
            wrong.append(error)
            return math.nan

    found: dict[str, Any] = {name: number(key) for name, key in _NUMBERS.items()}
    found["zenith"] = 90.0 - number("ALT_PNT")
    if math.isnan(found["deadc"]) and found["ontime"] > 0:
        found["deadc"] = found["livetime"] / found["ontime"]
    return found | {name: read_word(header, key) for name, key in _WORDS.items()}


def read_header(path: Path, name: str) -> fits.Header:
    """Read the header of an HDU, and no more of the file than comes before it.

    Parameters
    ----------
    path : Path
        File, gzip or not.
    name : str
        Name of the HDU.

    Returns
    -------
    Header
        Its header.

    Raises
    ------
    OSError
        If the file cannot be read, or has no such HDU.
    """
    for header in read_headers(path):
        if str(header.get("EXTNAME", "")).strip().upper() == name.upper():
            return header
    raise OSError(f"{path} has no HDU {name}")


def read_headers(path: Path) -> Iterator[fits.Header]:
    """Read the headers of a file one after the other, and none of its data.

    Parameters
    ----------
    path : Path
        File, gzip or not.

    Yields
    ------
    Header
        Header of each HDU, of 20 at most.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    require_regular(path)
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        yield from _headers(file)


def _headers(file: Any) -> Iterator[fits.Header]:
    for _ in range(_MAX_HDUS):
        head = _read_head(file)
        if not head:  # the file ends
            return
        yield _make_header(head)
        file.seek(data_span(head), 1)


def _make_header(head: bytes) -> fits.Header:
    refuse_endless_units(head)
    with warnings.catch_warnings():
        # data of a damaged file may be taken for cards
        warnings.simplefilter("ignore", AstropyWarning)
        return fits.Header.fromstring(mend_header(head))


def _read_head(file: Any) -> bytes:
    head = b""
    while len(head) < _MAX_HEADER:
        block: bytes = file.read(BLOCK)
        if not block and not head:
            return b""
        if len(block) < BLOCK:
            break
        head += block
        if header_span(head):
            return head
    raise OSError(f"no header ends within {len(head)} bytes")
