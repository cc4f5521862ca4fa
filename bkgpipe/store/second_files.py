"""Runs for which an index names more than one file."""

from __future__ import annotations

import os
from collections.abc import Sequence

__all__ = ["second_files", "tell_second_files"]


def second_files(
    rows: Sequence[tuple[int, tuple[str, str]]],
) -> dict[int, tuple[str, ...]]:
    """Find the runs for which an index names more than one file or HDU.

    Parameters
    ----------
    rows : sequence of tuple
        What `hdu_rows` returned.

    Returns
    -------
    dict of int to tuple of str
        Their files, with the HDU where that is what differs, the one taken first.
    """
    if len({number for number, _ in rows}) == len(rows):
        return {}
    found: dict[int, dict[tuple[str, str], None]] = {}
    for number, (file, hdu) in rows:
        found.setdefault(number, {})[os.path.normpath(file), hdu] = None
    several = {number: [*places] for number, places in found.items()}
    return {
        number: _spelt(places) for number, places in several.items() if len(places) > 1
    }


def _spelt(places: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    if len({file for file, _ in places}) == len(places):
        return tuple(file for file, _ in places)
    return tuple(f"{file}[{hdu}]" for file, hdu in places)


def tell_second_files(kind: str, entries: Sequence[tuple[int, tuple[str, str]]]) -> str:
    """Say for which runs an index names more than one file, and which is taken.

    Parameters
    ----------
    kind : str
        Type of HDU, as ``events``.
    entries : sequence of tuple
        Its rows, as `hdu_rows` returns them.

    Returns
    -------
    str
        Sentences; empty when there are no such runs.
    """
    several = second_files(entries)
    if not several:
        return ""
    obs_id = min(several)
    taken, *others = several[obs_id]
    more = f" (and so for {len(several) - 1} more runs)" * (len(several) > 1)
    return (
        f"run {obs_id}: the HDU index names {len(others) + 1} entries of type {kind}: "
        f"{taken} is taken, as by gammapy, and {', '.join(others)} is not{more}. "
        f"Leave one row of type {kind} for each run in the HDU index"
    )
