"""The tables of the rate monitor: what changed, and all rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bkgpipe.core.product import ProductHeader
from bkgpipe.product.ecsv import Column, write_rows
from bkgpipe.tools.monitor.data import Change, Monitor, RunLevel, RunRates

__all__ = ["write_changes", "write_rates"]

_CHANGES = {
    "obs_id": Column(int, "", "run number"),
    "target": Column(str, "", "name of the target"),
    "kind": Column(str, "", "gap, drop or burst inside a run; low or high as a whole"),
    "start": Column(float, "d", "begin, TT as modified Julian date"),
    "stop": Column(float, "d", "end, likewise; NaN for a whole run"),
    "start_minute": Column(float, "min", "begin, from the start of the run on"),
    "stop_minute": Column(float, "min", "end, likewise; NaN for a whole run"),
    "change": Column(float, "", "rate over the expected rate, less one"),
    "error": Column(float, "", "its error; for a whole run with the scatter of runs"),
    "significance": Column(float, "", "standard deviations, before trials"),
    "p_value": Column(float, "", "probability after trials; NaN for a whole run"),
    "band": Column(str, "", "energy or offset bin that changes most; or all alike"),
    "band_change": Column(float, "", "change of this bin"),
    "band_error": Column(float, "", "its error"),
}
_RATES = {
    "obs_id": Column(int, "", "run number"),
    "start": Column(float, "d", "begin of the time bin, TT as modified Julian date"),
    "stop": Column(float, "d", "end of the time bin, likewise"),
    "livetime": Column(float, "s", "live time of the bin"),
    "zenith": Column(float, "deg", "zenith angle of the pointing"),
    "energy_min": Column(float, "TeV", "lower edge of the energy bin"),
    "energy_max": Column(float, "TeV", "upper edge of the energy bin"),
    "offset_min": Column(float, "deg", "lower edge of the offset bin"),
    "offset_max": Column(float, "deg", "upper edge of the offset bin"),
    "counts": Column(int, "", "events"),
    "rate": Column(float, "s-1", "events per live time; NaN without live time"),
}


def write_changes(path: Path, header: ProductHeader, monitor: Monitor) -> None:
    """Write the gaps, drops and bursts, and the runs out of the ordinary.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the table.
    monitor : Monitor
        What was seen: a row for each change, and for each outlier.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = [_change_row(change) for change in monitor.changes]
    rows += [_level_row(level) for level in monitor.outliers]
    values = {name: [row[name] for row in rows] for name in _CHANGES}
    write_rows(path, header, columns=_CHANGES, values=values)


def write_rates(path: Path, header: ProductHeader, monitor: Monitor) -> None:
    """Write the rate of all runs in all bins.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the table.
    monitor : Monitor
        Counts of all runs: a row for each run and bin of time, energy and offset.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    parts = [_rate_columns(rates, monitor) for rates in monitor.rates]
    values: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in _RATES
    }
    write_rows(path, header, columns=_RATES, values=values)


def _change_row(change: Change) -> dict[str, Any]:
    row = {name: getattr(change, name) for name in _CHANGES}
    # an empty word is a missing value to readers of ECSV
    return row | {"band": change.band or "all alike"}


def _level_row(level: RunLevel) -> dict[str, Any]:
    nothing = dict.fromkeys(_CHANGES, float("nan"))
    return nothing | {
        "obs_id": level.obs_id,
        "target": level.target,
        "kind": "low" if level.change < 0 else "high",
        "start": level.time,
        "start_minute": 0.0,
        "change": level.change,
        "error": (1.0 + level.change) * level.error,
        "significance": abs(level.significance),
        "band": "all alike",
    }


def _rate_columns(rates: RunRates, monitor: Monitor) -> dict[str, np.ndarray]:
    bins, shape = monitor.bins, rates.counts.shape
    livetime = rates.livetime[:, np.newaxis, np.newaxis]
    no_rate = np.full(shape, np.nan)
    rate = np.divide(rates.counts, livetime, out=no_rate, where=livetime > 0)
    columns = {
        "obs_id": np.full((1, 1, 1), rates.obs_id),
        "start": _along(rates.time_edges[:-1], 0),
        "stop": _along(rates.time_edges[1:], 0),
        "livetime": livetime,
        "zenith": _along(rates.zenith, 0),
        "energy_min": _along(bins.energy_edges[:-1], 1),
        "energy_max": _along(bins.energy_edges[1:], 1),
        "offset_min": _along(bins.offset_edges[:-1], 2),
        "offset_max": _along(bins.offset_edges[1:], 2),
        "counts": rates.counts,
        "rate": rate,
    }
    return {
        name: np.broadcast_to(column, shape).ravel() for name, column in columns.items()
    }


def _along(values: np.ndarray, axis: int) -> np.ndarray:
    shape = [1, 1, 1]
    shape[axis] = values.size
    return values.reshape(shape)
