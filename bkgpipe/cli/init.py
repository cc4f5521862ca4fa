"""Write a settings file that fits a data store."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from bkgpipe.datamodel import Events, Proposal, Run, RunTable, StoreSample
from bkgpipe.errors import InputError, OutputError, SettingsError
from bkgpipe.io.fov_limit import read_fov_limits
from bkgpipe.io.store import read_events, read_runs
from bkgpipe.numerics.geometry import (
    fov_matrix,
    offset_angle,
    pointing_of,
    unit_vectors,
)
from bkgpipe.numerics.propose import propose_energies, propose_field
from bkgpipe.numerics.propose_runs import (
    propose_groups,
    propose_livetime,
    propose_method,
    propose_safe_energy,
)
from bkgpipe.numerics.select import find_chunk_size
from bkgpipe.settings import Settings, read_settings, settings_template

__all__ = ["propose_settings", "write_settings_file"]

_MAX_SAMPLE = 20  # runs, which take less than a second
_MAX_LIMITS = 3  # runs of one instrument have the same field


def write_settings_file(
    data: Path, *, output: Path, config: Path, force: bool, as_json: bool = False
) -> None:
    """Look at a store, propose what fits it, and write a commented settings file.

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
    as_json : bool
        Print one line of JSON instead.

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
    given |= {"data.gammapy_data": str(catalogs)} if catalogs else {"mask.catalogs": ""}
    proposals = propose_settings(data, table, _read_defaults(given))
    given |= {each.key: each.value for each in proposals if not each.is_kept}
    reasons = {each.key: each.reason for each in proposals}
    _write(config, settings_template(given, reasons))
    hours = sum(run.livetime for run in table.runs if run.livetime > 0) / 3600
    if as_json:
        answer = {
            "config": str(config),
            "runs": len(table.runs),
            "hours": round(hours, 2),
            "chosen": {e.key: [e.value, e.reason] for e in proposals if not e.is_kept},
            "kept": {each.key: each.reason for each in proposals if each.is_kept},
        }
        click.echo(json.dumps(answer))
        return
    click.echo(f"{data}: {len(table.runs)} runs, {hours:.1f} h.")
    _tell(proposals)
    if catalogs is None:
        click.echo(
            "No catalogues found: set GAMMAPY_DATA, or name regions under [mask], "
            "or gamma-ray sources will be taken for background."
        )
    click.echo(f"Wrote {config}. Next: {_next(config)}.")


def propose_settings(
    store: Path, table: RunTable, defaults: Settings
) -> list[Proposal]:
    """Look at some runs of a store, and propose what fits them.

    Parameters
    ----------
    store : Path
        Folder of the data store.
    table : RunTable
        Its runs.
    defaults : Settings
        Settings with the default of each key.

    Returns
    -------
    list of Proposal
        In the order of the chain.
    """
    sample = _read_sample(store, table.runs)
    binning, count, stack = defaults.binning, defaults.count, defaults.stack
    field = propose_field(
        sample,
        offset_max=binning.offset_max,
        fov_bins=binning.fov_bins,
        control_offset=count.control_offset,
        search_radius=defaults.mask.search_radius,
    )
    fov_bins = next(each.value for each in field if each.key == "binning.fov_bins")
    return [
        propose_livetime(sample, min_livetime=defaults.select.min_livetime),
        *propose_energies(
            sample,
            energy_min=binning.energy_min,
            energy_max=binning.energy_max,
            per_decade=binning.per_decade,
            field_bins=(int(fov_bins or binning.fov_bins), binning.offset_bins),
        ),
        *field,
        *propose_safe_energy(sample),
        *propose_groups(
            sample,
            zenith_edges=stack.zenith_edges,
            azimuth_edges=stack.azimuth_edges,
            min_hours=stack.min_hours,
        ),
        *propose_method(sample, method=defaults.smooth.method),
    ]


def _read_defaults(given: Mapping[str, str]) -> Settings:
    """Read the file that would be written without any proposal."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "luigi.cfg"
        path.write_text(settings_template(given), encoding="utf-8")
        return read_settings(path)


def _read_sample(store: Path, runs: Sequence[Run]) -> StoreSample:
    """Read the events of some runs, from the lowest to the highest zenith angle."""
    present = sorted(
        (run for run in runs if run.file_size >= 0),
        key=lambda run: (np.nan_to_num(run.zenith, nan=np.inf), run.obs_id),
    )
    picked = np.unique(np.linspace(0, len(present) - 1, _MAX_SAMPLE).round())
    found: list[tuple[Run, np.ndarray, np.ndarray]] = []
    for index in picked if present else ():
        run = present[int(index)]
        try:
            events, _ = read_events(store, run)
            found.append((run, *_energy_and_offset(run, events)))
        except InputError as error:
            click.echo(f"  not looked at: {error}", err=True)
    energies, offsets = [each[1] for each in found], [each[2] for each in found]
    limits = _read_limits(store, [each[0] for each in found])
    return StoreSample(
        runs=tuple(runs),
        n_read=len(found),
        hours_read=sum(max(0.0, each[0].livetime) for each in found) / 3600,
        energy=np.concatenate([*energies, np.empty(0)]),
        offset=np.concatenate([*offsets, np.empty(0)]),
        fov_limit=min(limits.values(), default=np.nan),
        has_area=bool(found) and limits.keys() >= {found[0][0].obs_id},
    )


def _energy_and_offset(run: Run, events: Events) -> tuple[np.ndarray, np.ndarray]:
    vectors = unit_vectors(events.ra, events.dec) @ fov_matrix(*pointing_of(run)).T
    offset = offset_angle(vectors)
    is_valid = np.isfinite(offset) & np.isfinite(events.energy) & (events.energy > 0)
    return events.energy[is_valid], offset[is_valid]


def _read_limits(store: Path, runs: Sequence[Run]) -> dict[int, float]:
    try:
        return read_fov_limits(store, runs[:_MAX_LIMITS])
    except InputError as error:
        click.echo(f"  not looked at: {error}", err=True)
        return {}


def _tell(proposals: Sequence[Proposal]) -> None:
    """Print what is proposed and why, and in short what stays."""
    changed = [each for each in proposals if not each.is_kept]
    kept = [each for each in proposals if each.is_kept]
    click.echo("Chosen:" if changed else "All defaults fit:")
    for each in changed:
        click.echo(f"  {each.key} = {each.value}: {each.reason}")
    if changed and kept:
        click.echo("Defaults that fit:")
    for each in kept:
        click.echo(f"  {each.key}: {each.reason}")


def _next(config: Path) -> str:
    words = "bkgpipe check, bkgpipe plan, bkgpipe run"
    return words + ("" if config == Path("luigi.cfg") else f", with --config {config}")


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
