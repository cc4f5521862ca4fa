"""Choose the runs that may contribute to models, and those that get one."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.table import Column, Table

from bkgpipe.core.criteria import RunCuts
from bkgpipe.core.run import Run, RunTable
from bkgpipe.core.run_list import RunList, find_listed
from bkgpipe.errors import InputError, SettingsError

__all__ = ["find_chunk_size", "select_runs"]

_CONDITION = re.compile(r"\s*([^\s<>=!]+)\s*([<>=!]=|[<>])\s*([^\s<>=!].*?)\s*")
_SIGNS: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_LIMITS = (
    ("zenith", "max_zenith"),
    ("livetime", "min_livetime"),
    ("quality", "max_quality"),
    ("time_start", "time_min"),
    ("time_start", "time_max"),
)
_UNITS = {"zenith": " deg", "livetime": " s", "quality": "", "time_start": " MJD"}
_NO_CUTS = RunCuts()

_MIN_CHUNKS, _MAX_RUNS, _MAX_EXPONENT = 8, 100, 5


def select_runs(
    table: RunTable, cuts: RunCuts, *, export_obs_ids: RunList = ()
) -> RunTable:
    """Mark the runs that pass the cuts, and those that get a model.

    Parameters
    ----------
    table : RunTable
        All runs of the store, with the observation table if there are conditions.
    cuts : RunCuts
        Which runs may contribute.
    export_obs_ids : RunList
        Runs that get a model, selected or not; empty for all selected ones.

    Returns
    -------
    RunTable
        The same runs with ``selected``, ``exported`` and ``reason`` set.

    Raises
    ------
    InputError
        If a run or a column asked for is not in the store.
    SettingsError
        If a condition cannot be understood.
    """
    known = {run.obs_id for run in table.runs}
    taken = _require_known("[select] obs_ids", cuts.obs_ids, known)
    excluded = _require_known("[select] exclude_obs_ids", cuts.exclude_obs_ids, known)
    targets = _require_known("[export] obs_ids", export_obs_ids, known)
    by_condition = [_condition_reasons(table, text) for text in cuts.conditions]
    runs = []
    for i, run in enumerate(table.runs):
        reasons = [*_limit_reasons(run, cuts), *(found[i] for found in by_condition)]
        reasons.append("is not among obs_ids" * bool(taken and run.obs_id not in taken))
        reasons.append("is among exclude_obs_ids" * (run.obs_id in excluded))
        reason = "; ".join(filter(None, reasons))
        exported = run.obs_id in targets if targets else not reason
        runs.append(replace(run, selected=not reason, exported=exported, reason=reason))
    return replace(table, runs=tuple(runs))


def _require_known(where: str, listed: RunList, known: set[int]) -> frozenset[int]:
    found, missing = find_listed(listed, known)
    if missing:
        raise InputError(
            what=f"{len(missing)} runs are not in the store: {', '.join(missing[:10])}",
            where=where,
            fix="Take them out, or complete the observation table of the store",
        )
    return found


def _limit_reasons(run: Run, cuts: RunCuts) -> list[str]:
    """Return what speaks against a run; empty words for what does not."""
    reasons = [_limit_reason(run, cuts, name, limit) for name, limit in _LIMITS]
    if cuts.telescopes and _names(run.telescopes) != _names(cuts.telescopes):
        found = run.telescopes or "unknown"
        reasons.append(f"telescopes are {found}, not {cuts.telescopes}")
    return reasons


def _limit_reason(run: Run, cuts: RunCuts, name: str, limit: str) -> str:
    found, wanted = getattr(run, name), getattr(cuts, limit)
    unit = _UNITS[name]
    shown = f"{limit} {_rounded(wanted)}{unit}"
    if math.isnan(found):
        # A limit that was never set lets runs pass of which the value is unknown
        return (
            "" if wanted == getattr(_NO_CUTS, limit) else f"{name} is unknown, {shown}"
        )
    if "max" in limit and found > wanted:
        return f"{name} {_rounded(found)}{unit} is above {shown}"
    if "min" in limit and found < wanted:
        return f"{name} {_rounded(found)}{unit} is below {shown}"
    return ""


def _rounded(value: float) -> str:
    return f"{round(value, 3):.10g}"


def _names(telescopes: str) -> set[str]:
    return set(re.split(r"[\s,;]+", telescopes.strip()))


def _condition_reasons(table: RunTable, text: str) -> list[str]:
    """Return for each run why it fails a condition; empty words where it passes."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise SettingsError(
            what=f"cannot understand the condition {text!r}",
            where="[select] conditions",
            fix="Write NAME OPERATOR VALUE, with one of " + " ".join(_SIGNS),
        )
    name, sign, value = match.groups()
    column = _find_column(table.observations, name)
    unknown = np.ma.getmaskarray(np.ma.asarray(column))
    found: np.ndarray
    wanted: float | str
    if np.issubdtype(column.dtype, np.number):
        found, wanted = np.asarray(column), _number(value, text)
        unknown = unknown | np.isnan(found)
    else:
        found, wanted = np.char.strip(np.asarray(column, dtype=str)), value.strip("'\"")
    passes = _SIGNS[sign](found, wanted) & ~unknown
    shown = np.where(unknown, "unknown", found.astype(str))
    return [
        "" if ok else f"{name} is {word}, not {sign} {value}"
        for ok, word in zip(passes, shown, strict=True)
    ]


def _number(value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise SettingsError(
            what=f"the column holds numbers, found {text!r}",
            where="[select] conditions",
            fix="Compare it with a number, in the unit of the column",
        ) from error


def _find_column(observations: Table | None, name: str) -> Column:
    if observations is None:
        raise InputError(
            what=f"there is no observation table to look up {name} in",
            where="[select] conditions",
            fix="Read the data store again, or take the condition out",
        )
    # Stores write the names of GADF in upper or in lower case
    names = {str(found).lower(): str(found) for found in observations.colnames}
    if name.lower() not in names:
        near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.0)
        raise InputError(
            what=f"the observation table has no column {name}",
            where="[select] conditions",
            fix=f"Use {names[near[0]]}, or take the condition out",
        )
    return observations[names[name.lower()]]


def find_chunk_size(obs_ids: Sequence[int]) -> int:
    """Choose how many run numbers share a chunk.

    A chunk costs tens of milliseconds of its own in each stage, so it should hold many
    runs; but there should be enough of them for all workers, and none of more than a
    minute.

    Parameters
    ----------
    obs_ids : sequence of int
        Run numbers of the store.

    Returns
    -------
    int
        The largest power of ten that leaves eight chunks or more, none of them with
        more than a hundred runs; 1 if none does.
    """
    for exponent in range(_MAX_EXPONENT, 0, -1):
        _, n_runs = np.unique(np.asarray(obs_ids) // 10**exponent, return_counts=True)
        if n_runs.size >= _MIN_CHUNKS and n_runs.max() <= _MAX_RUNS:
            return int(10**exponent)
    return 1
