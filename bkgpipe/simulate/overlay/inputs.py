"""Read what an overlay is made from, and note all that is wrong with it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from bkgpipe.core.run import Run, RunTable
from bkgpipe.core.run_list import RunList, find_listed
from bkgpipe.errors import BkgpipeError, DamagedFileError, InputError
from bkgpipe.flow.exclusion import read_exclusion_regions
from bkgpipe.geometry.frames import load_earth_orientation, pointing_of
from bkgpipe.settings import Settings, read_settings, settings_template
from bkgpipe.simulate.archive.pool import map_chunks
from bkgpipe.simulate.overlay.clock import in_order
from bkgpipe.simulate.overlay.data import FieldGrid, OffSource, OverlayTarget
from bkgpipe.simulate.overlay.field import make_exposure, make_grid, position_angles
from bkgpipe.simulate.overlay.settings import OverlaySettings
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.mask.pixels import make_exclusion_mask
from bkgpipe.stages.select.rules import select_runs
from bkgpipe.store.aeff import find_safe_energy
from bkgpipe.store.store import read_events, read_runs

__all__ = ["OverlayInputs", "read_overlay_inputs"]

# cells of 0.11 deg: small against an excluded region, many events in each
_CELL_NSIDE = 512
_AEFF = {"fraction": 0.1, "offset": 1.0}
_PER_WORKER = 4

_Usable = TypeVar("_Usable", OverlayTarget, OffSource)


@dataclass(frozen=True, kw_only=True)
class OverlayInputs:
    """All that an overlay needs to know before it moves events.

    Attributes
    ----------
    grid : FieldGrid
        Cells of the field.
    off_store : Path
        Folder of the store of the OFF runs.
    targets : tuple of OverlayTarget
        Runs that get events, in order of number.
    sources : tuple of OffSource
        OFF runs, in order of number.
    """

    grid: FieldGrid
    off_store: Path
    targets: tuple[OverlayTarget, ...]
    sources: tuple[OffSource, ...]


def read_overlay_inputs(
    settings: OverlaySettings, *, workers: int, problems: list[str]
) -> OverlayInputs | None:
    """Read runs, masks and good times of targets and OFF runs.

    Parameters
    ----------
    settings : OverlaySettings
        Settings.
    workers : int
        Worker processes.
    problems : list of str
        Gets a sentence for each thing that is wrong.

    Returns
    -------
    OverlayInputs or None
        Everything that could be read; None when there are no runs to look at.
    """
    targets = _target_runs(settings, problems)
    off_runs, production = _off_runs(settings, problems)
    if not targets or not off_runs or production is None:
        return None
    grid = make_grid(nside=_CELL_NSIDE, offset_max=settings.offset_max)
    masks = _masks(production, off_runs, problems)
    load_earth_orientation()
    prepare_target = partial(_prepare_target, settings)
    prepare_source = partial(
        _prepare_source, production.store, grid, settings.alignment
    )
    pool = {"workers": workers, "chunk_size": _PER_WORKER}
    found_targets = map_chunks(prepare_target, targets, **pool)
    pairs = [(run, masks[run.obs_id]) for run in off_runs if run.obs_id in masks]
    found_sources = map_chunks(prepare_source, pairs, **pool)
    return OverlayInputs(
        grid=grid,
        off_store=production.store,
        targets=tuple(_usable(OverlayTarget, found_targets, problems)),
        sources=tuple(_usable(OffSource, found_sources, problems)),
    )


def _usable(
    kind: type[_Usable], found: Iterable[_Usable | str], problems: list[str]
) -> list[_Usable]:
    usable = []
    for item in found:
        if isinstance(item, kind):
            usable.append(item)
        else:
            problems.append(str(item))
    return usable


def _target_runs(settings: OverlaySettings, problems: list[str]) -> list[Run]:
    if settings.store is None:
        problems.append("[overlay] store names no data store")
        return []
    try:
        table = read_runs(settings.store)
    except BkgpipeError as error:
        problems.append(str(error))
        return []
    return _chosen(table.runs, settings.runs, name="runs", problems=problems)


def _off_runs(
    settings: OverlaySettings, problems: list[str]
) -> tuple[list[Run], Settings | None]:
    """OFF runs, and the settings that say what of their sky is excluded."""
    try:
        production = _production(settings)
        table = read_runs(production.store)
        _require_range(settings, production)
        allowed = _allowed(table, production)
    except BkgpipeError as error:
        problems.append(str(error))
        return [], None
    # runs that are named may be any of the store
    runs = table.runs if settings.off_runs else allowed
    chosen = _chosen(runs, settings.off_runs, name="off_runs", problems=problems)
    if not chosen and not settings.off_runs:
        problems.append("[overlay] production: no run of the OFF store passes [select]")
    return chosen, production


def _allowed(table: RunTable, production: Settings) -> tuple[Run, ...]:
    return select_runs(table, production.select.cuts).selected


def _chosen(
    runs: Sequence[Run], listed: RunList, *, name: str, problems: list[str]
) -> list[Run]:
    found, missing = find_listed(listed, (run.obs_id for run in runs))
    problems += [
        f"[overlay] {name}: run {each} is not in the store" for each in missing
    ]
    return [run for run in runs if not listed or run.obs_id in found]


def _production(settings: OverlaySettings) -> Settings:
    """Read the settings of the production of the OFF store, or take defaults."""
    store, path = settings.off_store, settings.production
    if path is None:
        if store is None:
            raise _no_store()
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "luigi.cfg"
            allow = ", ".join(map(str, settings.allow))
            given = {"data.store": str(store), "data.allow": allow}
            config.write_text(settings_template(given), encoding="utf-8")
            return read_settings(config)
    production = read_settings(_latest(path) if path.is_dir() else path)
    if store is not None and store.resolve() != production.store.resolve():
        raise InputError(
            what=f"it is a production of {production.store}, not of {store}",
            where="[overlay] production",
            fix="Name a production of off_store, or leave off_store out",
        )
    return production


def _no_store() -> InputError:
    return InputError(
        what="names no data store",
        where="[overlay] off_store",
        fix="Name the store of the OFF runs, or a production of it",
    )


def _latest(output: Path) -> Path:
    """Find the last settings that an output folder keeps."""
    kept = (output / "settings").glob("settings-*.cfg")
    latest = max(kept, key=lambda path: path.stat().st_mtime_ns, default=None)
    if latest is None:
        raise InputError(
            what="is no output folder of a production: it keeps no settings",
            where=str(output),
            fix="Set [overlay] production to the output folder, or its settings file",
        )
    return latest


def _require_range(settings: OverlaySettings, production: Settings) -> None:
    if production.mask.search_radius < settings.offset_max:
        raise InputError(
            what=f"masks reach {production.mask.search_radius} deg,"
            f" events {settings.offset_max} deg",
            where="[overlay] offset_max",
            fix="Make it smaller, or [mask] search_radius of the production larger",
        )


def _masks(
    production: Settings, runs: Sequence[Run], problems: list[str]
) -> dict[int, ExclusionMask]:
    """Masks that the production has made, and the others made in the same way."""
    masks: dict[int, ExclusionMask] = {}
    folder, size = production.folder("mask"), production.data.chunk_size
    for chunk in sorted({run.obs_id // size for run in runs}):
        path = folder / f"mask_{chunk}.h5"
        try:
            masks |= MASKS.read(path).records if path.exists() else {}
        except DamagedFileError as error:
            problems.append(str(error))
    try:
        missing = [run for run in runs if run.obs_id not in masks]
        regions = read_exclusion_regions(production) if missing else ()
        for run in missing:
            masks[run.obs_id] = make_exclusion_mask(
                run,
                regions,
                nside=production.mask.nside,
                search_radius=production.mask.search_radius,
            )
    except BkgpipeError as error:
        problems.append(str(error))
    return masks


def _prepare_target(settings: OverlaySettings, run: Run) -> OverlayTarget | str:
    store = settings.store or Path()
    try:
        events, _ = read_events(store, run)
        target = OverlayTarget(
            run=run, gti=in_order(events.gti), safe_energy=_safe_energy(store, run)
        )
        if not target.livetime > 0:
            return f"run {run.obs_id}: live time is {target.livetime} s"
        pointing_of(run)
        position_angles(run, target.gti[:1, 0], fov_alignment=settings.alignment)
    except BkgpipeError as error:
        return str(error)
    return target


def _prepare_source(
    store: Path, grid: FieldGrid, alignment: str, pair: tuple[Run, ExclusionMask]
) -> OffSource | str:
    run, mask = pair
    try:
        events, _ = read_events(store, run)
        exposure = make_exposure(run, events.gti, mask, grid=grid, alignment=alignment)
        energy = _safe_energy(store, run)
    except BkgpipeError as error:
        return str(error)
    return OffSource(run=run, mask=mask, exposure=exposure, safe_energy=energy)


def _safe_energy(store: Path, run: Run) -> float:
    return find_safe_energy(store, run, source="auto", section="overlay", **_AEFF)[0]
