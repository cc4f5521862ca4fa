"""The events and good time intervals of a simulated run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bkgpipe._version import __version__
from bkgpipe.datamodel import Run, SimulatedEvents
from bkgpipe.io.fits_file import NO_IMAGE, column_table, write_content
from bkgpipe.io.simulate_keywords import (
    finite_keywords,
    gadf_keywords,
    met_seconds,
    place_keywords,
    plain_word,
    time_keywords,
)

__all__ = ["write_simulated_run"]


def write_simulated_run(path: Path, run: Run, simulated: SimulatedEvents) -> None:
    """Write the events and good time intervals of one run.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    run : Run
        The run.
    simulated : SimulatedEvents
        Its events; column ``BKG_TYPE`` says what each of them is.

    Raises
    ------
    OutputError
        If the file cannot be written.

    References
    ----------
    GADF 0.3, sections "Events" and "GTI".
    """
    parts = [NO_IMAGE, _events_table(run, simulated), _gti_table(simulated.events.gti)]
    write_content(path, b"".join(parts), compress=True)


def _run_keywords(run: Run) -> dict[str, object]:
    keywords: dict[str, object] = {
        "OBS_ID": run.obs_id,
        "TELESCOP": "SIMTEL",
        "INSTRUME": "SIMULATION",
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
        "RADECSYS": "ICRS",
        "EQUINOX": 2000.0,
        "ONTIME": run.ontime,
        "LIVETIME": run.livetime,
        "DEADC": run.deadc,
        "TSTART": float(met_seconds(run.time_start)),
        "TSTOP": float(met_seconds(run.time_stop)),
        "TELLIST": plain_word(run.telescopes),
        "N_TELS": len(run.telescopes.split(",")),
        "MUONEFF": run.muon_efficiency,
        "EV_CLASS": "std",
    }
    return finite_keywords(keywords)


def _events_table(run: Run, simulated: SimulatedEvents) -> bytes:
    events = simulated.events
    columns = {
        "EVENT_ID": (np.arange(1, events.n_events + 1), ""),
        "TIME": (met_seconds(events.time), "s"),
        "RA": (events.ra, "deg"),
        "DEC": (events.dec, "deg"),
        "ENERGY": (events.energy, "TeV"),
        "BKG_TYPE": (simulated.bkg_type, ""),
    }
    keywords = gadf_keywords("EVENTS") | time_keywords()
    keywords |= place_keywords(run) | _run_keywords(run)
    return column_table("EVENTS", columns, keywords)


def _gti_table(gti: np.ndarray) -> bytes:
    start, stop = met_seconds(gti.T)
    columns = {"START": (start, "s"), "STOP": (stop, "s")}
    return column_table("GTI", columns, gadf_keywords("GTI") | time_keywords())
