"""Parts of the checkpoints of `count`, and the counts of many runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.checks import require_shape
from bkgpipe.core.product import Chunk
from bkgpipe.product.chunk_file import ChunkFile, Columns
from bkgpipe.product.hdf5 import OpenFile, opened
from bkgpipe.stages.count.data import RunCounts, RunShape, RunTally, lowest_energy

__all__ = [
    "COUNTS",
    "read_each",
    "read_heads",
    "read_mask_effects",
    "read_shapes",
    "read_tallies",
]

COUNTS = ChunkFile(RunCounts)

_NOT_IN_HEADS = ("counts_3d", "solid_angle_3d", "mask_effect")
_IN_HEADS = tuple(
    name for name in RunCounts.__dataclass_fields__ if name not in _NOT_IN_HEADS
)
# What the counts at safe energies follow from, and what else a shape or tally holds
_SAFE = ("binning", "counts_2d", "solid_angle_2d", "is_safe", "livetime")
_IN_SHAPES, _IN_TALLIES = (
    ("run", "safe_energy_min", "control"),
    ("conservation", "clock"),
)


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
        found = COUNTS.read(path, keys=[obs_id for _, obs_id in group])
        yield from found.records.values()


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
    with opened(path) as file:
        found = COUNTS.read_columns(file, (*_SAFE, *_IN_SHAPES))
        return Chunk(records=_make_shapes(found), refused=found.refused)


def _make_shapes(found: Columns) -> dict[int, RunShape]:
    """Make the shapes of all runs at once; `RunCounts` would make them one by one."""
    if not found.keys:
        return {}
    values, binning = found.values, _only_binning(found)
    rows = zip(values["is_safe"], values["safe_energy_min"], strict=True)
    columns = {
        **_safe_columns(found),
        **{name: values[name] for name in ("run", "livetime", "control")},
        "lowest_energy": [lowest_energy(binning, *row) for row in rows],
    }
    shapes = zip(*columns.values(), strict=True)
    made = (RunShape(**dict(zip(columns, row, strict=True))) for row in shapes)
    return dict(zip(found.keys, made, strict=True))


def _only_binning(found: Columns) -> Binning:
    binnings: set[Binning] = set(found.values["binning"])
    (binning,) = binnings
    return binning


def _safe_columns(found: Columns) -> dict[str, Any]:
    """Return counts and exposure of all runs, zero where one is not safe."""
    binning = _only_binning(found)
    livetime, solid_angle_2d, is_safe = (
        np.asarray(found.values[name])
        for name in ("livetime", "solid_angle_2d", "is_safe")
    )
    exposure_2d = (livetime[:, np.newaxis] * is_safe)[:, :, np.newaxis]
    exposure_2d = exposure_2d * solid_angle_2d[:, np.newaxis, :]
    counts_2d = np.asarray(found.values["counts_2d"])
    require_shape("counts_2d", counts_2d, exposure_2d.shape)
    kept_fraction = solid_angle_2d.sum(axis=1) / binning.solid_angle_2d.sum()
    return {
        "counts_2d": counts_2d * is_safe[:, :, np.newaxis],
        "exposure_2d": exposure_2d,
        "kept_fraction": kept_fraction.tolist(),
    }


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
    found = COUNTS.read_fields(path, _IN_HEADS)
    heads = {key: _make_head(values) for key, values in found.records.items()}
    return Chunk(records=heads, refused=found.refused)


def _make_head(values: dict[str, Any]) -> RunCounts:
    shape = values["binning"].shape_3d
    counts_3d = np.broadcast_to(np.int64(0), shape)
    solid_angle_3d = np.broadcast_to(np.float64(0.0), shape[1:])
    return RunCounts(**values, counts_3d=counts_3d, solid_angle_3d=solid_angle_3d)


def read_tallies(path: Path | OpenFile) -> dict[int, RunTally]:
    """Read what the summary of a production tells of each run.

    Parameters
    ----------
    path : Path or OpenFile
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
    with opened(path) as file:
        return _make_tallies(COUNTS.read_columns(file, (*_SAFE, *_IN_TALLIES)))


def _make_tallies(found: Columns) -> dict[int, RunTally]:
    if not found.keys:
        return {}
    safe = _safe_columns(found)
    columns = {
        **{name: found.values[name] for name in ("livetime", *_IN_TALLIES)},
        "kept_fraction": safe["kept_fraction"],
        "has_exposure": safe["exposure_2d"].any(axis=(1, 2)).tolist(),
        "n_events": safe["counts_2d"].sum(axis=(1, 2)).tolist(),
    }
    rows = zip(*columns.values(), strict=True)
    made = (RunTally(**dict(zip(columns, row, strict=True))) for row in rows)
    return dict(zip(found.keys, made, strict=True))


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
    return COUNTS.read_fields(path, names)
