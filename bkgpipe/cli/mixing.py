"""Draw background events for runs of a store."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from bkgpipe.datamodel.mixing import Provenance
from bkgpipe.settings.simulation import SimulateSettings
from bkgpipe.simulation.mixing import mix_runs
from bkgpipe.view.provenance import describe_provenance

__all__ = ["provenance_answer", "simulate_mixing"]


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
        click.echo(provenance_answer(folder, provenance))
        return
    click.echo(describe_provenance(provenance))
    click.echo(f"\nStore: {folder} ({time.monotonic() - started:.1f} s)")
    click.echo(f"Record: {folder / 'mixing.json'}")


def provenance_answer(folder: Path, provenance: Provenance) -> str:
    """Put what was done in one line of JSON.

    Parameters
    ----------
    folder : Path
        Folder that was written.
    provenance : Provenance
        The record.

    Returns
    -------
    str
        Line without its end.
    """
    totals = [asdict(total) for total in provenance.totals]
    for total in totals:
        # JSON has no NaN
        total["p_value"] = total["p_value"] if total["dof"] else None
    answer = {
        "store": str(folder),
        "method": provenance.method,
        "runs": len({record.obs_id for record in provenance.records}),
        "components": totals,
    }
    return json.dumps(answer)
