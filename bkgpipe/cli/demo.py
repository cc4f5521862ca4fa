"""A first production, on simulated data with a known truth."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bkgpipe.cli.closure import (
    ClosureOptions,
    close_production,
    produce,
    simulate,
    write_config,
)
from bkgpipe.settings import read_settings
from bkgpipe.tools.closure.view import describe_closure

__all__ = ["run_demo"]

_N_RUNS = 30
_MINUTES = 10.0
# A source in each field, which the mask has to find
_SOURCE = (
    "source:blob.fov_lon=0.5 deg",
    "source:blob.fov_lat=0.3 deg",
    "source:blob.rate=0.05 s-1",
)
_METHODS = {
    "none": "unsmoothed: pulls should have mean 0 and width 1",
    "gaussian": "smoothed: errors say what noise is left, bias is the cost",
    "regression": "all runs fitted at once, the default method",
}


def run_demo(output: Path, *, seed: int, workers: int) -> None:
    """Simulate an archive, make models from it by each method, compare with the truth.

    Parameters
    ----------
    output : Path
        Folder for the archive (made once for each seed) and all products.
    seed : int
        Seed of the simulation.
    workers : int
        Worker processes.

    Raises
    ------
    BkgpipeError
        If a step fails.
    """
    started = time.monotonic()
    store = output / f"store-{seed}"
    if not (store / "obs-index.fits.gz").exists():
        options = ClosureOptions(
            n_runs=_N_RUNS, minutes=_MINUTES, seed=seed, workers=workers
        )
        simulate(store, _SOURCE, options=options)
    config = write_config(output, store, {"stack.min_hours": "0.5 h"})
    for method, meaning in _METHODS.items():
        overrides = [f"smooth.method={method}", f"run.workers={workers}"]
        settings = read_settings(config, overrides)
        click.echo(f"\nChain with smooth.method = {method} ({meaning})")
        click.echo(describe_closure(close_production(produce(settings))))
        click.echo(f"Report: {settings.folder('report') / 'index.html'}")
        click.echo(f"Store:  {settings.folder('export') / 'store'}")
    click.echo(f"\nDemo done in {time.monotonic() - started:.0f} s. Settings: {config}")
