"""Write a settings file that fits a data store."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bkgpipe.errors import OutputError, SettingsError
from bkgpipe.io.store import read_runs
from bkgpipe.numerics.select import find_chunk_size
from bkgpipe.settings import settings_template

__all__ = ["write_settings_file"]


def write_settings_file(data: Path, *, output: Path, config: Path, force: bool) -> None:
    """Look at a store and write a commented settings file for it.

    Parameters
    ----------
    data : Path
        Folder of the data store.
    output : Path
        Folder for all products.
    config : Path
        File to write.
    force : bool
        Replace the file if it exists.

    Raises
    ------
    InputError
        If the store cannot be read.
    SettingsError
        If the file exists and is not to be replaced.
    OutputError
        If it cannot be written.
    """
    if config.exists() and not force:
        raise SettingsError(
            what="exists already",
            where=str(config),
            fix="Choose another name with --config, or replace it with --force",
        )
    table = read_runs(data)
    given = {
        "data.store": str(data),
        "data.output": str(output),
        "data.chunk_size": str(find_chunk_size([run.obs_id for run in table.runs])),
    }
    catalogs = _find_catalogs(data)
    if catalogs is None:
        given["mask.catalogs"] = ""
        click.echo(
            "No catalogues found: set GAMMAPY_DATA, or name regions under [mask], "
            "or gamma-ray sources will be taken for background."
        )
    else:
        given["data.gammapy_data"] = str(catalogs)
    _write(config, settings_template(given))
    hours = sum(run.livetime for run in table.runs if run.livetime > 0) / 3600
    click.echo(f"{data}: {len(table.runs)} runs, {hours:.1f} h.")
    click.echo(f"Wrote {config}. Next: bkgpipe check, bkgpipe plan, bkgpipe run.")


def _write(config: Path, text: str) -> None:
    try:
        config.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            what=f"cannot be written ({error.strerror})",
            where=str(config),
            fix="Name a file in a folder that you may write to with --config",
        ) from error


def _find_catalogs(data: Path) -> Path | None:
    """Folder with catalogs/: beside the store, or as the environment says."""
    named = os.environ.get("GAMMAPY_DATA")
    places = [Path(named)] if named else []
    for place in (*places, data.parent):
        if (place / "catalogs").is_dir():
            return place
    return None
