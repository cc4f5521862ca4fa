"""Write a simulated archive with a known truth."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from bkgpipe.datamodel import Run, RunTruth, Simulation, Truth
from bkgpipe.io.simulate import (
    write_simulated_index,
    write_simulated_run,
    write_sources,
    write_truth,
)
from bkgpipe.numerics.simulate import (
    make_run_truth,
    make_runs,
    run_generator,
    simulate_run,
    source_regions,
)
from bkgpipe.tasks.targets import write_file

__all__ = ["write_simulated_store"]


def write_simulated_store(
    store: Path, *, simulation: Simulation, truth: Truth
) -> tuple[Run, ...]:
    """Simulate all runs of an archive and write them as a DL3 store.

    Equal seeds give equal files. ``truth.ecsv`` beside the index holds the truth, and
    ``sources.ecsv`` the sources, as a catalogue that ``[mask] catalogs`` understands.

    Parameters
    ----------
    store : Path
        Folder to write.
    simulation : Simulation
        Runs to simulate.
    truth : Truth
        True background rate.

    Returns
    -------
    tuple of Run
        The runs.

    Raises
    ------
    OutputError
        If the store cannot be written.
    """
    rng = np.random.default_rng(simulation.seed)
    runs = make_runs(rng, simulation)
    run_truth = make_run_truth(rng, truth, runs)
    for run in runs:
        _write_run(store, run, simulation=simulation, run_truth=run_truth)
    write_simulated_index(store, runs)
    write_file(store / "truth.ecsv", partial(write_truth, run_truth=run_truth))
    sources = source_regions(runs, simulation.sources)
    write_file(store / "sources.ecsv", partial(write_sources, sources=sources))
    return runs


def _write_run(
    store: Path, run: Run, *, simulation: Simulation, run_truth: RunTruth
) -> None:
    rng = run_generator(simulation.seed, run.obs_id)
    factor = float(run_truth.factors(np.array([run.obs_id]))[0])
    events = simulate_run(
        rng, run_truth.truth, run, factor=factor, sources=simulation.sources
    )
    write_file(
        store / run.events_file, partial(write_simulated_run, run=run, events=events)
    )
