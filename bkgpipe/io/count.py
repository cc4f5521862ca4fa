"""Checkpoints of `count`: the histograms of each run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bkgpipe.datamodel import Chunk, Conservation, ProductHeader, RunCounts, RunShape
from bkgpipe.io.hdf5 import read_chunk, read_fields, read_record, write_chunk

__all__ = [
    "read_conservation",
    "read_counts",
    "read_heads",
    "read_mask_effects",
    "read_run_counts",
    "read_shapes",
    "write_counts",
]

_LARGE = ("counts_3d", "solid_angle_3d", "mask_effect")


def write_counts(path: Path, header: ProductHeader, chunk: Chunk[RunCounts]) -> None:
    """Write the histograms of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of RunCounts
        The histograms, and reasons where there are none.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_chunk(path, header, chunk)


def read_counts(path: Path) -> Chunk[RunCounts]:
    """Read the histograms of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of RunCounts
        The histograms, and reasons where there are none.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    return read_chunk(path, RunCounts)


def read_run_counts(path: Path, obs_id: int) -> RunCounts:
    """Read the histograms of one run.

    Parameters
    ----------
    path : Path
        HDF5 file.
    obs_id : int
        Run number.

    Returns
    -------
    RunCounts
        The histograms.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    InputError
        If the run is not in it.
    """
    return read_record(path, obs_id, RunCounts)


def read_shapes(path: Path) -> Chunk[RunShape]:
    """Read what ranking and grouping need, without the large arrays.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of RunShape
        Small part of the histograms, and reasons where there are none.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    heads = read_heads(path)
    shapes = {key: head.shape for key, head in heads.records.items()}
    return Chunk(records=shapes, refused=heads.refused)


def read_heads(path: Path) -> Chunk[RunCounts]:
    """Read all but the large arrays; these come back empty, and take no memory.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of RunCounts
        The histograms with cubes of zeros, and reasons where there are none.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    names = [name for name in RunCounts.__dataclass_fields__ if name not in _LARGE]
    found = read_fields(path, RunCounts, names)
    heads = {key: _make_head(values) for key, values in found.records.items()}
    return Chunk(records=heads, refused=found.refused)


def _make_head(values: dict[str, Any]) -> RunCounts:
    shape = values["binning"].shape_3d
    counts_3d = np.broadcast_to(np.int64(0), shape)
    solid_angle_3d = np.broadcast_to(np.float64(0.0), shape[1:])
    return RunCounts(**values, counts_3d=counts_3d, solid_angle_3d=solid_angle_3d)


def read_conservation(path: Path) -> dict[int, Conservation]:
    """Read where the events of each run went.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    dict of int to Conservation
        Numbers of events, for each ``obs_id``.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    found = read_fields(path, RunCounts, ["conservation"])
    return {key: values["conservation"] for key, values in found.records.items()}


def read_mask_effects(path: Path) -> list[dict[str, Any]]:
    """Read what the masks take of the events and of the solid angle.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    list of dict of str to object
        ``run``, ``binning``, ``mask_effect`` and ``counts_2d`` of each run.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    names = ["run", "binning", "mask_effect", "counts_2d"]
    return list(read_fields(path, RunCounts, names).records.values())
