"""Give runs of a store background events: drawn, or those of OFF runs."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from bkgpipe.simulate.mixing.data import Provenance
from bkgpipe.simulate.mixing.make import mix_runs
from bkgpipe.simulate.mixing.view import describe_provenance
from bkgpipe.simulate.overlay.make import MATCHES, POOL, PROVENANCE, overlay_runs
from bkgpipe.simulate.settings import SimulateSettings

__all__ = ["simulate_mixing", "simulate_overlay", "totals_answer"]


def simulate_mixing(
    folder: Path, settings: SimulateSettings, *, workers: int, as_json: bool
) -> None:
    """Write a store of runs with drawn background, and say what is in it.

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
    BkgpipeError
        If the inputs cannot be used, or the folder cannot be written.
    """
    started = time.monotonic()
    provenance = mix_runs(folder, settings=settings, workers=workers)
    if as_json:
        answer = {
            "store": str(folder),
            "method": provenance.method,
            "runs": len({record.obs_id for record in provenance.records}),
            "components": totals_answer(provenance),
        }
        click.echo(json.dumps(answer))
        return
    click.echo(describe_provenance(provenance))
    click.echo(f"\nStore: {folder} ({time.monotonic() - started:.1f} s)")
    click.echo(f"Record: {folder / 'mixing.json'}")


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


def totals_answer(provenance: Provenance) -> list[dict[str, object]]:
    """Put what was expected and drawn of each component as JSON can hold it.

    Parameters
    ----------
    provenance : Provenance
        The record.

    Returns
    -------
    list of dict of str to object
        One for each component.
    """
    totals = [asdict(total) for total in provenance.totals]
    for total in totals:
        # JSON has no NaN
        total["p_value"] = total["p_value"] if total["dof"] else None
    return totals
