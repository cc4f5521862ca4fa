"""Write a store of runs with background events that are drawn from models."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.core.run_list import find_listed
from bkgpipe.errors import InputError, OutputError
from bkgpipe.product.whole_file import remove_stale, write_file
from bkgpipe.settings.parse import refuse
from bkgpipe.simulate.archive.pool import map_chunks
from bkgpipe.simulate.archive.record import file_digest
from bkgpipe.simulate.mixing.checks import RunCheck, check_run, component_problems
from bkgpipe.simulate.mixing.data import MixedEvents, MixRecord, Provenance
from bkgpipe.simulate.mixing.draw import component_generator, draw_events
from bkgpipe.simulate.mixing.event_store import (
    mixed_file,
    write_mixed_index,
    write_mixed_run,
)
from bkgpipe.simulate.mixing.grids import component_grid
from bkgpipe.simulate.mixing.inputs import own_file
from bkgpipe.simulate.mixing.provenance import read_provenance, write_provenance
from bkgpipe.simulate.mixing.settings import COSMIC, OWN, ComponentSettings
from bkgpipe.simulate.settings import SimulateSettings
from bkgpipe.store.store import read_events, read_runs

__all__ = ["mix_runs"]

_RECORD = "mixing.json"
_PARTS = "parts"
_INDEX = "obs-index.fits.gz"
_CHUNK = 4
_LISTED = 40
_FIX = "Correct the settings, or leave these runs out with [mixing] runs"


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is to be done, and where."""

    folder: Path
    settings: SimulateSettings
    models: Mapping[str, str]

    @property
    def store(self) -> Path:
        return self.settings.mixing.store or Path()

    @property
    def record(self) -> Path:
        return self.folder / _RECORD

    def part(self, run: Run) -> Path:
        return self.folder / _PARTS / f"{run.obs_id}.json"

    def provenance(
        self, records: tuple[MixRecord, ...], inputs: Mapping[str, str]
    ) -> Provenance:
        return Provenance(
            method="mixing",
            store=str(self.store),
            seed=self.settings.mixing.seed,
            settings=_plain(self.settings),
            records=records,
            inputs={**self.models, **inputs},
        )


def mix_runs(
    folder: Path, *, settings: SimulateSettings, workers: int = 1
) -> Provenance:
    """Draw background events for runs of a store, and write them as a store.

    A call that was killed goes on when it is called again; one that was finished does
    nothing. All that is wrong with settings, models and runs is told at once, before
    anything is written.

    Parameters
    ----------
    folder : Path
        Folder of the new store.
    settings : SimulateSettings
        Settings.
    workers : int
        Worker processes.

    Returns
    -------
    Provenance
        What was drawn, as ``mixing.json`` in the folder has it.

    Raises
    ------
    SettingsError
        With all problems found.
    InputError
        If the store cannot be read.
    OutputError
        If the folder holds something else, or cannot be written.
    """
    refuse(component_problems(settings), where="mixing", fix=_FIX)
    components = settings.components.values()
    files = [c.source for c in components if isinstance(c.source, Path)]
    plan = _Plan(
        folder=folder,
        settings=settings,
        models={str(file): file_digest(file) for file in files},
    )
    _require_place(plan)
    checks = _check_runs(plan, workers=workers)
    inputs = {name: found for c in checks for name, found in c.inputs.items()}
    if plan.record.exists():
        return _finished(plan, checks, inputs)
    return _write_store(plan, checks, inputs, workers=workers)


def _write_store(
    plan: _Plan, checks: list[RunCheck], inputs: dict[str, str], *, workers: int
) -> Provenance:
    remove_stale(plan.folder)
    mix = partial(_mix_run, plan=plan)
    results = map_chunks(mix, checks, workers=workers, chunk_size=_CHUNK)
    records = tuple(record for result in results for record in result)
    write_mixed_index(plan.folder, plan.store, [check.run for check in checks])
    provenance = plan.provenance(records, inputs)
    write_file(plan.record, partial(write_provenance, provenance=provenance))
    _remove_parts(plan.folder / _PARTS)
    return provenance


def _check_runs(plan: _Plan, *, workers: int) -> list[RunCheck]:
    runs, problems = _chosen_runs(plan)
    look = partial(check_run, settings=plan.settings)
    checks = list(map_chunks(look, runs, workers=workers, chunk_size=_CHUNK))
    problems += [problem for check in checks for problem in check.problems]
    n_more = len(problems) - _LISTED
    listed = [*problems[:_LISTED], *([f"and {n_more} more"] if n_more > 0 else [])]
    refuse(listed, where=str(plan.store), fix=_FIX)
    return checks


def _chosen_runs(plan: _Plan) -> tuple[tuple[Run, ...], list[str]]:
    runs = read_runs(plan.store).runs
    wanted = plan.settings.mixing.runs
    found, missing = find_listed(wanted, (run.obs_id for run in runs))
    chosen = tuple(run for run in runs if not wanted or run.obs_id in found)
    return chosen, [
        f"[mixing] runs: {number} is not in the store" for number in missing
    ]


def _mix_run(check: RunCheck, *, plan: _Plan) -> tuple[MixRecord, ...]:
    """Draw and write one run, unless that was done before."""
    run = check.run
    empty = plan.provenance((), check.inputs)
    done = _done_records(plan, run, empty)
    if done:
        return done
    drawn = [_draw(name, run, plan.settings) for name in plan.settings.components]
    events = MixedEvents.concatenate([events for events, _ in drawn])
    write = partial(
        write_mixed_run,
        store=plan.store,
        run=run,
        events=events.sorted_by_time(),
        keep_events=plan.settings.mixing.keep_events,
    )
    write_file(plan.folder / mixed_file(run), write)
    records = tuple(record for _, record in drawn)
    part = plan.provenance(records, check.inputs)
    write_file(plan.part(run), partial(write_provenance, provenance=part))
    return records


def _done_records(plan: _Plan, run: Run, expected: Provenance) -> tuple[MixRecord, ...]:
    """Read what a killed call of the same settings has written of a run."""
    if not (plan.folder / mixed_file(run)).is_file():
        return ()
    with suppress(InputError):
        found = read_provenance(plan.part(run))
        return found.records if _is_same(found, expected) else ()
    return ()


def _is_same(found: Provenance, expected: Provenance) -> bool:
    names = ("method", "store", "seed", "settings", "inputs")
    return all(getattr(found, name) == getattr(expected, name) for name in names)


def _draw(
    name: str, run: Run, settings: SimulateSettings
) -> tuple[MixedEvents, MixRecord]:
    mixing, component = settings.mixing, settings.components[name]
    store = mixing.store or Path()
    events, _ = read_events(store, run)
    grid = component_grid(component, mixing, run, ontime=events.ontime)
    rate = grid.total if np.isnan(component.rate) else component.rate
    scale = component.factor * mixing.scale
    if not grid.total > 0 and rate > 0:
        raise InputError(
            what=f"the model of {name} has no rate in the field",
            where=f"run {run.obs_id}",
            fix="Look at its energies, and those of [mixing]",
        )
    drawn, n_rejected = draw_events(
        component_generator(mixing.seed, run.obs_id, name),
        grid,
        run,
        gti=events.gti,
        factor=scale * rate / grid.total if rate > 0 else 0.0,
        bkg_type=component.number,
    )
    return drawn, MixRecord(
        obs_id=run.obs_id,
        component=name,
        bkg_type=component.number,
        file=_file_of(component, store, run),
        rate=rate,
        scale=scale,
        expected=rate * scale * events.ontime,
        drawn=drawn.n_events,
        rejected=n_rejected,
    )


def _file_of(component: ComponentSettings, store: Path, run: Run) -> str:
    if component.source == OWN:
        return own_file(store, run)
    is_cosmic = component.source == COSMIC
    return "cosmic-ray electrons of gammapy" if is_cosmic else str(component.source)


def _plain(settings: SimulateSettings) -> dict[str, object]:
    """Put the settings as JSON can hold them."""
    components = {
        name: _plain_section(component)
        for name, component in settings.components.items()
    }
    return {"mixing": _plain_section(settings.mixing), "components": components}


def _plain_section(section: Any) -> dict[str, object]:
    return {name: _plain_value(value) for name, value in asdict(section).items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and np.isnan(value) else value


def _require_place(plan: _Plan) -> None:
    folder = plan.folder
    is_source = folder.resolve() == plan.store.resolve()
    is_ours = plan.record.exists() or (folder / _PARTS).is_dir()
    if is_source or ((folder / _INDEX).exists() and not is_ours):
        raise OutputError(
            what="holds another data store",
            where=str(folder),
            fix="Name another folder",
        )


def _finished(
    plan: _Plan, checks: list[RunCheck], inputs: dict[str, str]
) -> Provenance:
    found = read_provenance(plan.record)
    runs = [check.run for check in checks]
    is_whole = all((plan.folder / mixed_file(run)).is_file() for run in runs)
    if _is_same(found, plan.provenance((), inputs)) and is_whole:
        _remove_parts(plan.folder / _PARTS)
        return found
    raise OutputError(
        what="holds events of other settings or inputs, or lacks some of them",
        where=str(plan.folder),
        fix="Name another folder, or remove this one",
    )


def _remove_parts(folder: Path) -> None:
    """Remove the records of single runs; they are in that of all runs."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
