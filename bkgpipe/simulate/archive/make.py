"""Write a simulated archive with a known truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.geometry.frames import load_earth_orientation
from bkgpipe.product.whole_file import remove_stale, write_file
from bkgpipe.simulate.archive.data import PointSource, SimulatedEvents, Simulation
from bkgpipe.simulate.archive.draw import (
    add_source_events,
    make_run_truth,
    make_runs,
    run_generator,
    simulate_run,
    source_regions,
)
from bkgpipe.simulate.archive.files import write_sources, write_truth
from bkgpipe.simulate.archive.index import write_simulated_index
from bkgpipe.simulate.archive.intervals import draw_intervals
from bkgpipe.simulate.archive.layout import Layout
from bkgpipe.simulate.archive.layouts import DEFAULT_LAYOUT, LAYOUTS
from bkgpipe.simulate.archive.like import copied_responses, copied_runs
from bkgpipe.simulate.archive.pool import map_chunks
from bkgpipe.simulate.archive.record import (
    RECORD_FILE,
    file_digest,
    recipe_digest,
    require_same_recipe,
    write_recipe,
)
from bkgpipe.simulate.archive.responses import (
    ResponseRow,
    response_rows,
    write_responses,
)
from bkgpipe.simulate.archive.run import write_simulated_gti, write_simulated_run
from bkgpipe.simulate.archive.sources import (
    draw_model_events,
    model_regions,
    read_models,
)
from bkgpipe.simulate.archive.truth_data import RunTruth, Truth
from bkgpipe.simulate.settings import SimulateSettings

__all__ = ["simulate_archive", "write_simulated_store"]

# Streams of random numbers of a run, beside that of its events
_GAPS, _MODELS = 1, 2

# What times of an index are good for [s]
_ROUNDING = 1.0


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """An archive, but for its events."""

    runs: tuple[Run, ...]
    run_truth: RunTruth
    recipe: Mapping[str, Any]
    maker: _Maker
    responses: Mapping[int, tuple[ResponseRow, ...]] = field(default_factory=dict)

    def items(self) -> Iterator[_Item]:
        """Return what each run is written from."""
        for run, factor in zip(self.runs, self.run_truth.factor.tolist(), strict=True):
            rows = self.responses.get(run.obs_id, ()) if self.maker.models else ()
            yield _Item(run, factor, rows)


class _Item(NamedTuple):
    """A run, the factor of its background, and its responses if sources need them."""

    run: Run
    factor: float
    responses: tuple[ResponseRow, ...]


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """What is needed to write any run."""

    store: Path
    seed: int
    truth: Truth
    n_gaps: int
    points: tuple[PointSource, ...]
    models: tuple[Path, ...] = ()
    layout: Layout = LAYOUTS[DEFAULT_LAYOUT]

    def write(self, item: _Item) -> bool:
        """Write a run, unless it is there; tell whether it was written."""
        path = self.store / item.run.events_file
        if path.exists():
            return False
        simulated = self._simulate(item)
        if item.run.gti_file:
            gti, other = simulated.events.gti, self.store / item.run.gti_file
            write_file(other, partial(write_simulated_gti, gti=gti, layout=self.layout))
        # the events come last: their file says that the run is written
        write = partial(
            write_simulated_run,
            run=item.run,
            simulated=simulated,
            layout=self.layout,
        )
        write_file(path, write)
        return True

    def _simulate(self, item: _Item) -> SimulatedEvents:
        run = item.run
        gti = self._intervals(run)
        simulated = simulate_run(
            run_generator(self.seed, run.obs_id),
            self.truth,
            run,
            factor=item.factor,
            sources=self.points,
            gti=gti,
        )
        drawn = draw_model_events(
            run,
            self.models,
            gti=gti,
            responses=(self.store, item.responses),
            area=self.layout.responses.area,
            offset_max=self.truth.offset_max,
            seed=(self.seed, run.obs_id, _MODELS),
        )
        for columns in drawn:
            simulated = add_source_events(simulated, run, self.truth, columns)
        return simulated

    def _intervals(self, run: Run) -> np.ndarray:
        lost = (run.time_stop - run.time_start) * 86400.0 - run.ontime
        n_gaps = max(self.n_gaps, 1) if lost > _ROUNDING else 0
        rng = np.random.default_rng([self.seed, run.obs_id, _GAPS])
        return draw_intervals(rng, run, n_gaps)


def simulate_archive(
    folder: Path, *, settings: SimulateSettings, workers: int = 1
) -> tuple[Run, ...]:
    """Simulate the archive that settings ask for, or go on with it.

    A folder in which a part of the same archive is already is completed: whole files
    are kept. The index files come last.

    Parameters
    ----------
    folder : Path
        Folder to write.
    settings : SimulateSettings
        What to simulate.
    workers : int
        Worker processes; the files do not depend on their number.

    Returns
    -------
    tuple of Run
        The runs.

    Raises
    ------
    InputError
        If the store to copy from, a model or responses cannot be used.
    OutputError
        If the folder holds another store, or cannot be written.
    SettingsError
        If the settings do not go together.
    """
    truth = settings.truth.make()
    sources = settings.sources.values()
    simulation = settings.simulation.make(
        tuple(source.make() for source in sources if source.model is None)
    )
    rng = np.random.default_rng(simulation.seed)
    like = settings.simulation.like
    if like is None:
        runs = make_runs(rng, simulation)
    else:
        runs = copied_runs(like, settings.simulation.obs_ids, simulation=simulation)
    layout = LAYOUTS[settings.simulation.layout]
    runs = tuple(_placed(run, layout) for run in runs)
    models = tuple(source.model for source in sources if source.model is not None)
    recipe = _recipe(simulation, truth)
    if settings.simulation.layout != DEFAULT_LAYOUT:
        recipe["layout"] = settings.simulation.layout
    recipe |= {"irfs": settings.simulation.irfs, "models": _digests(models)}
    if like is not None:
        copied = recipe_digest({"runs": [asdict(run) for run in runs]})
        recipe["like"] = {"store": str(like), "runs_sha256": copied}
    plan = _Plan(
        runs=runs,
        run_truth=make_run_truth(rng, truth, runs),
        recipe=recipe,
        maker=replace(_maker(folder, simulation, truth, models), layout=layout),
        responses=copied_responses(settings.simulation, runs, store=folder),
    )
    return _write(plan, workers=workers)


def _placed(run: Run, layout: Layout) -> Run:
    """Say in which files of a layout a run will be."""
    events = layout.events
    return replace(
        run,
        events_file=events.file.format(obs_id=run.obs_id),
        events_hdu=events.hdu,
        gti_file=events.gti_file.format(obs_id=run.obs_id),
    )


def _digests(models: tuple[Path, ...]) -> dict[str, str]:
    """Read all files of models, so that a bad one is refused before all work."""
    for path in models:
        read_models(path)
    return {str(path): file_digest(path) for path in models}


def write_simulated_store(
    store: Path, *, simulation: Simulation, truth: Truth, workers: int = 1
) -> tuple[Run, ...]:
    """Simulate all runs of an archive and write them as a DL3 store.

    Equal seeds give equal files. ``truth.ecsv`` beside the index holds the truth, and
    ``sources.ecsv`` the sources, as a catalogue that ``[mask] catalogs`` understands.

    Parameters
    ----------
    store : Path
        Folder to write.
    simulation : Simulation
        Runs to simulate.
    truth : Truth
        True background rate.
    workers : int
        Worker processes.

    Returns
    -------
    tuple of Run
        The runs.

    Raises
    ------
    OutputError
        If the folder holds another store, or cannot be written.
    """
    rng = np.random.default_rng(simulation.seed)
    runs = make_runs(rng, simulation)
    plan = _Plan(
        runs=runs,
        run_truth=make_run_truth(rng, truth, runs),
        recipe=_recipe(simulation, truth),
        maker=_maker(store, simulation, truth),
    )
    return _write(plan, workers=workers)


def _recipe(simulation: Simulation, truth: Truth) -> dict[str, Any]:
    return {"simulation": asdict(simulation), "truth": asdict(truth)}


def _maker(
    store: Path,
    simulation: Simulation,
    truth: Truth,
    models: tuple[Path, ...] = (),
) -> _Maker:
    return _Maker(
        store=store,
        seed=simulation.seed,
        truth=truth,
        n_gaps=simulation.n_gaps,
        points=simulation.sources,
        models=models,
    )


def _write(plan: _Plan, *, workers: int) -> tuple[Run, ...]:
    store = plan.maker.store
    if require_same_recipe(store, plan.recipe):
        remove_stale(store)
    write_file(store / RECORD_FILE, partial(write_recipe, recipe=plan.recipe))
    write_file(store / "truth.ecsv", partial(write_truth, run_truth=plan.run_truth))
    sources = list(source_regions(plan.runs, plan.maker.points))
    for path in plan.maker.models:
        sources += model_regions(path)
    write_file(store / "sources.ecsv", partial(write_sources, sources=sources))
    layout = plan.maker.layout
    if len(plan.responses) < len(plan.runs):
        _write_responses(store, layout)
    if plan.maker.truth.fov_alignment == "ALTAZ":
        load_earth_orientation()
    for _ in map_chunks(plan.maker.write, plan.items(), workers=workers):
        pass
    write_simulated_index(store, plan.runs, plan.responses, layout)
    return plan.runs


def _write_responses(store: Path, layout: Layout) -> None:
    by_file = defaultdict(list)
    for row in response_rows(layout):
        by_file[row.file].append(row)
    for file, rows in by_file.items():
        write = partial(write_responses, rows=rows, given=layout.responses)
        write_file(store / file, write)
