"""Index files for a folder of DL3 files that has none."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.core.passing import require_lasting
from bkgpipe.errors import InputError
from bkgpipe.store.fits_file import write_hdus
from bkgpipe.store.gadf_names import GADF_URL
from bkgpipe.store.hdu_index import IndexRow, index_hdu
from bkgpipe.store.headers import read_headers
from bkgpipe.store.store_folder import is_permitted
from bkgpipe.store.units import mjd_reference
from bkgpipe.store.values import is_known, read_number, read_whole_number, read_word

__all__ = ["IndexSurvey", "survey_folder", "write_hdu_table", "write_obs_table"]

_ENDINGS = (".fits", ".fits.gz", ".fit", ".fit.gz")
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, fits.VerifyError, InputError)
_NUMBERS = {
    "RA_PNT": "deg",
    "DEC_PNT": "deg",
    "ALT_PNT": "deg",
    "AZ_PNT": "deg",
    "RA_OBJ": "deg",
    "DEC_OBJ": "deg",
    "ONTIME": "s",
    "LIVETIME": "s",
    "DEADC": "",
    "TSTART": "s",
    "TSTOP": "s",
    "MUONEFF": "",
}
_WORDS = ("OBJECT", "OBS_MODE", "TELESCOP", "TELLIST", "DATE-OBS", "TIME-OBS")
_SHARED = ("MJDREFI", "MJDREFF", "TIMEUNIT", "TIMESYS", "TIMEREF")
_PLACE = ("GEOLON", "GEOLAT", "ALTITUDE", "OBSGEO-X", "OBSGEO-Y", "OBSGEO-Z")
_DAY = 86400.0
# HDU_TYPE by HDUCLAS2 of responses, and by EXTNAME where there is no class
_RESPONSES = {
    "EFF_AREA": "aeff",
    "EDISP": "edisp",
    "RPSF": "psf",
    "PSF": "psf",
    "BKG": "bkg",
    "RAD_MAX": "rad_max",
}
_NAMES = {
    "AEFF": "aeff",
    "EFFECTIVE AREA": "aeff",
    "ENERGY DISPERSION": "edisp",
    "POINT SPREAD FUNCTION": "psf",
    "BACKGROUND": "bkg",
}
_NEEDED = ("OBS_ID", "RA_PNT", "DEC_PNT")
_PLAIN = ("EVENTS", "GTI", "POINTING")
# HDU_CLASS by a column that only this class has
_CLASSES = {
    "aeff": {"": "aeff_2d"},
    "edisp": {"": "edisp_2d"},
    "psf": {"RPSF": "psf_table", "GAMMA": "psf_king", "": "psf_3gauss"},
    "bkg": {"DETX_LO": "bkg_3d", "": "bkg_2d"},
    "rad_max": {"": "rad_max_2d"},
}


@dataclass(frozen=True, kw_only=True, eq=False)
class IndexSurvey:
    """What a folder of DL3 files holds.

    Attributes
    ----------
    rows : tuple of IndexRow
        Rows of the HDU index, files relative to the folder.
    headers : dict of int to Header
        Events header of each run, in order of their numbers.
    left_out : dict of str to str
        Files that are not in the index, and why.
    """

    rows: tuple[IndexRow, ...]
    headers: dict[int, fits.Header]
    left_out: dict[str, str]


def survey_folder(folder: Path) -> IndexSurvey:
    """Look at the headers of all FITS files in a folder and below it.

    What an HDU is follows from its HDUCLAS keywords, else from its name and columns. It
    belongs to the run of its own ``OBS_ID``, else to that of the events in its file,
    else to all runs that have no other of its kind.

    Parameters
    ----------
    folder : Path
        The folder.

    Returns
    -------
    IndexSurvey
        Runs and HDUs found, and files left out.

    References
    ----------
    GADF 0.3, sections "General / HDU classes" and "Data storage".
    """
    left_out: dict[str, str] = {}
    found: dict[str, list[tuple[IndexRow, fits.Header]]] = {}
    for file in _list_files(folder):
        try:
            found[file] = _read_file(folder, file)
        except _UNREADABLE as error:
            require_lasting(error, where=file)
            left_out[file] = f"cannot be used: {error}"
    for number, files in _double_runs(found).items():
        for file in files:
            del found[file]
            left_out[file] = f"run {number} is in {' and in '.join(files)}; keep one"
    pairs = [pair for file in found.values() for pair in file]
    headers = {row.obs_id: head for row, head in pairs if row.hdu_type == "events"}
    rows, others = _assign([row for row, _ in pairs], sorted(headers))
    return IndexSurvey(
        rows=tuple(rows),
        headers=dict(sorted(headers.items())),
        left_out=dict(sorted((others | left_out).items())),
    )


def write_hdu_table(path: Path, survey: IndexSurvey, *, origin: str) -> None:
    """Write the HDU index.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    survey : IndexSurvey
        What was found.
    origin : str
        Path from the folder of the index to that of the survey.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    rows = [
        row._replace(file=os.path.normpath(os.path.join(origin, row.file)))  # noqa: PTH118
        for row in survey.rows
    ]
    write_hdus(path, [fits.PrimaryHDU(), index_hdu(rows)], compress=True)


def write_obs_table(path: Path, survey: IndexSurvey) -> None:
    """Write the observation index, from the headers of the events.

    Its clock is that of the first run; times of others are converted.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    survey : IndexSurvey
        What was found.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    headers = [*survey.headers.values()]
    columns = [fits.Column(name="OBS_ID", format="K", array=[*survey.headers])]
    for name, values in _numbers(headers).items():
        if np.isfinite(values).any():
            unit = _NUMBERS.get(name, "deg")
            columns.append(fits.Column(name=name, format="D", unit=unit, array=values))
    for name in _WORDS:
        words = [read_word(header, name).encode() for header in headers]
        if any(words):
            width = max(map(len, words))
            columns.append(fits.Column(name=name, format=f"{width}A", array=words))
    table = fits.BinTableHDU.from_columns(columns, name="OBS_INDEX")
    about = {"HDUCLASS": "GADF", "HDUDOC": GADF_URL, "HDUVERS": "0.3"}
    table.header.update(about | {"HDUCLAS1": "INDEX", "HDUCLAS2": "OBS"})
    for key in (*_SHARED, *_PLACE):
        source = headers[:1] if key in _SHARED else headers
        found = (header.get(key) for header in source)
        value = next((each for each in found if is_known(each)), None)
        if value is not None:
            table.header[key] = value
    write_hdus(path, [fits.PrimaryHDU(), table], compress=True)


def _list_files(folder: Path) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_ENDINGS):
                yield os.path.relpath(os.path.join(root, name), folder)  # noqa: PTH118


def _read_file(folder: Path, file: str) -> list[tuple[IndexRow, fits.Header]]:
    """Find the HDUs of a file; their run is -1 as long as it is not known."""
    path = folder / file
    if not path.is_file() or not is_permitted(folder, os.path.realpath(path)):
        raise ValueError("it is no file of this folder")
    headers = [*read_headers(path)]
    if any(read_word(header, "HDUCLAS1") == "INDEX" for header in headers):
        return []
    kinds = {id(header): _kind(header) for header in headers}
    events = [header for header in headers if kinds[id(header)][0] == "events"]
    numbers = [_run_number(header, file) for header in events]
    own = numbers[0] if numbers else -1
    found: dict[tuple[int, str], tuple[IndexRow, fits.Header]] = {}
    for header in headers:
        kind, hdu_class = kinds[id(header)]
        number = read_whole_number(header, "OBS_ID", where=file)
        number = own if number is None else number
        if kind and (number, kind) not in found:
            name = read_word(header, "EXTNAME")
            row = IndexRow(number, kind, hdu_class, file, name)
            found[number, kind] = (row, header)
    if not found:
        raise ValueError("it has no HDU of GADF")
    return [*found.values()]


def _kind(header: fits.Header) -> tuple[str, str]:
    """Return HDU_TYPE and HDU_CLASS; both are empty for anything else."""
    first = read_word(header, "HDUCLAS1").upper()
    name = read_word(header, "EXTNAME").upper()
    if not name or header.get("XTENSION") != "BINTABLE":
        return "", ""
    if first in _PLAIN or (not first and name in _PLAIN):
        word = (first or name).lower()
        return word, word
    second = read_word(header, "HDUCLAS2").upper()
    kind = _RESPONSES.get(second) or _RESPONSES.get(name) or _NAMES.get(name, "")
    return kind, _response_class(kind, header) if kind else ""


def _response_class(kind: str, header: fits.Header) -> str:
    """Take HDUCLAS4 where it is one of this kind, else go by the columns."""
    classes = _CLASSES[kind]
    last = read_word(header, "HDUCLAS4").lower()
    if last in classes.values():
        return last
    columns = {"", *(str(word).strip().upper() for word in header["TTYPE*"].values())}
    return next(word for column, word in classes.items() if column in columns)


def _run_number(header: fits.Header, file: str) -> int:
    missing = [key for key in _NEEDED if not read_word(header, key)]
    number = read_whole_number(header, "OBS_ID", where=file)
    if missing or number is None:
        raise ValueError(f"the header of its events has no {', '.join(missing)}")
    return number


def _double_runs(
    found: Mapping[str, Sequence[tuple[IndexRow, fits.Header]]],
) -> dict[int, list[str]]:
    """Find runs of which several files hold the events."""
    files = defaultdict(list)
    for file, pairs in found.items():
        for number in {row.obs_id for row, _ in pairs if row.hdu_type == "events"}:
            files[number].append(file)
    return {number: names for number, names in files.items() if len(names) > 1}


def _assign(
    rows: Iterable[IndexRow], numbers: Sequence[int]
) -> tuple[list[IndexRow], dict[str, str]]:
    """Give each run its rows, and what is of no run to all that lack it."""
    own: dict[tuple[int, str], IndexRow] = {}
    shared: dict[str, list[IndexRow]] = defaultdict(list)
    left_out = {}
    known = set(numbers)
    for row in rows:
        if row.obs_id in known:
            own.setdefault((row.obs_id, row.hdu_type), row)
        elif row.obs_id < 0:
            shared[row.hdu_type].append(row)
        else:
            left_out[row.file] = f"there are no events of its run {row.obs_id}"
    for kind, several in shared.items():
        names = " and ".join(row.file for row in several)
        if len(several) > 1:
            reason = f"{names} have {kind} of no run; name it with OBS_ID"
            left_out |= {row.file: reason for row in several}
            continue
        for number in numbers:
            row = several[0]._replace(obs_id=number)
            own.setdefault((number, kind), row)
    return [own[key] for key in sorted(own)], left_out


def _numbers(headers: Sequence[fits.Header]) -> dict[str, np.ndarray]:
    """Return the columns of numbers, NaN where a header has none."""
    found = {
        name: np.array([_value(header, name) for header in headers])
        for name in _NUMBERS
    }
    found["ZEN_PNT"] = 90.0 - found["ALT_PNT"]
    zeros = np.array([_zero(header) for header in headers])
    for name in ("TSTART", "TSTOP"):
        same = zeros == zeros[:1]
        moved = found[name] + (zeros - zeros[:1]) * _DAY
        found[name] = np.where(same, found[name], moved)
    return found


def _value(header: fits.Header, name: str) -> float:
    # `check` and `run` tell what is wrong with a value of the events
    try:
        return read_number(header, name, where="events")
    except InputError:
        return np.nan


def _zero(header: fits.Header) -> float:
    """Return the zero of the clock of a run, NaN if it says none."""
    try:
        return mjd_reference(header, where="events")
    except InputError:
        return np.nan
