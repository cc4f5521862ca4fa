"""Table of the groups of runs that share a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bkgpipe.core.product import ProductHeader
from bkgpipe.product.chunk_file import ChunkFile
from bkgpipe.product.ecsv import Column, read_rows, write_rows
from bkgpipe.stages.stack.data import Group, Stack

__all__ = [
    "STACKS",
    "read_groups",
    "write_groups",
]

STACKS = ChunkFile(Stack)

_COLUMNS: dict[str, Column] = {
    "group_id": Column(int, "", "number of the group"),
    "zenith": Column(float, "deg", "mean, weighted with live time"),
    "azimuth": Column(float, "deg", "mean, weighted with live time"),
    "livetime": Column(float, "s", "sum over the runs"),
    "n_events": Column(int, "", "events kept, sum over the runs"),
    "obs_ids": Column(str, "", "runs, separated by spaces"),
    "cells": Column(
        str, "deg", "least and largest zenith angle and azimuth of each cell, with ;"
    ),
    "merged": Column(
        str, "", "cells that were too poor and joined, separated by semicolons"
    ),
}


def write_groups(path: Path, header: ProductHeader, groups: Sequence[Group]) -> None:
    """Write which runs share a model, as ECSV.

    Parameters
    ----------
    path : Path
        ECSV file.
    header : ProductHeader
        Origin of the product.
    groups : sequence of Group
        Groups of runs.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    values = {name: [getattr(group, name) for group in groups] for name in _COLUMNS}
    values["obs_ids"] = [" ".join(map(str, ids.tolist())) for ids in values["obs_ids"]]
    values["cells"] = [_cells_to_text(cells) for cells in values["cells"]]
    values["merged"] = ["; ".join(cells) for cells in values["merged"]]
    write_rows(path, header, columns=_COLUMNS, values=values)


def read_groups(path: Path) -> tuple[Group, ...]:
    """Read which runs share a model.

    Parameters
    ----------
    path : Path
        ECSV file.

    Returns
    -------
    tuple of Group
        Groups of runs.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return tuple(read_rows(path, _COLUMNS, _make_group))


def _cells_to_text(cells: np.ndarray) -> str:
    return "; ".join(" ".join(map(repr, cell)) for cell in cells.tolist())


def _make_group(obs_ids: str, cells: str, merged: str, **values: Any) -> Group:
    numbers = np.array(cells.replace(";", " ").split(), dtype=np.float64)
    return Group(
        obs_ids=np.array(obs_ids.split(), dtype=np.int64),
        cells=numbers.reshape(-1, 4),
        merged=tuple(merged.split("; ")) if merged else (),
        **values,
    )
