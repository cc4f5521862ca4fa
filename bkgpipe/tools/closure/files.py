"""The table of a closure: totals, bins of energy and offset, and models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bkgpipe.core.product import ProductHeader
from bkgpipe.product.ecsv import Column, write_rows
from bkgpipe.tools.closure.data import AxisClosure, ClosureReport, ModelClosure, PullSet

__all__ = ["write_closure"]

_NAN = float("nan")
_COLUMNS = {
    "model": Column(str, "", "bkg_3d or bkg_2d"),
    "part": Column(str, "", "what the row is of"),
    "low": Column(float, "", "lower edge, TeV or deg"),
    "high": Column(float, "", "upper edge, TeV or deg"),
    "stack_id": Column(int, "", "run or stack of a norm, -1 for all"),
    "expected": Column(float, "", "counts by the truth"),
    "recovered": Column(float, "", "counts by the models"),
    "ratio": Column(float, "", "recovered over expected"),
    "error": Column(float, "", "relative error that is stated"),
    "pull": Column(float, "", "deviation over its error, or the mean of all"),
    "width": Column(float, "", "standard deviation of the pulls"),
    "within_1": Column(float, "", "share of the pulls within 1"),
    "within_2": Column(float, "", "share of the pulls within 2"),
    "n": Column(int, "", "number of pulls"),
}
_EMPTY: dict[str, Any] = {
    name: -1 if column.kind is int else _NAN for name, column in _COLUMNS.items()
} | {"n": 0}


def write_closure(path: Path, header: ProductHeader, report: ClosureReport) -> None:
    """Write how well models recover the truth.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the table.
    report : ClosureReport
        The comparison; three rows of pulls, one for each bin of energy and offset,
        one for each model, in each projection.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = [_EMPTY | row for model in report.models for row in _rows(model)]
    values = {name: [row[name] for row in rows] for name in _COLUMNS}
    write_rows(path, header, columns=_COLUMNS, values=values)


def _rows(model: ModelClosure) -> Iterator[dict[str, Any]]:
    name = {"model": model.name}
    counts = model.counts
    total = {
        "expected": counts.n_expected,
        "recovered": counts.n_recovered,
        "ratio": counts.n_recovered / counts.n_expected,
    }
    pulls = {"bins, norm out": model.shape, "bins": model.bins, "norms": model.norms}
    for part, values in pulls.items():
        yield name | total | _pull_row(values) | {"part": part}
    for part, axis in {"energy": model.energy, "offset": model.offset}.items():
        for row in _axis_rows(axis):
            yield name | row | {"part": part}
    norms = zip(
        model.stack_ids.tolist(),
        model.norm.tolist(),
        model.norm_error.tolist(),
        strict=True,
    )
    for stack_id, norm, error in norms:
        yield name | {
            "part": "norm",
            "stack_id": stack_id,
            "ratio": norm,
            "error": error,
            "pull": (norm - 1.0) / error,
        }


def _pull_row(pulls: PullSet) -> dict[str, Any]:
    return {
        "pull": pulls.mean,
        "width": pulls.width,
        "within_1": pulls.within(1.0),
        "within_2": pulls.within(2.0),
        "n": pulls.values.size,
    }


def _axis_rows(axis: AxisClosure) -> Iterator[dict[str, Any]]:
    columns = (
        axis.edges[:-1],
        axis.edges[1:],
        axis.expected,
        axis.recovered,
        axis.ratio,
        axis.error,
    )
    names = ("low", "high", "expected", "recovered", "ratio", "error")
    for row in zip(*(column.tolist() for column in columns), strict=True):
        yield dict(zip(names, row, strict=True))
