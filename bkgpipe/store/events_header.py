"""What must be in the header of the events of a run, whoever reads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from bkgpipe.core.run import Run
from bkgpipe.errors import DriftScanError, InputError
from bkgpipe.store.files import locate
from bkgpipe.store.headers import UNREADABLE, read_header
from bkgpipe.store.units import mjd_reference, to_unit
from bkgpipe.store.values import (
    read_number,
    read_whole_number,
    read_word,
    require_number,
)

__all__ = [
    "EVENTS_COLUMNS",
    "GTI_COLUMNS",
    "clock_zero",
    "drift_scan",
    "is_promising",
    "require_columns",
    "require_header",
    "run_times",
    "separation",
    "where_events",
]

EVENTS_COLUMNS = {"RA": "deg", "DEC": "deg", "ENERGY": "TeV", "TIME": "s"}
GTI_COLUMNS = {"START": "s", "STOP": "s"}
_MAX_DIFFERENCE = 0.01  # deg, between index and events header


def where_events(run: Run) -> str:
    """Name a run and its events file.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    str
        Words for errors.
    """
    return f"run {run.obs_id}" + (f" ({run.events_file})" * bool(run.events_file))


def require_header(header: Mapping[str, Any], run: Run) -> None:
    """Refuse events of another run, of another pointing, of no pointing or no clock.

    Parameters
    ----------
    header : mapping of str to object
        Header of the events.
    run : Run
        The run, as the index describes it.

    Raises
    ------
    DriftScanError
        If the pointing moves.
    InputError
        If they are not those of the run, or their times have no zero.
    """
    where = where_events(run)
    _require_same_run(header, run, where)
    if "DRIFT" in read_word(header, "OBS_MODE").upper():
        raise drift_scan(run)
    clock_zero(header, where=where)


def is_promising(store: Path, run: Run) -> bool:
    """Tell whether headers alone let expect that the events of a run can be read.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run, as the index describes it.

    Returns
    -------
    bool
        False if `read_events` has to tell; what it makes of the rest of the files
        remains open.
    """
    try:
        path = locate(store, run.events_file, where=where_events(run))
        header = read_header(path, run.events_hdu or "EVENTS")
        require_header(header, run)
        _require_table(header, EVENTS_COLUMNS)
        if run.gti_file or run.gti_hdu:
            path = locate(store, run.gti_file or run.events_file, where="")
            gti = read_header(path, run.gti_hdu or "GTI")
            _require_table(gti, GTI_COLUMNS)
            clock_zero(gti if "MJDREFI" in gti or run.gti_file else header, where="")
        else:
            run_times(header, where="")
    except UNREADABLE:
        return False
    return True


def _require_table(header: fits.Header, units: Mapping[str, str]) -> None:
    """Refuse what is no table, or not one of these columns in units like these."""
    if header["XTENSION"] != "BINTABLE" or "ZIMAGE" in header:
        raise ValueError("it is no table")
    numbers = range(1, int(header["TFIELDS"]) + 1)
    spelt = {
        str(header.get(f"TTYPE{i}", "")).upper(): read_word(header, f"TUNIT{i}")
        for i in numbers
    }
    require_columns(spelt, units, table="", where="")
    for name, unit in units.items():
        to_unit(np.empty(0), spelt[name], unit, where="")


def require_columns(
    found: Collection[str], wanted: Collection[str], *, table: str, where: str
) -> None:
    """Refuse a table that lacks columns.

    Parameters
    ----------
    found, wanted : collection of str
        Names of the columns that it has, and of those that it must have.
    table : str
        Name of its HDU.
    where : str
        Run and file, for the error.

    Raises
    ------
    InputError
        If one is missing.
    """
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            what=f"HDU {table} has no column {', '.join(missing)}",
            where=where,
            fix="Make the file again as GADF describes it, or exclude the run",
        )


def _require_same_run(header: Mapping[str, Any], run: Run, where: str) -> None:
    fix = f"Write OBS_ID = {run.obs_id} into the events, or exclude the run"
    found = read_whole_number(header, "OBS_ID", where=where, fix=fix)
    if found not in {None, run.obs_id}:
        raise InputError(
            what=f"the events are of run {found}",
            where=where,
            fix="Correct the HDU index",
        )
    fix = "Correct the keyword in the events, or exclude the run"
    pointing = tuple(
        read_number(header, key, where=where, expected="degrees", fix=fix)
        for key in ("RA_PNT", "DEC_PNT")
    )
    if np.isnan(pointing).any():
        return
    difference = float(separation(run, *pointing))
    # a separation that is not a number must not pass
    if not difference <= _MAX_DIFFERENCE:
        raise InputError(
            what=f"the events were taken at RA, Dec = {pointing[0]:.4f}, "
            f"{pointing[1]:.4f} deg, but the index says {run.ra:.4f}, {run.dec:.4f}",
            where=where,
            fix="Correct RA_PNT and DEC_PNT in the observation index",
        )


def drift_scan(run: Run) -> DriftScanError:
    """Make the error for a run that does not point at a place in the sky.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    DriftScanError
        The error.
    """
    return DriftScanError(
        what="is a drift scan: the pointing moves over the sky",
        where=where_events(run),
        fix="Exclude the run, drift scans have no model",
    )


def separation(run: Run, ra: Any, dec: Any) -> np.ndarray:
    """Return the angle between the pointing of a run and directions, by haversine.

    Parameters
    ----------
    run : Run
        The run.
    ra, dec : object
        Directions, numbers or arrays of them [deg].

    Returns
    -------
    np.ndarray
        Angles, of the shape of the directions [deg].
    """
    lat, other = np.radians(run.dec), np.radians(np.asarray(dec, dtype=np.float64))
    half_lon = np.radians(np.asarray(ra, dtype=np.float64) - run.ra) / 2
    square = np.sin((other - lat) / 2) ** 2
    square = square + np.cos(lat) * np.cos(other) * np.sin(half_lon) ** 2
    angle: np.ndarray = np.degrees(2 * np.arcsin(np.sqrt(square)))
    return angle


def clock_zero(header: Mapping[str, Any], *, where: str) -> float:
    """Return the zero of the clock of events or good time intervals.

    Parameters
    ----------
    header : mapping of str to object
        Their header.
    where : str
        Run and file, for the error.

    Returns
    -------
    float
        TT as modified Julian date [d].

    Raises
    ------
    InputError
        If it has none.
    """
    zero = mjd_reference(header, where=where)
    if np.isnan(zero):
        date = "a modified Julian date"
        fix = "Add MJDREFI and MJDREFF to the header of the events"
        require_number(header, "MJDREFI", where=where, expected=date, fix=fix)
    return zero


def run_times(header: Mapping[str, Any], *, where: str) -> list[float]:
    """Return start and end of a run, which stand for its good time if there is none.

    Parameters
    ----------
    header : mapping of str to object
        Header of its events.
    where : str
        Run and file, for the error.

    Returns
    -------
    list of float
        TSTART and TSTOP [s].

    Raises
    ------
    InputError
        If it lacks one.
    """
    expected = "seconds, as there is no table HDU GTI"
    fix = "Add the good time intervals or exclude the run"
    return [
        require_number(header, key, where=where, expected=expected, fix=fix)
        for key in ("TSTART", "TSTOP")
    ]
