"""The table of a comparison: one row for each run, or for each bin of one pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bkgpipe.core.product import ProductHeader
from bkgpipe.product.ecsv import Column, write_rows
from bkgpipe.tools.compare.data import Comparison, StoreComparison

__all__ = ["write_comparison"]

_RATE = "s-1 TeV-1 sr-1"
_RUNS = {
    "obs_id": Column(int, "", "run number"),
    "n_bins": Column(int, "", "bins compared"),
    "ontime": Column(float, "s", "weight of the run in the mean"),
    "ratio": Column(float, "", "events predicted by A over those by B"),
    "rms": Column(float, "", "rms of ratio / its mean - 1, weighted by events"),
    "pull_mean": Column(float, "", "mean of the pulls"),
    "pull_width": Column(float, "", "standard deviation of the pulls"),
}
_BINS = {
    "rate_a": Column(float, _RATE, "mean rate per on-time of A"),
    "error_a": Column(float, _RATE, "its error, zero when unknown"),
    "rate_b": Column(float, _RATE, "mean rate per on-time of B"),
    "error_b": Column(float, _RATE, "its error, zero when unknown"),
    "ratio": Column(float, "", "A over B"),
    "difference": Column(float, _RATE, "A less B"),
    "pull": Column(float, "", "difference over its error"),
}


def write_comparison(
    path: Path, header: ProductHeader, comparison: StoreComparison
) -> None:
    """Write a row for each run, or for each bin if there is one pair alone.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the table.
    comparison : StoreComparison
        The comparison.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    if len(comparison.runs) == 1:
        _write_bins(path, header, comparison.mean)
        return
    values = {name: [getattr(run, name) for run in comparison.runs] for name in _RUNS}
    write_rows(path, header, columns=_RUNS, values=values)


def _write_bins(path: Path, header: ProductHeader, pair: Comparison) -> None:
    axes = pair.binning
    edges = {"energy": (axes.energy_edges, "TeV")}
    if pair.is_3d:
        edges["fov_lon"] = (axes.fov_lon_edges, "deg")
        edges["fov_lat"] = (axes.fov_lat_edges, "deg")
    else:
        edges["offset"] = (axes.offset_edges, "deg")
    index = np.nonzero(pair.is_used)
    columns: dict[str, Column] = {}
    values: dict[str, np.ndarray] = {}
    for (name, (values_of, unit)), place in zip(edges.items(), index, strict=True):
        for end, limits in (("min", values_of[:-1]), ("max", values_of[1:])):
            columns[f"{name}_{end}"] = Column(float, unit, f"{end}. of the bin")
            values[f"{name}_{end}"] = limits[place]
    arrays = {
        "rate_a": pair.a.rate,
        "error_a": pair.a.sigma,
        "rate_b": pair.b.rate,
        "error_b": pair.b.sigma,
        "ratio": pair.ratio,
        "difference": pair.difference,
        "pull": pair.pull,
    }
    values |= {name: array[index] for name, array in arrays.items()}
    lists = {name: column.tolist() for name, column in values.items()}
    write_rows(path, header, columns=columns | _BINS, values=lists)
