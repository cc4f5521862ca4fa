"""Commands that simulate; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["simulate"]


@click.group()
def simulate() -> None:
    """Simulate data with a known truth."""


@simulate.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--runs", default=30, show_default=True, type=click.IntRange(1))
@click.option("--minutes", default=10.0, show_default=True, help="Length of a run.")
@click.option("--seed", default=1, show_default=True)
def store(*, folder: Path, runs: int, minutes: float, seed: int) -> None:
    """Write a simulated DL3 store, with its truth, into FOLDER."""
    from bkgpipe.cli.simulate import simulate_store

    simulate_store(folder, n_runs=runs, minutes=minutes, seed=seed)


@simulate.command()
def settings() -> None:
    """Print a commented settings file with every key, for `--config`."""
    from bkgpipe.settings.simulation import simulate_template

    click.echo(simulate_template())
