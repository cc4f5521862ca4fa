"""What a validation reads: of the runs before the first fold, and of each fold."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gammapy.irf import Background2D, Background3D

from bkgpipe.chain.safe_energy import run_safe_energy
from bkgpipe.core.run import Events, Run
from bkgpipe.errors import InputError
from bkgpipe.settings import Settings
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.validate.plan import glance_at_run
from bkgpipe.stages.validate.plan_data import RunGlance
from bkgpipe.stages.validate.projection import read_model, read_store_model
from bkgpipe.store.store import read_events

__all__ = ["FoldRun", "TimedModel", "glance_at_runs", "read_facts", "read_fold_run"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldRun:
    """A run of a fold, with all that it is scored by but its models.

    Attributes
    ----------
    run : Run
        The run.
    events : Events
        Its events.
    mask : ExclusionMask
        Its exclusion mask.
    ontime, livetime : float
        Time recorded; the same less dead time [s].
    safe_energy_min : float
        Its safe energy [TeV].
    """

    run: Run
    events: Events
    mask: ExclusionMask
    ontime: float
    livetime: float
    safe_energy_min: float

    def own_model(self, settings: Settings) -> TimedModel:
        """Read the model that a fold made for the run.

        Parameters
        ----------
        settings : Settings
            Settings of the fold.

        Returns
        -------
        TimedModel
            Model, per on-time.

        Raises
        ------
        InputError
            If there is none.
        """
        word = settings.export.format[0]
        name = f"store/models/{word}_{self.run.obs_id}.fits"
        model = read_model(settings.folder("export") / name, word=word)
        return TimedModel(model=model, seconds=self.ontime)

    def other_model(self, store: Path, *, per_livetime: bool) -> TimedModel:
        """Read the model of the run in another store.

        Parameters
        ----------
        store : Path
            Folder of the store.
        per_livetime : bool
            It is per live time, not per on-time.

        Returns
        -------
        TimedModel
            Model, and the time that it is multiplied by.

        Raises
        ------
        InputError
            If there is none.
        """
        model = read_store_model(store, self.run.obs_id)
        seconds = self.livetime if per_livetime else self.ontime
        return TimedModel(model=model, seconds=seconds)


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedModel:
    """A model, and the time that its rate is multiplied by.

    Attributes
    ----------
    model : Background2D or Background3D
        The model.
    seconds : float
        Time [s].
    """

    model: Background2D | Background3D
    seconds: float


def glance_at_runs(
    settings: Settings, runs: Sequence[Run], *, offset_max: float
) -> list[RunGlance]:
    """Count the events of runs by their energy, before any product is made.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    runs : sequence of Run
        Runs.
    offset_max : float
        Largest offset [deg].

    Returns
    -------
    list of RunGlance
        One for each run that can be read; `count` tells of the others.
    """
    found = []
    for run in runs:
        try:
            events, _ = read_events(settings.store, run)
            safe, _ = run_safe_energy(settings, run)
            found.append(
                glance_at_run(run, events, offset_max=offset_max, safe_energy_min=safe)
            )
        except InputError as error:
            _log.info("Not looked at before the first fold: %s", error)
    return found


def read_facts(settings: Settings) -> dict[int, dict[str, Any]]:
    """Read times and safe energies of all runs that were counted.

    Parameters
    ----------
    settings : Settings
        Settings of the fold.

    Returns
    -------
    dict of int to dict
        ``ontime``, ``livetime`` [s] and ``safe_energy_min`` [TeV] of each run.

    Raises
    ------
    DamagedFileError
        If a product file is not what was written.
    """
    names = ["ontime", "livetime", "safe_energy_min"]
    facts: dict[int, dict[str, Any]] = {}
    for path in sorted(settings.folder("count").glob("count_*.h5")):
        facts.update(COUNTS.read_fields(path, names).records)
    return facts


def read_fold_run(
    settings: Settings, run: Run, facts: Mapping[int, dict[str, Any]]
) -> FoldRun:
    """Read events and mask of a run.

    Parameters
    ----------
    settings : Settings
        Settings of the fold.
    run : Run
        The run.
    facts : mapping of int to dict
        What `read_facts` found.

    Returns
    -------
    FoldRun
        The run.

    Raises
    ------
    InputError
        If it was refused by `count`, or cannot be read.
    DamagedFileError
        If its mask is not what was written.
    """
    if run.obs_id not in facts:
        raise InputError(
            what="was refused by count",
            where=f"run {run.obs_id}",
            fix="See bkgpipe status for the reason",
        )
    chunk = run.obs_id // settings.data.chunk_size
    path = settings.folder("mask") / f"mask_{chunk}.h5"
    events, _ = read_events(settings.store, run)
    mask = MASKS.read_one(path, run.obs_id)
    return FoldRun(run=run, events=events, mask=mask, **facts[run.obs_id])
