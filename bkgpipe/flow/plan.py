"""What Luigi would make, told beforehand and without touching anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from luigi.task import flatten

from bkgpipe.chain.inputs import preview
from bkgpipe.chain.kept import find_changes
from bkgpipe.core.run import Run, RunTable
from bkgpipe.errors import DamagedFileError
from bkgpipe.flow.base import UNKNOWN, ChunkTask, StageTask
from bkgpipe.flow.chunks import AllChunks
from bkgpipe.flow.of_runs import OfRuns
from bkgpipe.flow.select import Select
from bkgpipe.settings import Settings
from bkgpipe.stages.select.files import read_runs_table

__all__ = ["PlannedProduct", "plan_products"]

_LISTED = 5


@dataclass(frozen=True, kw_only=True)
class PlannedProduct:
    """A product that is to be made.

    Attributes
    ----------
    stage : str
        Its stage.
    path : Path
        Its file.
    reason : str
        Why it is made.
    is_certain : bool
        False when it is made only if one of the products before it comes out changed.
    """

    stage: str
    path: Path
    reason: str
    is_certain: bool


def plan_products(task: StageTask, table: RunTable) -> list[PlannedProduct]:
    """List what a task would make, with all that it needs.

    Parameters
    ----------
    task : StageTask
        The task.
    table : RunTable
        Runs of the store as they are now, with the decision on each.

    Returns
    -------
    list of PlannedProduct
        In an order in which they can be made; empty when nothing is to do.
    """
    before = _read_selected(task.settings)
    with preview(task.settings, table):
        planner = _Planner(changes=_compare_runs(before, table) if before else {})
        planner.visit(task.sibling(Select))
        planner.visit(task)
    return planner.found


@dataclass(kw_only=True)
class _Planner:
    """Walks the graph as Luigi does: what is complete hides all that is before it."""

    changes: dict[int, str]
    found: list[PlannedProduct] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    keys: dict[str, list[str]] = field(default_factory=dict)

    def visit(self, task: StageTask) -> None:
        if task.task_id in self.seen:
            return
        self.seen.add(task.task_id)
        if isinstance(task, AllChunks):
            for each in task.chunks():
                self.visit(each)
            return
        fault = task.fault()
        if not fault and not task.lost_before():
            return
        for each in flatten(task.requires()):
            self.visit(each)
        if fault:
            self.found.append(self._describe(task, fault))

    def _describe(self, task: StageTask, fault: str) -> PlannedProduct:
        is_certain = fault != "outdated" or not _is_waiting(task)
        return PlannedProduct(
            stage=task.stage,
            path=Path(task.output().path),
            reason=self._reason(task, fault) if is_certain else _awaited(task.settings),
            is_certain=is_certain,
        )

    def _reason(self, task: StageTask, fault: str) -> str:
        if fault not in {"missing", "outdated"}:
            return "damaged file" if fault == "damaged" else fault
        keys = _list_some(self._keys_for(task))
        if fault == "missing" and not Path(task.output().path).parent.is_dir():
            return f"{keys} changed: no products yet" if keys else "no products yet"
        changes = self._changes_for(task)
        if fault == "missing":
            return _tell_changes(changes) or "not there"
        return self._tell_outdated(task, changes, keys)

    def _tell_outdated(
        self, task: StageTask, changes: dict[int, str], keys: str
    ) -> str:
        if isinstance(task, OfRuns) and not changes:
            n_missing, n_used = len(task.missing(task.known())), len(task.used)
            return f"{n_missing} of its {n_used} runs are not in it yet"
        # without any in its chunk it is made from all runs
        told = _tell_changes(changes or self.changes)
        return told or (f"{keys} changed" if keys else "made of other runs or files")

    def _keys_for(self, task: StageTask) -> list[str]:
        """Find the settings that are not those of the products of a stage."""
        if task.stage not in self.keys:
            self.keys[task.stage] = find_changes(task.settings, task.stage)
        return self.keys[task.stage]

    def _changes_for(self, task: StageTask) -> dict[int, str]:
        """Find the changes in the chunk of a task."""
        size = task.settings.data.chunk_size
        return {
            obs_id: change
            for obs_id, change in self.changes.items()
            if isinstance(task, ChunkTask) and obs_id // size == task.chunk
        }


def _is_waiting(task: StageTask) -> bool:
    """Tell whether all that is known of the inputs of a product is as before."""
    inputs = task.inputs()
    return inputs.endswith(UNKNOWN) and task.output().made_from().startswith(inputs)


def _awaited(settings: Settings) -> str:
    if settings.in_groups:
        return "depends on smooth: only if the model of a group changes"
    return "depends on rank: only if other runs are taken"


def _read_selected(settings: Settings) -> RunTable | None:
    path = settings.folder("select") / "runs.ecsv"
    try:
        return read_runs_table(path) if path.exists() else None
    except DamagedFileError:
        return None


def _compare_runs(before: RunTable, after: RunTable) -> dict[int, str]:
    """Tell what became of each run that is not as it was."""
    old = {run.obs_id: run for run in before.runs}
    new = {run.obs_id: run for run in after.runs}
    return {
        obs_id: _compare_run(old.get(obs_id), new.get(obs_id))
        for obs_id in sorted(old.keys() | new.keys())
        if _put_run(old.get(obs_id)) != _put_run(new.get(obs_id))
    }


def _put_run(run: Run | None) -> str:
    # NaN is not equal to itself, and the time of a file is not kept
    return repr(run and replace(run, file_time=0))


def _compare_run(old: Run | None, new: Run | None) -> str:
    if old is None or new is None:
        return "new run {}" if old is None else "run {} withdrawn"
    if new.file_size < 0 <= old.file_size:
        return "events file of run {} gone"
    if (old.checksum, old.aeff_checksum) != (new.checksum, new.aeff_checksum):
        return "events file of run {} changed"
    return "index entry of run {} changed"


def _tell_changes(changes: dict[int, str]) -> str:
    kinds: dict[str, list[int]] = {}
    for obs_id, words in changes.items():
        kinds.setdefault(words, []).append(obs_id)
    return "; ".join(words.format(_list_some(ids)) for words, ids in kinds.items())


def _list_some(things: Iterable[object]) -> str:
    words = [str(thing) for thing in things]
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more
