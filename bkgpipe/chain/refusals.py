"""What a run must have: one list, which `run` and `check` walk.

`run` walks the checks of a stage before it does the work of that stage; `check` walks
all of them, and counts nothing. Each is what the computation itself asks for, so the
words are the same whoever finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bkgpipe.chain.safe_energy import run_safe_energy
from bkgpipe.core.run import Events, Run, RunTable
from bkgpipe.core.usable import (
    require_deadc,
    require_events,
    require_livetime,
    require_place,
)
from bkgpipe.errors import BkgpipeError, NoRunsError, PassingError
from bkgpipe.geometry.frames import pointing_of
from bkgpipe.settings import Settings
from bkgpipe.stages.fit.terms import require_pointing
from bkgpipe.stages.stack.groups import require_angles
from bkgpipe.stages.table import has_stage
from bkgpipe.store.aeff import require_safe_source
from bkgpipe.store.events_header import is_promising
from bkgpipe.store.store import read_events

__all__ = [
    "CHECKS",
    "Check",
    "Refusal",
    "UsableRun",
    "find_doubts",
    "find_refusals",
    "read_usable",
    "read_whole",
    "require",
    "require_selected",
]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something that a run must have.

    Attributes
    ----------
    stage : str
        Stage that refuses a run without it.
    kind : str
        What it is, in a word or two.
    require : callable
        Raises a BkgpipeError if settings and run do not go together.
    is_likely : callable or None
        Tells from headers whether `require`, which reads all of a file, will pass; None
        for a check that opens no file of the run.
    """

    stage: str
    kind: str
    require: Callable[[Settings, Run], object]
    is_likely: Callable[[Settings, Run], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a run gets no counts, or no model.

    Attributes
    ----------
    obs_id : int
        The run.
    check : Check
        What it lacks.
    error : BkgpipeError
        What was found, and what to do.
    """

    obs_id: int
    check: Check
    error: BkgpipeError

    @property
    def is_of_events(self) -> bool:
        """Whether the run is not even counted."""
        return self.check in _OF_COUNT


@dataclass(frozen=True, kw_only=True, eq=False)
class UsableRun:
    """What is read of a run that can be counted.

    Attributes
    ----------
    events : Events
        Its events.
    checksum : str
        SHA-256 of their files.
    safe_energy : tuple of float and str
        As `run_safe_energy` returns it.
    """

    events: Events
    checksum: str
    safe_energy: tuple[float, str]


def read_usable(settings: Settings, run: Run) -> UsableRun:
    """Read the events of a run that has all that `count` needs.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    run : Run
        The run.

    Returns
    -------
    UsableRun
        What was read.

    Raises
    ------
    InputError
        If it lacks something.
    PassingError
        If a file cannot be read at the moment, or was changed since it was selected.
    """
    found = read_whole(settings, run)
    require(settings, run, stage="count")
    return found


def read_whole(settings: Settings, run: Run) -> UsableRun:
    """Read the events of a run, and refuse what they alone show to be wrong.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    run : Run
        The run.

    Returns
    -------
    UsableRun
        What was read.

    Raises
    ------
    InputError
        If they cannot be counted.
    PassingError
        If a file cannot be read at the moment, or was changed since it was selected.
    """
    events, checksum = read_events(settings.store, run)
    _require_same(run, checksum)
    require_livetime(run, events)
    require_events(run, events)
    safe_energy = run_safe_energy(settings, run)
    return UsableRun(events=events, checksum=checksum, safe_energy=safe_energy)


def _require_same(run: Run, checksum: str) -> None:
    """Refuse to count other events than those that the counts will be known by."""
    if run.checksum not in {"", checksum}:
        raise PassingError(
            what="was changed, or could not be read, when the runs were selected",
            where=f"run {run.obs_id} ({run.events_file})",
            fix="Run again, when nothing changes the store any more",
        )


def _require_safe_energy(settings: Settings, run: Run) -> None:
    count = settings.count
    if not count.safe_energy_min > 0:
        source = {"source": count.safe_energy, "section": "count"}
        require_safe_source(settings.store, run, **source)


def _require_place(settings: Settings, run: Run) -> None:
    if settings.export.alignment == "ALTAZ":
        require_place(run)


def _require_zenith(settings: Settings, run: Run) -> None:
    if has_stage(settings, "fit"):
        alignment = settings.export.alignment
        require_pointing(run, settings.fit.terms, fov_alignment=alignment)


def _require_angles(settings: Settings, run: Run) -> None:
    if settings.in_groups:
        require_angles(run)


# In the order of the chain. A check looks at no key that its stage does not look at.
CHECKS = (
    Check(stage="mask", kind="pointing", require=lambda _, run: pointing_of(run)),
    Check(
        stage="count",
        kind="events",
        require=read_usable,
        is_likely=lambda settings, run: is_promising(settings.store, run),
    ),
    Check(stage="count", kind="live time", require=lambda _, run: require_deadc(run)),
    Check(stage="count", kind="safe energy", require=_require_safe_energy),
    Check(stage="count", kind="place", require=_require_place),
    Check(stage="fit", kind="zenith", require=_require_zenith),
    Check(stage="export", kind="zenith and azimuth", require=_require_angles),
)
# Those of all runs, not only of runs that get a model
_OF_COUNT = tuple(check for check in CHECKS if check.stage in {"mask", "count"})


def require(settings: Settings, run: Run, *, stage: str) -> None:
    """Refuse a run that lacks what a stage needs, by what index and settings say.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    run : Run
        The run.
    stage : str
        The stage.

    Raises
    ------
    BkgpipeError
        If it lacks something.
    """
    for check in CHECKS:
        if check.stage == stage and check.is_likely is None:
            check.require(settings, run)


def require_selected(table: RunTable) -> None:
    """Refuse a production without any run.

    Parameters
    ----------
    table : RunTable
        Runs of the store, with the decision on each.

    Raises
    ------
    NoRunsError
        If none is selected.
    """
    if not table.selected:
        raise NoRunsError(
            what=f"none of {len(table.runs)} runs is selected",
            where="[select]",
            fix="Widen its limits",
        )


def find_refusals(settings: Settings, table: RunTable) -> tuple[Refusal, ...]:
    """Find the runs that will be refused for what index, headers and settings say.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        Runs of the store, with the decision on each.

    Returns
    -------
    tuple of Refusal
        The first thing that each of them lacks.
    """
    found = (
        _first(settings, run, CHECKS if run.exported else _OF_COUNT)
        for run in table.used
    )
    return tuple(refusal for refusal in found if refusal)


def find_doubts(settings: Settings, table: RunTable) -> tuple[Refusal, ...]:
    """Find the runs that get no model, and will contribute to none either.

    Parameters
    ----------
    settings : Settings
        Settings of the production.
    table : RunTable
        Runs of the store, with the decision on each.

    Returns
    -------
    tuple of Refusal
        What those of them lack that can be counted.
    """
    later = [check for check in CHECKS if check not in _OF_COUNT]
    runs = (run for run in table.selected if not run.exported)
    found = (_first(settings, run, later) for run in runs)
    return tuple(refusal for refusal in found if refusal)


def _first(settings: Settings, run: Run, checks: Iterable[Check]) -> Refusal | None:
    for check in checks:
        if check.is_likely and check.is_likely(settings, run):
            continue
        try:
            check.require(settings, run)
        except BkgpipeError as error:
            return Refusal(obs_id=run.obs_id, check=check, error=error)
    return None
