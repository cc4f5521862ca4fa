"""Write a settings file that fits a data store."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bkgpipe.core.run import Run, RunTable
from bkgpipe.errors import OutputError, SettingsError
from bkgpipe.settings import Settings, read_settings, settings_template
from bkgpipe.stages.mask.catalog_files import find_catalog
from bkgpipe.stages.select.rules import find_chunk_size
from bkgpipe.store.store import find_outside, read_runs
from bkgpipe.store.store_folder import store_folder
from bkgpipe.tools.propose.bins import propose_field
from bkgpipe.tools.propose.data import Proposal, StoreSample
from bkgpipe.tools.propose.energies import propose_energies, require_energies
from bkgpipe.tools.propose.runs import (
    propose_groups,
    propose_livetime,
    propose_method,
    propose_safe_energy,
)
from bkgpipe.tools.propose.sample import look_at_runs, plane_words, tell_of_plane

__all__ = ["propose_settings", "write_settings_file"]


def write_settings_file(
    data: Path, *, output: Path | None, config: Path, force: bool, as_json: bool = False
) -> None:
    """Look at a store, propose what fits it, and write a commented settings file.

    Parameters
    ----------
    data : Path
        Folder of the data store, or the file with both indexes.
    output : Path or None
        Folder for all products; None for the default, beside the file.
    config : Path
        File to write.
    force : bool
        Replace the file if it exists.
    as_json : bool
        Print one line of JSON instead.

    Raises
    ------
    InputError
        If the store cannot be read, has no pointed runs, or all its events have the
        same energy.
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
    table, allow = _read_runs(data)
    catalogs = _find_catalogs(data)
    paths = {"data.store": data, "data.output": output, "data.gammapy_data": catalogs}
    given, absolute = _place_paths(paths, config)
    number = find_chunk_size([run.obs_id for run in table.runs])
    given |= {"data.chunk_size": str(number)}
    given |= {} if catalogs else {"mask.catalogs": ""}
    allowed = {each.key: each.value for each in allow}
    defaults = _read_defaults(given | absolute | allowed)
    plane = _propose_plane(table.runs, defaults.mask.catalogs, catalogs)
    proposals = [*allow, *plane, *propose_settings(data, table, defaults)]
    given |= {each.key: each.value for each in proposals if not each.is_kept}
    reasons = {each.key: each.reason for each in proposals}
    _write(config, settings_template(given, reasons))
    left = tell_of_plane(table.runs, defaults.mask.catalogs)
    notes = [*table.doubts, *(left if catalogs and not plane else [])]
    if as_json:
        click.echo(json.dumps(_answer(config, table, proposals) | {"notes": notes}))
        return
    click.echo(f"{data}: {len(table.runs)} runs, {_hours(table):.1f} h.")
    _tell(proposals)
    if catalogs is None:
        click.echo(
            "No catalogues found: set GAMMAPY_DATA, or name regions under [mask], "
            "or gamma-ray sources will be taken for background."
        )
    for note in notes:
        click.echo(f"Note: {note}.")
    click.echo(f"Wrote {config}. Next: {_next(config)}.")


def _read_runs(data: Path) -> tuple[RunTable, list[Proposal]]:
    """Read the runs of a store, and propose to allow what it needs outside of it."""
    store = store_folder(data)
    table = read_runs(store)
    folders = find_outside(store, table.runs)
    if not folders:
        return table, []
    allowed = read_runs(store_folder(data, allow=[Path(each) for each in folders]))
    pairs = zip(table.runs, allowed.runs, strict=True)
    n_found = sum(run.file_size < 0 <= other.file_size for run, other in pairs)
    reason = (
        f"the index or links of the store lead there, outside of it, for {n_found} of "
        f"{len(table.runs)} runs; take it out if that is not meant"
    )
    found = Proposal(key="data.allow", value=", ".join(folders), reason=reason)
    return allowed, [found]


def _propose_plane(
    runs: Sequence[Run], used: Sequence[str | Path], catalogs: Path | None
) -> list[Proposal]:
    """Propose the catalogue of the Galactic plane for runs that point there."""
    words = plane_words(runs)
    if not words or not catalogs:
        return []
    if not find_catalog("hgps", gammapy_data=catalogs).is_file():
        return []
    value = ", ".join(map(str, (*used, "hgps")))
    reason = f"{words}, whose sources hgps has"
    return [Proposal(key="mask.catalogs", value=value, reason=reason)]


def _place_paths(
    paths: Mapping[str, Path | None], config: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """Write paths of the prompt as they belong into a file, and as absolute ones."""
    found = {key: path for key, path in paths.items() if path}
    written = {key: _as_written(path, config) for key, path in found.items()}
    return (
        {"data.output": "bkgpipe-output"} | written,
        {key: str(path.absolute()) for key, path in found.items()},
    )


def _as_written(path: Path, config: Path) -> str:
    """Write a path of the prompt for a file in which paths start at its folder."""
    folder = os.path.realpath(config.parent)
    if path.is_absolute() or folder == os.path.realpath("."):
        return str(path)
    return os.path.relpath(os.path.realpath(path), folder)


def _hours(table: RunTable) -> float:
    return sum(run.livetime for run in table.runs if run.livetime > 0) / 3600


def _answer(
    config: Path, table: RunTable, proposals: Sequence[Proposal]
) -> dict[str, object]:
    return {
        "config": str(config),
        "runs": len(table.runs),
        "hours": round(_hours(table), 2),
        "chosen": {e.key: [e.value, e.reason] for e in proposals if not e.is_kept},
        "kept": {each.key: each.reason for each in proposals if each.is_kept},
    }


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

    Raises
    ------
    InputError
        If the runs are drift scans, or all events have the same energy.
    """
    look = look_at_runs(defaults, table.runs)
    look.require_usable(str(store))
    for error in (*look.errors, *look.limit_errors):
        click.echo(f"  not looked at: {error}", err=True)
    sample = look.sample
    require_energies(sample, where=str(store))
    return [
        propose_livetime(sample, min_livetime=defaults.select.min_livetime),
        *_propose_bins(sample, defaults),
        *propose_groups(
            sample,
            zenith_edges=defaults.stack.zenith_edges,
            azimuth_edges=defaults.stack.azimuth_edges,
            min_hours=defaults.stack.min_hours,
        ),
        *propose_method(sample, method=defaults.smooth.method),
    ]


def _propose_bins(sample: StoreSample, defaults: Settings) -> list[Proposal]:
    """Propose axes and safe energies; the energies are those of events in the field."""
    binning, count = defaults.binning, defaults.count
    field = propose_field(
        sample,
        offset_max=binning.offset_max,
        fov_bins=binning.fov_bins,
        control_offset=count.control_offset,
        search_radius=defaults.mask.search_radius,
    )
    safe = propose_safe_energy(sample)
    chosen = {each.key: each.value for each in (*field, *safe)}
    energies = propose_energies(
        sample,
        offset_max=_number(chosen, "binning.offset_max", binning.offset_max),
        per_decade=binning.per_decade,
        safe_energy=_number(chosen, "count.safe_energy_min", count.safe_energy_min),
        field_bins=(
            int(_number(chosen, "binning.fov_bins", binning.fov_bins)),
            binning.offset_bins,
        ),
    )
    return [*energies, *field, *safe]


def _number(chosen: Mapping[str, str], key: str, default: float) -> float:
    """Return the number that was chosen for a key, without its unit."""
    words = chosen.get(key, "").split()
    return float(words[0]) if words else default


def _read_defaults(given: Mapping[str, str]) -> Settings:
    """Read the file that would be written without any proposal."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "luigi.cfg"
        path.write_text(settings_template(given), encoding="utf-8")
        return read_settings(path)


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
