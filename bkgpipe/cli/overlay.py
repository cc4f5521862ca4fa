"""Add the events of OFF runs to the runs of a store."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from bkgpipe.cli.mixing import totals_answer
from bkgpipe.simulate.mixing.view import describe_provenance
from bkgpipe.simulate.overlay.make import MATCHES, POOL, PROVENANCE, overlay_runs
from bkgpipe.simulate.settings import SimulateSettings

__all__ = ["simulate_overlay"]


def simulate_overlay(
    folder: Path, settings: SimulateSettings, *, workers: int, as_json: bool
) -> None:
    """Write a store of runs with events of OFF runs, and say what was given.

    Parameters
    ----------
    folder : Path
        Folder to write.
    settings : SimulateSettings
        Settings.
    workers : int
        Worker processes.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    SettingsError
        With all that is wrong with settings and inputs.
    OutputError
        If the folder holds something else, or cannot be written.
    """
    started = time.monotonic()
    provenance = overlay_runs(folder, settings.overlay, workers=workers)
    raised = provenance.settings["raised_thresholds"]
    if as_json:
        answer = {
            "folder": str(folder),
            "totals": totals_answer(provenance),
            "raised_thresholds": raised,
        }
        click.echo(json.dumps(answer))
        return
    click.echo(describe_provenance(provenance))
    click.echo("")
    for obs_id, energy in raised.items():  # type: ignore[attr-defined]
        click.echo(
            f"Threshold of run {obs_id} raised to {energy:.3g} TeV: below it an OFF"
            " run that it got is not safe"
        )
    click.echo(f"Written in {time.monotonic() - started:.1f} s: {folder}")
    click.echo(f"Record: {PROVENANCE}; used OFF runs: {POOL}; matches: {MATCHES}")
