"""The table of a test on several energy axes, and its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bkgpipe.core.passing import require_lasting
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.product.ecsv import Column, write_rows
from bkgpipe.stages.validate.axes_data import AxesSummary, AxisRow

__all__ = ["read_axes", "row_values", "write_axes", "write_axes_table"]

_COLUMNS = {
    "model": Column(str, "", "models that were judged"),
    "energies": Column(str, "", "energies of each run that were judged"),
    "axis": Column(str, "", "bins per decade"),
    "oversampling": Column(int, "", "finer bins over which gammapy integrates"),
    "n_runs": Column(int, "", "runs"),
    "n_events": Column(int, "", "events counted"),
    "n_uncovered": Column(int, "", "events where the model of their run has no bin"),
    "total": Column(float, "", "predicted over counted"),
    "rms": Column(float, "", "root mean square of the deviation of a bin"),
    "worst": Column(float, "", "largest deviation, counted over predicted less one"),
    "worst_energy": Column(float, "TeV", "centre of that bin"),
    "chi2": Column(float, "", "chi square of the shape"),
    "n_bins": Column(int, "", "bins that were judged"),
    "floor_total": Column(float, "", "predicted over counted of an exact model"),
    "floor_chi2": Column(float, "", "chi square of an exact model"),
    "scatter": Column(float, "", "scatter of runs in the worst bin"),
    "scatter_median": Column(float, "", "the same, median over bins"),
}
_MAY_BE_MISSING = ("rms", "worst", "worst_energy", "scatter", "scatter_median")


def write_axes_table(path: Path, header: ProductHeader, summary: AxesSummary) -> None:
    """Write a row for each kind of models, range and axis.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the table.
    summary : AxesSummary
        Numbers.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    values = {name: [getattr(row, name) for row in summary.rows] for name in _COLUMNS}
    write_rows(path, header, columns=_COLUMNS, values=values)


def row_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Replace numbers that are not known, which JSON cannot hold, by None.

    Parameters
    ----------
    row : mapping of str to object
        Fields of an `AxisRow`.

    Returns
    -------
    dict of str to object
        The same for JSON.
    """
    return {key: None if value != value else value for key, value in row.items()}  # noqa: PLR0124


def write_axes(path: Path, summary: AxesSummary) -> None:
    """Write the numbers of a test on several axes.

    Parameters
    ----------
    path : Path
        JSON file.
    summary : AxesSummary
        Numbers.
    """
    values = asdict(summary)
    values["rows"] = [row_values(row) for row in values["rows"]]
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_axes(path: Path) -> AxesSummary:
    """Read the numbers of a test on several axes.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    AxesSummary
        Numbers.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(_make_row(row) for row in found.pop("rows"))
        return AxesSummary(rows=rows, **found)
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        require_lasting(error, where=str(path))
        raise DamagedFileError(
            what="is not the result of a test on several axes",
            where=str(path),
            fix="Run bkgpipe validate --axes again",
        ) from error


def _make_row(values: dict[str, Any]) -> AxisRow:
    missing = {name for name, value in values.items() if value is None}
    if not missing <= set(_MAY_BE_MISSING):
        raise ValueError("numbers are expected")
    return AxisRow(**values | dict.fromkeys(missing, float("nan")))
