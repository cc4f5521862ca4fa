"""The two index files of a simulated store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from bkgpipe.datamodel import Run
from bkgpipe.io.fits_file import write_hdus
from bkgpipe.io.simulate_keywords import (
    gadf_keywords,
    met_seconds,
    place_keywords,
    plain_word,
    time_keywords,
)
from bkgpipe.io.simulate_responses import BUILT_IN, ResponseRow

__all__ = ["write_simulated_index"]

_COLUMNS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")


def write_simulated_index(
    store: Path,
    runs: Sequence[Run],
    responses: Mapping[int, Sequence[ResponseRow]] | None = None,
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

    Raises
    ------
    OutputError
        If a file cannot be written.

    References
    ----------
    GADF 0.3, section "Data storage".
    """
    observations = fits.table_to_hdu(_observation_table(runs))
    observations.name = "OBS_INDEX"
    observations.header.update(time_keywords() | place_keywords(runs[0]))
    observations.header.update(gadf_keywords("INDEX", "OBS"))
    index = fits.table_to_hdu(_hdu_table(runs, responses or {}))
    index.name = "HDU_INDEX"
    index.header.update(gadf_keywords("INDEX", "HDU"))
    for name, hdu in {"hdu-index": index, "obs-index": observations}.items():
        path = store / f"{name}.fits.gz"
        write_hdus(path, [fits.PrimaryHDU(), hdu], compress=True)


def _hdu_table(
    runs: Sequence[Run], responses: Mapping[int, Sequence[ResponseRow]]
) -> Table:
    # by columns: 10^5 runs have half a million rows
    columns: dict[str, list[object]] = {name: [] for name in _COLUMNS}
    for run in runs:
        own = (
            ResponseRow("events", "events", run.events_file, run.events_hdu),
            ResponseRow("gti", "gti", run.events_file, "GTI"),
        )
        for row in (*own, *responses.get(run.obs_id, BUILT_IN)):
            folder, name = os.path.split(row.file)
            cells = (run.obs_id, row.hdu_type, row.hdu_class, folder or ".", name)
            for column, cell in zip(
                columns.values(), (*cells, row.hdu_name), strict=True
            ):
                column.append(cell)
    return Table(columns)


def _observation_table(runs: Sequence[Run]) -> Table:
    galactic = SkyCoord(
        [run.ra for run in runs], [run.dec for run in runs], unit="deg"
    ).galactic
    table = Table()
    table["OBS_ID"] = [run.obs_id for run in runs]
    table["OBJECT"] = [plain_word(run.target) for run in runs]
    table["RA_PNT"] = [run.ra for run in runs] * u.deg
    table["DEC_PNT"] = [run.dec for run in runs] * u.deg
    table["GLON_PNT"], table["GLAT_PNT"] = galactic.l.to("deg"), galactic.b.to("deg")
    table["ZEN_PNT"] = [run.zenith for run in runs] * u.deg
    table["ALT_PNT"] = [90.0 - run.zenith for run in runs] * u.deg
    table["AZ_PNT"] = [run.azimuth for run in runs] * u.deg
    table["ONTIME"] = [run.ontime for run in runs] * u.s
    table["LIVETIME"] = [run.livetime for run in runs] * u.s
    table["DEADC"] = [run.deadc for run in runs]
    table["TSTART"] = met_seconds(np.array([run.time_start for run in runs])) * u.s
    table["TSTOP"] = met_seconds(np.array([run.time_stop for run in runs])) * u.s
    table["N_TELS"] = [len(run.telescopes.split(",")) for run in runs]
    table["TELLIST"] = [plain_word(run.telescopes) for run in runs]
    table["QUALITY"] = [run.quality for run in runs]
    table["MUONEFF"] = [run.muon_efficiency for run in runs]
    table["SAFE_ENERGY_LO"] = [run.safe_energy_min for run in runs] * u.TeV
    return table
