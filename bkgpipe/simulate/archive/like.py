"""Copy the runs of a real store, but for their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.core.run_list import RunList, find_listed
from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.kinds import BUILT_IN
from bkgpipe.simulate.archive.responses import ResponseRow, find_responses
from bkgpipe.simulate.archive.settings import SimulationSettings
from bkgpipe.store.store import read_runs

__all__ = ["copied_responses", "copied_runs"]

_NEEDED = (
    "ra",
    "dec",
    "ontime",
    "livetime",
    "deadc",
    "time_start",
    "time_stop",
)
_DAY = 86400.0


def copied_runs(
    store: Path, obs_ids: RunList, *, simulation: Simulation
) -> tuple[Run, ...]:
    """Copy what the observation table of a store says of its runs.

    Parameters
    ----------
    store : Path
        Folder of the real store.
    obs_ids : RunList
        Runs to copy; none copies all.
    simulation : Simulation
        For its gaps, which are taken from the on-time.

    Returns
    -------
    tuple of Run
        Runs in order of number; their files are those of the new store.

    Raises
    ------
    InputError
        If the table cannot be read, or lacks what is needed of a run, with all
        problems at once.
    """
    found = {run.obs_id: run for run in read_runs(store).runs}
    wanted, missing = find_listed(obs_ids, found)
    problems = [f"run {each} is not there" for each in missing]
    taken = [run for n, run in found.items() if n in wanted or not obs_ids]
    lost = simulation.n_gaps * simulation.gap
    for run in taken:
        problems += _problems(run, lost)
    if problems or not taken:
        listed = "".join(f"\n  - {problem}" for problem in problems[:20])
        raise InputError(
            what=f"{len(problems)} problem(s) with {len(taken)} runs:{listed}",
            where=str(store),
            fix="Name the runs to copy with [simulation] obs_ids",
        )
    return tuple(_copied(run, lost) for run in taken)


def copied_responses(
    settings: SimulationSettings, runs: Sequence[Run], *, store: Path
) -> Mapping[int, tuple[ResponseRow, ...]]:
    """Find the responses of runs in a real store, unless they are built in.

    Parameters
    ----------
    settings : SimulationSettings
        Which responses to take.
    runs : sequence of Run
        The runs.
    store : Path
        Folder of the simulated store.

    Returns
    -------
    mapping of int to tuple of ResponseRow
        Rows for the HDU index of each run; empty for those that are built in.

    Raises
    ------
    InputError
        If they are not there.
    """
    obs_ids = [run.obs_id for run in runs]
    if settings.irfs == BUILT_IN:
        return {}
    if settings.irfs:
        source = Path(settings.irfs)
        obs_id = int(source.name)
        rows = find_responses(source.parent, [obs_id], store=store)[obs_id]
        return dict.fromkeys(obs_ids, rows)
    if settings.like is None:
        return {}
    return find_responses(settings.like, obs_ids, store=store)


def _problems(run: Run, lost: float) -> list[str]:
    unknown = [name for name in _NEEDED if not np.isfinite(getattr(run, name))]
    if unknown:
        return [f"run {run.obs_id}: {', '.join(unknown)} not known"]
    length = (run.time_stop - run.time_start) * _DAY
    problems = []
    if run.ontime > length + 1.0:
        problems.append(
            f"run {run.obs_id}: {run.ontime:.0f} s of on-time in {length:.0f} s"
        )
    if not run.ontime > lost:
        problems.append(
            f"run {run.obs_id}: no time left of {run.ontime:.0f} s but gaps"
        )
    if not 0 < run.deadc <= 1:
        problems.append(f"run {run.obs_id}: a dead-time fraction of {run.deadc}")
    return problems


def _copied(run: Run, lost: float) -> Run:
    ontime = run.ontime - lost
    return replace(
        run,
        ontime=ontime,
        livetime=ontime * run.deadc,
        events_file=f"data/run_{run.obs_id}.fits.gz",
        events_hdu="EVENTS",
        file_size=-1,
        file_time=0,
    )
