"""Simulate data with a known truth."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from bkgpipe.errors import SettingsError
from bkgpipe.simulate.archive.make import simulate_archive
from bkgpipe.simulate.archive.view import describe_archive, summarize_archive
from bkgpipe.simulate.settings import SimulateSettings

__all__ = ["simulate_store", "store_overrides"]


def store_overrides(
    *,
    runs: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    like: str | None = None,
    layout: str | None = None,
) -> list[str]:
    """Write the shortcuts of the command as overrides of settings.

    Parameters
    ----------
    runs : int, optional
        Number of runs.
    minutes : float, optional
        Length of a run [min].
    seed : int, optional
        Seed.
    like : str, optional
        Real data store whose runs are copied.
    layout : str, optional
        How the files are laid out.

    Returns
    -------
    list of str
        Each ``section.key=value``; none for what is not given.

    Raises
    ------
    SettingsError
        If runs are asked for in two ways.
    """
    if like is not None and not (runs is None and minutes is None):
        raise SettingsError(
            what="--like copies runs as they are, with their number and lengths",
            where="--runs, --minutes",
            fix="Leave out --like or these; [simulation] obs_ids takes some runs alone",
        )
    values = {
        "runs": runs,
        "hours": None if runs is None else "0 h",
        "duration": None if minutes is None else f"{minutes!r} min",
        "seed": seed,
        "like": like,
        "layout": layout,
    }
    return [f"simulation.{k}={v}" for k, v in values.items() if v is not None]


def simulate_store(
    folder: Path, settings: SimulateSettings, *, workers: int = 1, as_json: bool = False
) -> None:
    """Write a simulated store, or go on with it, and say what is in it.

    Parameters
    ----------
    folder : Path
        Folder to write; may hold a part of the same store.
    settings : SimulateSettings
        What to simulate.
    workers : int
        Worker processes.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    InputError
        If the store to copy from, a model or responses cannot be used.
    OutputError
        If the folder holds another store, or cannot be written.
    SettingsError
        If the settings do not go together.
    """
    started = time.monotonic()
    runs = simulate_archive(folder, settings=settings, workers=workers)
    seconds = time.monotonic() - started
    places = {"truth": folder / "truth.ecsv", "sources": folder / "sources.ecsv"}
    if as_json:
        files = {name: str(path) for name, path in places.items()}
        answer = {"store": str(folder), "seed": settings.simulation.seed} | files
        click.echo(json.dumps(answer | summarize_archive(runs)))
        return
    hours = sum(run.livetime for run in runs) / 3600
    click.echo(
        f"Simulated {len(runs)} runs ({hours:.1f} h live time) in {seconds:.1f} s:"
        f" {folder}"
    )
    click.echo(describe_archive(runs))
    click.echo(f"Sources: {_source_words(settings)}")
    click.echo(f"Truth: {places['truth']}; sources: {places['sources']}")


def _source_words(settings: SimulateSettings) -> str:
    words = [
        f"{name} ({source.model.name})"
        if source.model
        else f"{name} ({source.rate:g} events per second in each field)"
        for name, source in settings.sources.items()
    ]
    return ", ".join(words) or "none"
