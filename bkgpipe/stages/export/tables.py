"""Observation tables and groups, as the original tool names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import Table

from bkgpipe.core.regular import require_regular
from bkgpipe.errors import InputError
from bkgpipe.product.ecsv import write_table
from bkgpipe.stages.stack.data import Group
from bkgpipe.store.files import inflate, open_fits, read_content
from bkgpipe.store.fits_file import write_hdus
from bkgpipe.store.index import find_index, find_table
from bkgpipe.store.index import obs_ids as index_obs_ids

__all__ = [
    "read_groups_table",
    "write_grouped_observation_table",
    "write_groups_table",
    "write_observation_table",
]

_SAFE_ENERGY = "SAFE_ENERGY_LO"


def write_observation_table(
    path: Path,
    source: Path,
    *,
    obs_ids: Sequence[int],
    safe_energies: Mapping[int, float] | None = None,
) -> None:
    """Write the rows of some runs of the observation index, its header kept.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    source : Path
        Folder of the store that the runs come from.
    obs_ids : sequence of int
        Runs, in the order of the rows to write.
    safe_energies : mapping of int to float, optional
        Safe energy of the runs that get another one than the source says [TeV].

    Raises
    ------
    InputError
        If the index cannot be read or lacks a run.
    OutputError
        If the table cannot be written.

    References
    ----------
    GADF 0.3, section "Data storage / Observation index".
    """
    table = _taken(source, obs_ids)
    if safe_energies:
        table = _with_safe_energies(table, obs_ids, safe_energies)
    write_hdus(path, [fits.PrimaryHDU(), table], compress=True)


def write_grouped_observation_table(
    path: Path, source: Path, *, groups: Sequence[Group]
) -> None:
    """Write the rows of the observation index group by group, with ``GROUP_ID``.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    source : Path
        Folder of the store that the runs come from.
    groups : sequence of Group
        The groups.

    Raises
    ------
    InputError
        If the index cannot be read or lacks a run.
    OutputError
        If the table cannot be written.
    """
    obs_ids = [int(obs_id) for group in groups for obs_id in group.obs_ids]
    group_ids = np.repeat(
        [group.group_id for group in groups], [group.obs_ids.size for group in groups]
    )
    table = _taken(source, obs_ids)
    column = fits.Column(name="GROUP_ID", format="K", array=group_ids)
    grouped = fits.BinTableHDU.from_columns(
        table.columns + fits.ColDefs([column]), header=table.header
    )
    write_hdus(path, [fits.PrimaryHDU(), grouped], compress=True)


def write_groups_table(path: Path, groups: Sequence[Group]) -> None:
    """Write the groups as a text table (ECSV).

    The edges are those of the cell that a group started from; ``MERGED`` names those
    that joined it.

    Parameters
    ----------
    path : Path
        File to write; a temporary one is fine.
    groups : sequence of Group
        The groups.

    Raises
    ------
    OutputError
        If the table cannot be written.
    """
    columns = {
        "GROUP_ID": [g.group_id for g in groups],
        "ZENITH_MIN": [float(g.cells[0, 0]) for g in groups],
        "ZENITH_MAX": [float(g.cells[0, 1]) for g in groups],
        "AZIMUTH_MIN": [float(g.cells[0, 2]) for g in groups],
        "AZIMUTH_MAX": [float(g.cells[0, 3]) for g in groups],
        "ZENITH": [g.zenith for g in groups],
        "AZIMUTH": [g.azimuth for g in groups],
        "N_RUNS": [g.obs_ids.size for g in groups],
        "N_EVENTS": [g.n_events for g in groups],
        "LIVETIME": [g.livetime for g in groups],
        "MERGED": ["; ".join(g.merged) for g in groups],
    }
    table = Table(columns)
    for name in table.colnames[1:7]:
        table[name].unit = "deg"
    table["LIVETIME"].unit = "s"
    write_table(path, table)


def read_groups_table(path: Path) -> Table:
    """Read what `write_groups_table` wrote.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    Table
        One row for each group.

    Raises
    ------
    InputError
        If the file is not such a table.
    """
    try:
        require_regular(path)
        table = Table.read(path, format="ascii.ecsv")
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise InputError(
            what=f"cannot be read as a table ({error})",
            where=str(path),
            fix="Remove store.json beside it and run bkgpipe run export",
        ) from error
    return table


def _with_safe_energies(
    table: fits.BinTableHDU, obs_ids: Sequence[int], safe_energies: Mapping[int, float]
) -> fits.BinTableHDU:
    """Put other safe energies in, which the table need not have had [TeV]."""
    columns = list(table.columns)
    names = [column.name.upper() for column in columns]
    place = names.index(_SAFE_ENERGY) if _SAFE_ENERGY in names else len(columns)
    values, unit = np.full(len(obs_ids), np.nan), "TeV"
    if place < len(columns):
        found = columns[place]
        values = u.Quantity(found.array, found.unit or unit).to_value(unit)
    for row, obs_id in enumerate(obs_ids):
        values[row] = safe_energies.get(obs_id, values[row])
    column = fits.Column(name=_SAFE_ENERGY, format="D", unit=unit, array=values)
    columns[place : place + 1] = [column]
    header = table.header.copy(strip=True)
    return fits.BinTableHDU.from_columns(columns, header=header, name=table.name)


def _taken(source: Path, obs_ids: Sequence[int]) -> fits.BinTableHDU:
    """Rows of the observation index, with its header: gammapy needs its keywords."""
    path = find_index(source, "obs-index")
    content = inflate(read_content(path, where=str(path)), where=str(path))
    with open_fits(content, where=str(path)) as hdus:
        found = find_table(hdus, path, "obs-index")
        data, header = found.data, found.header
        numbers = index_obs_ids(Table({"OBS_ID": data["OBS_ID"]}), where=str(path))
    row_of = {int(number): row for row, number in enumerate(numbers)}
    missing = [obs_id for obs_id in obs_ids if obs_id not in row_of]
    if missing:
        raise InputError(
            what=f"runs {missing[:5]} are not in the observation table",
            where=str(path),
            fix="Select the runs again, the store has changed",
        )
    for keyword in ("CHECKSUM", "DATASUM"):
        header.remove(keyword, ignore_missing=True)
    rows = np.array([row_of[obs_id] for obs_id in obs_ids], dtype=int)
    return fits.BinTableHDU(data=data[rows], header=header)
