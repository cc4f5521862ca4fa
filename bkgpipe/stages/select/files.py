"""The table of `select`: all runs of the store, and the decision on each."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.core.product import ProductHeader
from bkgpipe.core.run import Run, RunTable
from bkgpipe.product.ecsv import Column, read_rows, write_rows

__all__ = ["read_runs_table", "write_runs"]

_COLUMNS = {
    "obs_id": Column(int, "", "run number"),
    "target": Column(str, "", "name of the target"),
    "ra": Column(float, "deg", "pointing, ICRS"),
    "dec": Column(float, "deg", "pointing, ICRS"),
    "zenith": Column(float, "deg", "zenith angle of the pointing at mid-run"),
    "azimuth": Column(float, "deg", "azimuth at mid-run, from north over east"),
    "ontime": Column(float, "s", "time recorded"),
    "livetime": Column(float, "s", "time recorded less dead time"),
    "deadc": Column(float, "", "dead-time fraction as in GADF: livetime / ontime"),
    "time_start": Column(float, "d", "start, TT as modified Julian date"),
    "time_stop": Column(float, "d", "end, TT as modified Julian date"),
    "muon_efficiency": Column(float, "", "mean muon efficiency"),
    "nsb": Column(float, "", "night-sky background, in the unit of the store"),
    "telescopes": Column(str, "", "telescope list"),
    "quality": Column(int, "", "quality flag of GADF: 0 is best, -1 unknown"),
    "safe_energy_min": Column(float, "TeV", "lowest safe energy of the store"),
    "longitude": Column(float, "deg", "place of the observatory"),
    "latitude": Column(float, "deg", "place of the observatory"),
    "altitude": Column(float, "m", "place of the observatory"),
    "events_file": Column(str, "", "events file relative to the store"),
    "events_hdu": Column(str, "", "name of its events HDU"),
    "file_size": Column(int, "byte", "size of the events file, -1: missing"),
    "selected": Column(bool, "", "may contribute to models"),
    "exported": Column(bool, "", "gets a model"),
    "reason": Column(str, "", "why it is not selected"),
    "gti_file": Column(str, "", "file of its good time intervals, if another"),
    "gti_hdu": Column(str, "", "name of their HDU, if not GTI"),
    "aeff_file": Column(str, "", "file of its effective area, if another"),
    "checksum": Column(str, "", "SHA-256 of events and good time, if they are read"),
    "aeff_checksum": Column(str, "", "SHA-256 of aeff_file"),
}


def write_runs(path: Path, header: ProductHeader, table: RunTable) -> None:
    """Write the runs of a store and the decision on each, as ECSV.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the product.
    table : RunTable
        Runs; the observation table itself is left out.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    values = {name: [getattr(run, name) for run in table.runs] for name in _COLUMNS}
    write_rows(path, header, columns=_COLUMNS, values=values)


def read_runs_table(path: Path) -> RunTable:
    """Read the runs of a store and the decision on each.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    RunTable
        Runs, without the observation table.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return RunTable(runs=tuple(read_rows(path, _COLUMNS, Run)))
