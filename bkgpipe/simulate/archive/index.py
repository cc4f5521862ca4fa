"""The two index files of a simulated store."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from bkgpipe.core.run import Run
from bkgpipe.simulate.archive.keywords import (
    gadf_keywords,
    met_seconds,
    place_keywords,
    plain_word,
    time_keywords,
)
from bkgpipe.simulate.archive.layout import Layout
from bkgpipe.simulate.archive.layouts import DEFAULT_LAYOUT, LAYOUTS
from bkgpipe.simulate.archive.responses import ResponseRow, response_rows
from bkgpipe.store.fits_file import write_hdus

__all__ = ["write_simulated_index"]

_COLUMNS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
_ANGLES = {
    "RA_PNT": "ra",
    "DEC_PNT": "dec",
    "RA_OBJ": "ra",
    "DEC_OBJ": "dec",
    "ZEN_PNT": "zenith",
    "AZ_PNT": "azimuth",
}
_SECONDS = {"ONTIME": "ontime", "LIVETIME": "livetime"}
_PLAIN: Mapping[str, Callable[[Run], object]] = {
    "OBS_ID": lambda run: run.obs_id,
    "OBJECT": lambda run: plain_word(run.target),
    "OBS_MODE": lambda _: "POINTING",
    "DEADC": lambda run: run.deadc,
    "N_TELS": lambda run: len(run.telescopes.split(",")),
    "TELLIST": lambda run: plain_word(run.telescopes),
    "QUALITY": lambda run: run.quality,
    "MUONEFF": lambda run: run.muon_efficiency,
    "NSBLEVEL": lambda run: run.nsb,
}


def write_simulated_index(
    store: Path,
    runs: Sequence[Run],
    responses: Mapping[int, Sequence[ResponseRow]] | None = None,
    layout: Layout = LAYOUTS[DEFAULT_LAYOUT],
) -> None:
    """Write the two index files of a simulated store.

    Parameters
    ----------
    store : Path
        Folder of the store; the runs are in it under their ``events_file``.
    runs : sequence of Run
        The runs.
    responses : mapping of int to sequence of ResponseRow, optional
        Where the instrument responses of each run are; by default in the file of
        `write_responses`.
    layout : Layout
        How the store is laid out.

    Raises
    ------
    OutputError
        If a file cannot be written.

    References
    ----------
    GADF 0.3, section "Data storage".
    """
    index = layout.index
    observations = fits.table_to_hdu(_observation_table(runs, layout))
    observations.name = index.names[0]
    keywords = time_keywords(layout.clock) | place_keywords(runs[0])
    kept = {key: keywords[key] for key in keywords if key not in index.without}
    observations.header.update(kept)
    observations.header.update(gadf_keywords("INDEX", "OBS", version=layout.version))
    hdus = fits.table_to_hdu(_hdu_table(runs, responses or {}, layout))
    hdus.name = index.names[1]
    hdus.header.update(gadf_keywords("INDEX", "HDU", version=layout.version))
    if index.base_dir:
        hdus.header["BASE_DIR"] = index.base_dir
    for name, hdu in {"hdu-index": hdus, "obs-index": observations}.items():
        path = store / f"{name}{index.ending}"
        compress = index.ending.endswith(".gz")
        write_hdus(path, [fits.PrimaryHDU(), hdu], compress=compress)


def _hdu_table(
    runs: Sequence[Run],
    responses: Mapping[int, Sequence[ResponseRow]],
    layout: Layout,
) -> Table:
    # by columns: 10^5 runs have half a million rows
    columns: dict[str, list[object]] = {name: [] for name in _COLUMNS}
    built_in = response_rows(layout)
    for run in runs:
        own = _own_rows(run, layout)
        for row in (*own, *responses.get(run.obs_id, built_in)):
            folder, name = os.path.split(row.file)
            spelt = layout.index.folder.format(folder) if folder else layout.index.here
            cells = (run.obs_id, row.hdu_type, row.hdu_class, spelt, name)
            for column, cell in zip(
                columns.values(), (*cells, row.hdu_name), strict=True
            ):
                column.append(cell)
    return Table(columns)


def _own_rows(run: Run, layout: Layout) -> list[ResponseRow]:
    rows = [ResponseRow("events", "events", run.events_file, run.events_hdu)]
    if layout.index.has_gti and layout.events.gti_hdu:
        file = run.gti_file or run.events_file
        rows.append(ResponseRow("gti", "gti", file, layout.events.gti_hdu))
    if layout.events.has_pointing:
        rows.append(ResponseRow("pointing", "pointing", run.events_file, "POINTING"))
    return rows


def _observation_table(runs: Sequence[Run], layout: Layout) -> Table:
    table = Table()
    known = _observations(runs, layout)
    for name in layout.index.columns:
        values = known[name]
        if name in layout.index.units:
            values = values.to(layout.index.units[name])
        if values.dtype.kind == "f":
            values = values.astype(layout.index.real)
        table[name] = values
    return table


def _observations(runs: Sequence[Run], layout: Layout) -> dict[str, Any]:
    """Return every column that an observation table of ours can have."""
    count = {name: np.array([get(run) for run in runs]) for name, get in _PLAIN.items()}
    angles = {name: _column(runs, key) * u.deg for name, key in _ANGLES.items()}
    seconds = {name: _column(runs, key) * u.s for name, key in _SECONDS.items()}
    galactic = SkyCoord(angles["RA_PNT"], angles["DEC_PNT"]).galactic
    start, stop = _column(runs, "time_start"), _column(runs, "time_stop")
    # of 10^5 runs they take longer than all else, and few layouts have them
    has_dates = any(name.startswith("DATE") for name in layout.index.columns)
    return {
        **count,
        **angles,
        **seconds,
        "GLON_PNT": galactic.l.to("deg").view(u.Quantity),
        "GLAT_PNT": galactic.b.to("deg").view(u.Quantity),
        "ALT_PNT": 90.0 * u.deg - angles["ZEN_PNT"],
        "TSTART": met_seconds(start, layout.clock) * u.s,
        "TSTOP": met_seconds(stop, layout.clock) * u.s,
        "SAFE_ENERGY_LO": _column(runs, "safe_energy_min") * u.TeV,
        **(_dates("OBS", start) | _dates("END", stop) if has_dates else {}),
    }


def _column(runs: Sequence[Run], name: str) -> np.ndarray:
    return np.array([getattr(run, name) for run in runs], dtype=np.float64)


def _dates(end: str, mjd: np.ndarray) -> dict[str, np.ndarray]:
    """Return date and time in UTC, under both spellings of the columns."""
    texts = Time(mjd, format="mjd", scale="tt").utc.isot
    days = np.array([text[:10] for text in texts])
    hours = np.array([text[11:19] for text in texts])
    return {
        f"{word}{sign}{end}": values
        for word, values in {"DATE": days, "TIME": hours}.items()
        for sign in "-_"
    }
