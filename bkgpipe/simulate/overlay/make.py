"""Give targets the events of OFF runs, from the store to the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bkgpipe.core.run import Run
from bkgpipe.errors import OutputError
from bkgpipe.product.whole_file import remove_stale, write_file
from bkgpipe.simulate.archive.pool import map_chunks
from bkgpipe.simulate.mixing.data import BKG_TYPES, MixedEvents, MixRecord, Provenance
from bkgpipe.simulate.mixing.event_store import (
    mixed_file,
    write_mixed_index,
    write_mixed_run,
)
from bkgpipe.simulate.mixing.provenance import read_provenance, write_provenance
from bkgpipe.simulate.overlay.data import (
    FieldGrid,
    OffSource,
    OverlayPool,
    OverlayTally,
    OverlayTarget,
    PoolPiece,
)
from bkgpipe.simulate.overlay.files import (
    read_pool,
    read_run_records,
    write_matches,
    write_pool,
    write_run_records,
)
from bkgpipe.simulate.overlay.move import locate_events, overlay_piece
from bkgpipe.simulate.overlay.plan import OverlayPlan, make_plan
from bkgpipe.simulate.overlay.pool import OffPool
from bkgpipe.simulate.overlay.settings import OverlaySettings
from bkgpipe.store.store import read_events

__all__ = ["MATCHES", "POOL", "PROVENANCE", "overlay_runs"]

POOL = "overlay_pool.json"
MATCHES = "overlay_matches.json"
PROVENANCE = "overlay.json"
_RECORDS = "records"
_PER_WORKER = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class _Job:
    """One target and all that its events are made from."""

    target: OverlayTarget
    sources: tuple[OffSource, ...]
    pieces: tuple[PoolPiece, ...]
    threshold: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Places:
    """What all jobs share."""

    folder: Path
    store: Path
    off_store: Path
    grid: FieldGrid
    alignment: str
    keep_events: bool


def overlay_runs(
    folder: Path, settings: OverlaySettings, *, workers: int = 1
) -> Provenance:
    """Write a store of runs that have got events of OFF runs.

    Begun again after it was stopped, it goes on.

    Parameters
    ----------
    folder : Path
        Folder of the new store.
    settings : OverlaySettings
        Settings.
    workers : int
        Worker processes; the files do not depend on them.

    Returns
    -------
    Provenance
        What was given to whom, as ``overlay.json`` has it.

    Raises
    ------
    SettingsError
        With all that is wrong with settings and inputs, before anything is written.
    InputError
        If an input changes while it is read.
    OutputError
        If the folder holds something else, or cannot be written.
    """
    plan = make_plan(settings, workers=workers)
    _require_own(folder, plan)
    if (folder / PROVENANCE).exists():
        _forget_records(folder, [target.run for target in plan.inputs.targets])
        return read_provenance(folder / PROVENANCE)
    remove_stale(folder)
    pool = OverlayPool(
        output=plan.output, frame=plan.frame, uses=plan.earlier + plan.uses
    )
    write_file(folder / POOL, partial(write_pool, pool=pool))
    write_file(folder / MATCHES, partial(write_matches, matches=plan.matches))
    places = _Places(
        folder=folder,
        store=settings.store or Path(),
        off_store=plan.inputs.off_store,
        grid=plan.inputs.grid,
        alignment=settings.alignment,
        keep_events=settings.keep_events,
    )
    give = partial(_give, places)
    jobs = _jobs(plan, reuse=settings.reuse)
    done = list(map_chunks(give, jobs, workers=workers, chunk_size=_PER_WORKER))
    runs = [target.run for target in plan.inputs.targets]
    raised = {
        target.run.obs_id: threshold
        for target, (_, _, threshold) in zip(plan.inputs.targets, done, strict=True)
        if threshold > target.safe_energy
    }
    provenance = _provenance(settings, done, raised=raised)
    write_mixed_index(folder, places.store, runs, safe_energies=raised)
    write_file(folder / PROVENANCE, partial(write_provenance, provenance=provenance))
    _forget_records(folder, runs)
    return provenance


def _require_own(folder: Path, plan: OverlayPlan) -> None:
    """Refuse a folder that holds anything but a part of this output."""
    pool = folder / POOL
    try:
        is_used = folder.exists() and any(folder.iterdir())
        is_own = pool.exists() and read_pool(pool).output == plan.output
    except NotADirectoryError as error:
        raise OutputError(
            what="is no folder", where=str(folder), fix="Name another folder"
        ) from error
    # of a first file that was being written only its temporary one may be there
    if (
        is_used
        and not is_own
        and any(not p.name.startswith(".") for p in folder.iterdir())
    ):
        raise OutputError(
            what="holds something else, or an overlay of other settings or inputs",
            where=str(folder),
            fix="Name another folder, or remove this one",
        )


def _jobs(plan: OverlayPlan, *, reuse: bool) -> Iterator[_Job]:
    """Share out the OFF runs again, one target after another."""
    sources = {source.run.obs_id: source for source in plan.inputs.sources}
    pool = OffPool({obs_id: source.exposure for obs_id, source in sources.items()})
    pool.replay(plan.earlier)
    for target, use in zip(plan.inputs.targets, plan.uses, strict=True):
        pieces, _ = pool.serve(
            use.livetime, use.off_ids, factors=use.factors, reuse=reuse
        )
        given = {piece.off_id: sources[piece.off_id] for piece in pieces}
        energies = [source.safe_energy for source in given.values()]
        yield _Job(
            target=target,
            sources=tuple(given.values()),
            pieces=pieces,
            threshold=max(target.safe_energy, *energies),
        )


def _give(
    places: _Places, job: _Job
) -> tuple[tuple[MixRecord, ...], dict[str, str], float]:
    """Write the events of one target, unless they are there."""
    run = job.target.run
    path = places.folder / mixed_file(run)
    records_path = _records_path(places.folder, run)
    if path.exists() and records_path.exists():
        return (*read_run_records(records_path), job.threshold)
    found, inputs = _draw(places, job)
    records = tuple(_record(job, piece, tally) for piece, _, tally in found)
    events = MixedEvents.concatenate([part for _, part, _ in found]).sorted_by_time()
    write_file(records_path, partial(write_run_records, records=records, inputs=inputs))
    write_file(
        path,
        partial(
            write_mixed_run,
            store=places.store,
            run=run,
            events=events,
            keep_events=places.keep_events,
        ),
    )
    return records, inputs, job.threshold


def _draw(
    places: _Places, job: _Job
) -> tuple[list[tuple[PoolPiece, MixedEvents, OverlayTally]], dict[str, str]]:
    found, inputs = [], {}
    for source in job.sources:
        events, inputs[source.run.events_file] = read_events(
            places.off_store, source.run
        )
        located = locate_events(
            source.run,
            events,
            source.mask,
            exposure=source.exposure,
            grid=places.grid,
            alignment=places.alignment,
        )
        for piece in job.pieces:
            if piece.off_id == source.run.obs_id:
                part, tally = overlay_piece(
                    located,
                    piece,
                    exposure=source.exposure,
                    target=job.target,
                    grid=places.grid,
                    alignment=places.alignment,
                    threshold=job.threshold,
                )
                found.append((piece, part, tally))
    return found, inputs


def _record(job: _Job, piece: PoolPiece, tally: OverlayTally) -> MixRecord:
    files = {s.run.obs_id: s.run.events_file for s in job.sources}
    ontime = job.target.livetime / job.target.run.deadc
    return MixRecord(
        obs_id=job.target.run.obs_id,
        component="overlay",
        bkg_type=BKG_TYPES["overlay"],
        file=files[piece.off_id],
        rate=tally.expected / piece.factor / ontime,
        scale=piece.factor,
        expected=tally.expected,
        drawn=tally.n_drawn,
        rejected=tally.n_excluded + tally.n_outside + tally.n_low,
        reused=tally.n_reused,
    )


def _provenance(
    settings: OverlaySettings,
    done: Sequence[tuple[tuple[MixRecord, ...], dict[str, str], float]],
    *,
    raised: Mapping[int, float],
) -> Provenance:
    names = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(settings).items()
    }
    # JSON has no infinity
    shown = {
        name: "inf" if value == float("inf") else value for name, value in names.items()
    }
    files = {name: hash_ for _, inputs, _ in done for name, hash_ in inputs.items()}
    return Provenance(
        method="overlay",
        store=str(settings.store),
        seed=settings.seed,
        settings=shown
        | {"raised_thresholds": {str(run): energy for run, energy in raised.items()}},
        records=tuple(record for records, _, _ in done for record in records),
        inputs=dict(sorted(files.items())),
    )


def _records_path(folder: Path, run: Run) -> Path:
    return folder / _RECORDS / f"run_{run.obs_id}.json"


def _forget_records(folder: Path, runs: Sequence[Run]) -> None:
    """Remove what ``overlay.json`` has now."""
    for run in runs:
        _records_path(folder, run).unlink(missing_ok=True)
    with suppress(OSError):
        (folder / _RECORDS).rmdir()
