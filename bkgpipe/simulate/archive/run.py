"""The events and good time intervals of a simulated run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy import units as u

from bkgpipe._version import __version__
from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.columns import extra_columns
from bkgpipe.simulate.archive.data import SimulatedEvents
from bkgpipe.simulate.archive.keywords import (
    finite_keywords,
    gadf_keywords,
    met_seconds,
    place_keywords,
    plain_word,
    time_keywords,
)
from bkgpipe.simulate.archive.layout import Layout
from bkgpipe.simulate.archive.layouts import DEFAULT_LAYOUT, LAYOUTS
from bkgpipe.store.fits_file import NO_IMAGE, column_table, write_fits

__all__ = ["write_simulated_gti", "write_simulated_run"]

_DEFAULT = LAYOUTS[DEFAULT_LAYOUT]


def write_simulated_run(
    path: Path, run: Run, simulated: SimulatedEvents, layout: Layout = _DEFAULT
) -> None:
    """Write the events and good time intervals of one run.

    Parameters
    ----------
    path : Path
        File to write; a temporary one is fine. It is gzip if the layout's name of it
        says so.
    run : Run
        The run.
    simulated : SimulatedEvents
        Its events; column ``BKG_TYPE`` says what each of them is.
    layout : Layout
        How the store is laid out.

    Raises
    ------
    OutputError
        If the file cannot be written.

    References
    ----------
    GADF 0.3, sections "Events" and "GTI".
    """
    events = layout.events
    parts = [_events_table(run, simulated, layout)]
    if events.gti_hdu and not events.gti_file:
        place = 0 if events.gti_first else 1
        parts.insert(place, _gti_table(simulated.events.gti, layout))
    if events.has_pointing:
        parts.append(_pointing_table(run, layout))
    content = b"".join([NO_IMAGE, *parts])
    write_fits(path, content, compress=events.file.endswith(".gz"))


def write_simulated_gti(path: Path, gti: np.ndarray, layout: Layout) -> None:
    """Write the good time intervals of one run into a file of their own.

    Parameters
    ----------
    path : Path
        File to write; a temporary one is fine.
    gti : np.ndarray
        Start and end of each, shape ``(n_intervals, 2)`` [TT MJD d].
    layout : Layout
        How the store is laid out.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content = NO_IMAGE + _gti_table(gti, layout)
    write_fits(path, content, compress=layout.events.gti_file.endswith(".gz"))


def _run_keywords(run: Run, layout: Layout) -> dict[str, object]:
    keywords: dict[str, object] = {
        "OBS_ID": run.obs_id,
        "TELESCOP": layout.telescope,
        "INSTRUME": layout.instrument,
        "ORIGIN": "bkgpipe simulate store",
        "CREATOR": f"bkgpipe {__version__}",
        "OBJECT": plain_word(run.target),
        "OBS_MODE": "POINTING",
        "RA_PNT": run.ra,
        "DEC_PNT": run.dec,
        "ALT_PNT": 90.0 - run.zenith,
        "AZ_PNT": run.azimuth,
        "RA_OBJ": run.ra,
        "DEC_OBJ": run.dec,
        layout.frame_key: layout.frame,
        "EQUINOX": 2000.0,
        "ONTIME": run.ontime,
        "LIVETIME": run.livetime,
        "DEADC": run.deadc,
        "TSTART": float(met_seconds(run.time_start, layout.clock)),
        "TSTOP": float(met_seconds(run.time_stop, layout.clock)),
        "TELLIST": plain_word(run.telescopes),
        "N_TELS": len(run.telescopes.split(",")),
        "MUONEFF": run.muon_efficiency,
        "EV_CLASS": "std",
    }
    return finite_keywords(keywords)


def _events_table(run: Run, simulated: SimulatedEvents, layout: Layout) -> bytes:
    events, given = simulated.events, layout.events
    known = {
        "TIME": (met_seconds(events.time, layout.clock), "s"),
        "RA": (events.ra, "deg"),
        "DEC": (events.dec, "deg"),
        "ENERGY": (events.energy, "TeV"),
    }
    columns = {"EVENT_ID": (np.arange(1, events.n_events + 1), "")}
    for name, (values, unit) in known.items():
        real = "f8" if name == "TIME" else given.real
        columns[name] = _converted(values, unit, given.units[name], real)
    columns |= extra_columns(run, events, given.extra)
    columns["BKG_TYPE"] = (simulated.bkg_type, "")
    if given.is_lower:
        columns = {name.lower(): column for name, column in columns.items()}
    keywords = gadf_keywords("EVENTS", version=layout.version)
    keywords |= time_keywords(layout.clock) | place_keywords(run)
    keywords |= _run_keywords(run, layout)
    kept = {key: keywords[key] for key in keywords if key not in given.without}
    return column_table(given.hdu, columns, kept | dict(given.keywords))


def _converted(
    values: np.ndarray, unit: str, other: str, real: str
) -> tuple[np.ndarray, str]:
    factor = 1.0 if unit == other else u.Unit(unit).to(other)
    return (values * factor).astype(real), other


def _gti_table(gti: np.ndarray, layout: Layout) -> bytes:
    start, stop = met_seconds(gti.T, layout.clock)
    columns = {"START": (start, "s"), "STOP": (stop, "s")}
    keywords = gadf_keywords("GTI", version=layout.version)
    return column_table(
        layout.events.gti_hdu, columns, keywords | time_keywords(layout.clock)
    )


def _pointing_table(run: Run, layout: Layout) -> bytes:
    start = met_seconds(run.time_start, layout.clock)
    columns = {
        "TIME": (np.atleast_1d(start), "s"),
        "RA_PNT": (np.array([run.ra]), "deg"),
        "DEC_PNT": (np.array([run.dec]), "deg"),
        "ALT_PNT": (np.array([90.0 - run.zenith]), "deg"),
        "AZ_PNT": (np.array([run.azimuth]), "deg"),
    }
    keywords = gadf_keywords("POINTING", version=layout.version)
    return column_table("POINTING", columns, keywords | time_keywords(layout.clock))
