"""Simulate data with a known truth."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bkgpipe.datamodel import PointSource, Simulation, Truth
from bkgpipe.errors import OutputError
from bkgpipe.simulation.store import write_simulated_store

__all__ = ["simulate_store"]


def simulate_store(folder: Path, *, n_runs: int, minutes: float, seed: int) -> None:
    """Write a simulated store, and say what is in it.

    Parameters
    ----------
    folder : Path
        Folder to write; must not hold a store already.
    n_runs : int
        Number of runs.
    minutes : float
        Length of a run [min].
    seed : int
        Seed; equal seeds give equal stores.

    Raises
    ------
    OutputError
        If the folder holds a store already, or cannot be written.
    """
    if (folder / "obs-index.fits.gz").exists():
        raise OutputError(
            what="holds a data store already",
            where=str(folder),
            fix="Name another folder, or remove this one",
        )
    started = time.monotonic()
    simulation = Simulation(
        n_runs=n_runs,
        duration=60 * minutes,
        seed=seed,
        sources=(PointSource(fov_lon=0.5, fov_lat=0.3, rate=0.05),),
    )
    runs = write_simulated_store(folder, simulation=simulation, truth=Truth())
    hours = sum(run.livetime for run in runs) / 3600
    click.echo(
        f"Simulated {len(runs)} runs ({hours:.1f} h live time) "
        f"in {time.monotonic() - started:.1f} s: {folder}"
    )
    click.echo(f"Truth: {folder / 'truth.ecsv'}; sources: {folder / 'sources.ecsv'}")
