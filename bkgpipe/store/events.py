"""The events of one run, from its file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.core.run import Events, Run
from bkgpipe.core.sums import join_sums
from bkgpipe.errors import InputError
from bkgpipe.store.cards import outside_data
from bkgpipe.store.events_header import (
    EVENTS_COLUMNS,
    GTI_COLUMNS,
    clock_zero,
    drift_scan,
    require_columns,
    require_header,
    run_times,
    separation,
    where_events,
)
from bkgpipe.store.files import inflate, locate, open_fits, read_content, require_end
from bkgpipe.store.plain_table import read_plain_columns
from bkgpipe.store.units import to_unit

__all__ = ["read_events"]

_MAX_MOVEMENT = 0.1  # deg, telescopes that track wobble by less
_MAX_INTERVAL = 86400.0  # s, nights are shorter
_MAX_OVERLAP = 0.01  # s, more than rounding makes
# to ask astropy for an HDU that is not there costs as much as to read the events
_POINTING = re.compile(rb"EXTNAME *= *'(?i:POINTING)")


def read_events(store: Path, run: Run) -> tuple[Events, str]:
    """Read the events and good time intervals of a run.

    Parameters
    ----------
    store : Path
        Folder of the store.
    run : Run
        The run, as the index describes it.

    Returns
    -------
    Events
        Events as recorded, invalid ones included.
    str
        SHA-256 of the file, with that of the good time intervals if they have another.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another run, of another pointing than the
        index says, or if the pointing moves.

    References
    ----------
    GADF, sections EVENTS, GTI and POINTING.
    """
    where = where_events(run)
    content = read_content(locate(store, run.events_file, where=where), where=where)
    inflated = inflate(content, where=where)
    with open_fits(inflated, where=where) as hdus:
        names = (run.events_hdu or "EVENTS", run.gti_hdu or "GTI")
        if not all(_find_hdu(hdus, name) for name in names):
            require_end(hdus, inflated)
        hdu = _find_events(hdus, run.events_hdu, where)
        require_header(hdu.header, run)
        if _POINTING.search(outside_data(inflated)) and _is_moving(hdus, run):
            raise drift_scan(run)
        ra, dec, energy, seconds = _read_columns(
            hdu, EVENTS_COLUMNS, content=inflated, where=where
        )
        time = clock_zero(hdu.header, where=where) + seconds / 86400.0
        if not run.gti_file:
            name = run.gti_hdu
            gti = _read_gti(hdus, hdu, content=inflated, name=name, where=where)
    parts = [content]
    if run.gti_file:
        gti, other = _read_gti_file(store, run)
        parts.append(other)
    events = Events(
        obs_id=run.obs_id, ra=ra, dec=dec, energy=energy, time=time, gti=gti
    )
    return events, join_sums([hashlib.sha256(part).hexdigest() for part in parts])


def _read_gti_file(store: Path, run: Run) -> tuple[np.ndarray, bytes]:
    """Read good time intervals from a file of their own; return its content, too."""
    where = f"run {run.obs_id} ({run.gti_file})"
    content = read_content(locate(store, run.gti_file, where=where), where=where)
    inflated = inflate(content, where=where)
    with open_fits(inflated, where=where) as hdus:
        name = run.gti_hdu or "GTI"
        gti = _read_gti(hdus, None, content=inflated, name=name, where=where)
    return gti, content


def _find_hdu(hdus: fits.HDUList, name: str) -> fits.BinTableHDU | None:
    try:
        hdu = hdus[name]
    except KeyError:
        return None
    # a damaged header turns a table into something else
    return hdu if isinstance(hdu, fits.BinTableHDU) else None


def _find_events(hdus: fits.HDUList, name: str, where: str) -> fits.BinTableHDU:
    hdu = _find_hdu(hdus, name or "EVENTS")
    if hdu is None:
        raise InputError(
            what=f"has no table HDU {name or 'EVENTS'}",
            where=where,
            fix="Correct HDU_NAME in the HDU index or exclude the run",
        )
    return hdu


def _is_moving(hdus: fits.HDUList, run: Run) -> bool:
    """Compare the pointing table with the pointing of the index."""
    pointing = _find_hdu(hdus, "POINTING")
    if pointing is None or not len(pointing.data):
        return False
    names = {name.upper() for name in pointing.columns.names}
    if not names >= {"RA_PNT", "DEC_PNT"}:
        return False
    ra, dec = pointing.data["RA_PNT"], pointing.data["DEC_PNT"]
    return bool(np.any(separation(run, ra, dec) > _MAX_MOVEMENT))


def _read_columns(
    hdu: fits.BinTableHDU, units: Mapping[str, str], *, content: bytes, where: str
) -> list[np.ndarray]:
    """Read columns by name, in either case, each in its unit of the package."""
    plain = read_plain_columns(hdu, content, units.keys())
    if plain:
        return [
            to_unit(*plain[name], unit, where=f"{where}, {name}")
            for name, unit in units.items()
        ]
    found = {str(column.name).upper(): column for column in hdu.columns}
    require_columns(found, units.keys(), table=hdu.name, where=where)
    data = hdu.data
    columns = []
    for name, unit in units.items():
        values = data.field(found[name].name)
        if values.ndim != 1:
            raise _many_values(f"{where}, {name}", values.shape[1:])
        spelt = found[name].unit or ""
        columns.append(to_unit(values, spelt, unit, where=f"{where}, {name}"))
    return columns


def _many_values(where: str, shape: tuple[int, ...]) -> InputError:
    return InputError(
        what=f"has {shape} values in each row, expected one",
        where=where,
        fix="Correct the column in the file, or exclude the run",
    )


def _read_gti(
    hdus: fits.HDUList,
    events: fits.BinTableHDU | None,
    *,
    content: bytes,
    name: str,
    where: str,
) -> np.ndarray:
    """Read the good time intervals; without any the run is one interval.

    They must be there if they have a name that only the HDU index can know, or no
    events are beside them.
    """
    hdu = _find_hdu(hdus, name or "GTI")
    if hdu is None:
        if name or events is None:
            raise _no_gti(name, where)
        header = events.header
        seconds = np.array([run_times(header, where=where)])
    else:
        beside = hdu if events is None else events
        header = hdu.header if "MJDREFI" in hdu.header else beside.header
        columns = _read_columns(hdu, GTI_COLUMNS, content=content, where=where)
        seconds = np.stack(columns, axis=-1)
    _require_intervals(seconds, where)
    return clock_zero(header, where=where) + seconds / 86400.0


def _no_gti(name: str, where: str) -> InputError:
    return InputError(
        what=f"has no table HDU {name}, which the HDU index names for its good time",
        where=where,
        fix="Correct the row of type gti in the HDU index, or exclude the run",
    )


def _require_intervals(seconds: np.ndarray, where: str) -> None:
    """Refuse intervals of which the sum is not the time that was recorded."""
    start, stop = seconds[np.argsort(seconds[:, 0])].T
    if not bool((stop >= start).all()):
        what = "a good time interval ends before it starts"
    elif not bool((stop - start <= _MAX_INTERVAL).all()):
        what = f"a good time interval is longer than {_MAX_INTERVAL:.0f} s"
    elif bool((stop[:-1] - start[1:] > _MAX_OVERLAP).any()):
        what = "good time intervals overlap"
    else:
        return
    raise InputError(what=what, where=where, fix="Correct the GTI or exclude the run")
