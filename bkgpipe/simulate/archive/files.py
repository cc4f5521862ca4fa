"""The truth and the sources of a simulated store, in tables beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from astropy.table import Table

from bkgpipe.errors import InputError
from bkgpipe.product.ecsv import write_table
from bkgpipe.simulate.archive.truth_data import RunTruth, Truth
from bkgpipe.stages.mask.data import ExclusionRegion

__all__ = ["read_truth", "write_sources", "write_truth"]


def write_truth(path: Path, run_truth: RunTruth) -> None:
    """Write the true rate of a simulated store beside it.

    Parameters
    ----------
    path : Path
        Text table to write (ECSV).
    run_truth : RunTruth
        The formula and the factor of each run.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    columns = {"OBS_ID": run_truth.obs_ids, "FACTOR": run_truth.factor}
    truth = asdict(run_truth.truth)
    truth["epoch_steps"] = [list(step) for step in truth["epoch_steps"]]
    write_table(path, Table(columns, meta={"truth": truth}))


def read_truth(path: Path) -> RunTruth:
    """Read the true rate of a simulated store.

    Parameters
    ----------
    path : Path
        Text table (ECSV).

    Returns
    -------
    RunTruth
        The formula and the factor of each run.

    Raises
    ------
    InputError
        If the file is missing or is no such table.
    """
    try:
        table = Table.read(path, format="ascii.ecsv")
        values = dict(table.meta["truth"])
        # files of earlier versions have no steps
        steps = (tuple(step) for step in values.pop("epoch_steps", ()))
        return RunTruth(
            truth=Truth(**values, epoch_steps=tuple(steps)),
            obs_ids=np.asarray(table["OBS_ID"]),
            factor=np.asarray(table["FACTOR"], dtype=float),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            what=f"the file holds no truth ({error})",
            where=str(path),
            fix="Give the truth.ecsv that 'simulate store' wrote",
        ) from error


def write_sources(path: Path, sources: Sequence[ExclusionRegion]) -> None:
    """Write the simulated sources as a catalogue, so that they can be excluded.

    Parameters
    ----------
    path : Path
        Text table to write (ECSV).
    sources : sequence of ExclusionRegion
        The sources.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    table = Table(
        {
            "source_name": np.array([source.name for source in sources], dtype=str),
            "ra": np.array([source.ra for source in sources], dtype=float),
            "dec": np.array([source.dec for source in sources], dtype=float),
            "extension": np.array([s.extension for s in sources], dtype=float),
        },
        units={"ra": "deg", "dec": "deg", "extension": "deg"},
    )
    write_table(path, table)
