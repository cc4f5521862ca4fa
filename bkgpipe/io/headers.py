"""What an observation table does not say, from the headers of events files."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from bkgpipe.errors import InputError
from bkgpipe.io.files import locate
from bkgpipe.io.units import to_unit

__all__ = ["PLACE_KEYS", "complete_columns", "read_header", "read_mode"]

PLACE_KEYS = {
    "longitude": ("GEOLON", "OBSGEO-L"),
    "latitude": ("GEOLAT", "OBSGEO-B"),
    "altitude": ("ALTITUDE", "OBSGEO-H"),
}
"""Keywords of the place of the observatory, the best first."""

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
_BLOCK = 2880
_MAX_HDUS = 20
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, fits.VerifyError, InputError)


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
    for row in np.flatnonzero(missing):
        header = _header_of(store, columns, int(row))
        for name, value in _found(header).items():
            if _is_unknown(completed[name][row]):
                completed[name][row] = value
    if np.isnan([columns["longitude"], columns["latitude"]]).any():
        completed |= _place(store, columns)
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
        except _UNREADABLE:
            continue
        return str(header.get("OBS_MODE", ""))
    return ""


def _is_unknown(value: object) -> bool:
    return value == "" or (isinstance(value, float) and math.isnan(value))


def _header_of(
    store: Path, columns: Mapping[str, list[Any]], row: int
) -> Mapping[str, Any]:
    """Return the events header of a run; a file that is bad is told of later."""
    file, name = columns["events_file"][row], columns["events_hdu"][row]
    if columns["file_size"][row] < 0:
        return {}
    try:
        header = read_header(locate(store, file, where=file), name or "EVENTS")
    except _UNREADABLE:
        return {}
    return dict(header)


def _place(store: Path, columns: Mapping[str, list[Any]]) -> dict[str, list[float]]:
    """Take the place from the first run that has one: all are of one observatory."""
    n_runs = len(columns["obs_id"])
    readable = [row for row in range(n_runs) if columns["file_size"][row] >= 0]
    for row in readable[:1]:
        header = _header_of(store, columns, row)
        found = {name: _number(header, *keys) for name, keys in PLACE_KEYS.items()}
        if np.isfinite([found["longitude"], found["latitude"]]).all():
            return {name: [value] * n_runs for name, value in found.items()}
    return {}


def _found(header: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: _number(header, key) for name, key in _NUMBERS.items()
    }
    found["zenith"] = 90.0 - _number(header, "ALT_PNT")
    if math.isnan(found["deadc"]) and found["ontime"] > 0:
        found["deadc"] = found["livetime"] / found["ontime"]
    return found | {
        name: str(header.get(key, "")).strip() for name, key in _WORDS.items()
    }


def _number(header: Mapping[str, Any], *keys: str) -> float:
    """Return the first of some keywords that is a number; they can be words."""
    for key in keys:
        try:
            return float(to_unit(header[key], "", "", where=key))
        except (KeyError, InputError):
            continue
    return math.nan


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
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        for header in _headers(file):
            if str(header.get("EXTNAME", "")).strip().upper() == name.upper():
                return header
    raise OSError(f"{path} has no HDU {name}")


def _headers(file: Any) -> Iterator[fits.Header]:
    for _ in range(_MAX_HDUS):
        header = fits.Header.fromfile(file)
        yield header
        size = abs(header["BITPIX"]) // 8 * header.get("GCOUNT", 1)
        axes = [header[f"NAXIS{i}"] for i in range(1, header["NAXIS"] + 1)]
        size *= header.get("PCOUNT", 0) + (math.prod(axes) if axes else 0)
        file.seek(-(-size // _BLOCK) * _BLOCK, 1)
