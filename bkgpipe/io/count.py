"""Checkpoints of `count`: the histograms of each run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bkgpipe.datamodel import (
    Chunk,
    ProductHeader,
    RunCounts,
    RunShape,
    RunTally,
)
from bkgpipe.datamodel.checks import require_shape
from bkgpipe.datamodel.counts import lowest_energy
from bkgpipe.io.damage import reading
from bkgpipe.io.hdf5 import read_fields, read_record, write_chunk
from bkgpipe.io.hdf5_columns import Columns, add_columns, read_columns, read_stacked
from bkgpipe.io.identities import add_identities

__all__ = [
    "read_counts",
    "read_each",
    "read_heads",
    "read_mask_effects",
    "read_run_counts",
    "read_shapes",
    "read_tallies",
    "write_counts",
]

# To read the columns of a file takes as long as to read some runs whole
_TOGETHER = 6
_CUBES = ("counts_3d", "solid_angle_3d")
_IN_SHAPES = (
    "run",
    "binning",
    "counts_2d",
    "solid_angle_2d",
    "is_safe",
    "safe_energy_min",
    "livetime",
    "control",
)
_TALLIES, _IN_TALLIES = "tallies", tuple(RunTally.__dataclass_fields__)
_SMALL = tuple(name for name in RunCounts.__dataclass_fields__ if name not in _CUBES)


def write_counts(
    path: Path,
    header: ProductHeader,
    chunk: Chunk[RunCounts],
    *,
    identities: Mapping[int, str] | None = None,
) -> None:
    """Write the histograms of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.
    header : ProductHeader
        Origin of the product.
    chunk : Chunk of RunCounts
        The histograms, and reasons where there are none.
    identities : mapping of int to str, optional
        Digest of what each run was made from.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    tallies = {obs_id: run.tally for obs_id, run in chunk.records.items()}

    def extend(file: h5py.File) -> None:
        add_columns(file, chunk.records, _SMALL)
        add_columns(file, tallies, _IN_TALLIES, group=_TALLIES)
        add_identities(file, identities or {})

    write_chunk(path, header, chunk, extend=extend)


def read_counts(
    path: Path, *, obs_ids: Sequence[int] | None = None
) -> Chunk[RunCounts]:
    """Read the histograms of a block of runs.

    Parameters
    ----------
    path : Path
        HDF5 file.
    obs_ids : sequence of int, optional
        Runs to read, which must be in it; all when not given.

    Returns
    -------
    Chunk of RunCounts
        The histograms, and reasons where there are none.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    small = read_columns(path, RunCounts, _SMALL)
    cubes = read_fields(path, RunCounts, _CUBES, keys=obs_ids).records
    with reading(path):
        records = {
            obs_id: RunCounts(**small.records[obs_id], **values)
            for obs_id, values in cubes.items()
        }
    return Chunk(records=records, refused=small.refused)


def read_each(places: Iterable[tuple[Path, int]]) -> Iterator[RunCounts]:
    """Read many runs, those of one file together.

    Parameters
    ----------
    places : iterable of tuple of Path and int
        File and ``obs_id`` of each run; the fewer changes of file, the faster.

    Yields
    ------
    RunCounts
        Counts of one run after the other.

    Raises
    ------
    DamagedFileError
        If a file is not what was written.
    InputError
        If a run is not in its file.
    """
    for path, group in groupby(places, key=itemgetter(0)):
        obs_ids = [obs_id for _, obs_id in group]
        if len(obs_ids) < _TOGETHER:
            yield from (read_run_counts(path, obs_id) for obs_id in obs_ids)
        else:
            yield from read_counts(path, obs_ids=obs_ids).records.values()


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
    found = read_stacked(path, RunCounts, _IN_SHAPES)
    with reading(path):
        return Chunk(records=_make_shapes(found), refused=found.refused)


def _make_shapes(found: Columns) -> dict[int, RunShape]:
    """Make the shapes of all runs at once; `RunCounts` would make them one by one."""
    if not found.keys:
        return {}
    (binning,) = found.values["binning"]
    livetime, solid_angle_2d, is_safe = (
        np.asarray(found.values[name])
        for name in ("livetime", "solid_angle_2d", "is_safe")
    )
    exposure_2d = (livetime[:, np.newaxis] * is_safe)[:, :, np.newaxis]
    exposure_2d = exposure_2d * solid_angle_2d[:, np.newaxis, :]
    counts_2d = np.asarray(found.values["counts_2d"])
    require_shape("counts_2d", counts_2d, exposure_2d.shape)
    counts_2d = counts_2d * is_safe[:, :, np.newaxis]
    kept_fraction = solid_angle_2d.sum(axis=1) / binning.solid_angle_2d.sum()
    columns = {
        "run": found.all_of("run"),
        "counts_2d": counts_2d,
        "exposure_2d": exposure_2d,
        "livetime": livetime.tolist(),
        "kept_fraction": kept_fraction.tolist(),
        "control": found.all_of("control"),
        "lowest_energy": [
            lowest_energy(binning, *row)
            for row in zip(is_safe, found.values["safe_energy_min"], strict=True)
        ],
    }
    rows = zip(*columns.values(), strict=True)
    shapes = (RunShape(**dict(zip(columns, row, strict=True))) for row in rows)
    return dict(zip(found.keys, shapes, strict=True))


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
    names = [name for name in _SMALL if name != "mask_effect"]
    found = read_columns(path, RunCounts, names)
    heads = {key: _make_head(values) for key, values in found.records.items()}
    return Chunk(records=heads, refused=found.refused)


def _make_head(values: dict[str, Any]) -> RunCounts:
    shape = values["binning"].shape_3d
    counts_3d = np.broadcast_to(np.int64(0), shape)
    solid_angle_3d = np.broadcast_to(np.float64(0.0), shape[1:])
    return RunCounts(**values, counts_3d=counts_3d, solid_angle_3d=solid_angle_3d)


def read_tallies(path: Path) -> dict[int, RunTally]:
    """Read what the summary of a production tells of each run.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    dict of int to RunTally
        Numbers of events, and what may speak against a run, for each ``obs_id``.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    found = read_columns(path, RunTally, _IN_TALLIES, group=_TALLIES)
    return {key: RunTally(**values) for key, values in found.records.items()}


def read_mask_effects(path: Path) -> Chunk[dict[str, Any]]:
    """Read what the masks take of the events and of the solid angle.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    Chunk of dict of str to object
        ``run``, ``binning``, ``mask_effect``, ``counts_2d``, ``is_safe`` of each run.

    Raises
    ------
    DamagedFileError
        If the file is not what was written.
    """
    names = ["run", "binning", "mask_effect", "counts_2d", "is_safe"]
    return read_columns(path, RunCounts, names)
